"""The addresses of Schwab's REST and OAuth endpoints, under the names that a script gives them."""

from typing import Final

PATHS: Final = {
    "chains": "/marketdata/v1/chains",
    "quotes": "/marketdata/v1/quotes",
    "expirationchain": "/marketdata/v1/expirationchain",
    "userPreference": "/trader/v1/userPreference",
    "token": "/v1/oauth/token",
}
MARKET_DATA: Final = ("chains", "quotes", "expirationchain")
NAME_OF: Final = {path: name for name, path in PATHS.items()}
