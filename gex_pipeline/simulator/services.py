"""The streamer's services: their names, how many fields they have, what their symbols are."""

from typing import Final

EQUITIES: Final = "LEVELONE_EQUITIES"
OPTIONS: Final = "LEVELONE_OPTIONS"
FUTURES: Final = "LEVELONE_FUTURES"
FUTURES_OPTIONS: Final = "LEVELONE_FUTURES_OPTIONS"
FOREX: Final = "LEVELONE_FOREX"
CHART_EQUITY: Final = "CHART_EQUITY"
CHART_FUTURES: Final = "CHART_FUTURES"
NYSE_BOOK: Final = "NYSE_BOOK"
NASDAQ_BOOK: Final = "NASDAQ_BOOK"
OPTIONS_BOOK: Final = "OPTIONS_BOOK"
FIELD_COUNT: Final = {
    EQUITIES: 52,
    OPTIONS: 56,
    FUTURES: 41,
    FUTURES_OPTIONS: 32,
    FOREX: 30,
    CHART_EQUITY: 9,
    CHART_FUTURES: 7,
    NYSE_BOOK: 4,
    NASDAQ_BOOK: 4,
    OPTIONS_BOOK: 4,
}
SERVICES: Final = tuple(FIELD_COUNT)
"""Any other answers that it is not available."""
ASSETS: Final = {
    EQUITIES: "EQUITY",
    OPTIONS: "OPTION",
    FUTURES: "FUTURE",
    FUTURES_OPTIONS: "FUTURE_OPTION",
    FOREX: "FOREX",
}
"""Main type that items of level one have; books and candles have none."""
ADMIN: Final = "ADMIN"
SIGNING: Final = ("LOGIN", "LOGOUT")
SUBSCRIBING: Final = ("SUBS", "UNSUBS", "ADD", "VIEW")
"""In the order of their codes: 22 to 25 failed, 26 to 29 succeeded."""
