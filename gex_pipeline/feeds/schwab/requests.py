"""Questions to Schwab's market data as typed facts: what it would refuse cannot be asked."""

import datetime
from typing import Any

import msgspec

from gex_pipeline.errors import ChainSymbolError, RequestError
from gex_pipeline.market.futures import INDEX_OF, root_of
from gex_pipeline.market.symbology import kind_of, to_schwab

MOST_QUOTES = 200
"""Symbols of one request: nobody tells the limit, and 200 of them are 4.4 KB of an address."""


class ExpirationsRequest(msgspec.Struct, frozen=True):
    """Which expirations an underlying has."""

    symbol: str
    """Canonical."""

    def __post_init__(self) -> None:
        """Refuse what has no chain."""
        check_chain_symbol(self.symbol)

    async def send(self, client: Any) -> Any:
        """Ask by schwab-py's client; return its response."""
        return await client.get_option_expiration_chain(to_schwab(self.symbol))


class ChainRequest(msgspec.Struct, frozen=True):
    """All contracts of an underlying that expire in a window, and its own quote."""

    symbol: str
    """Canonical."""
    first: datetime.date
    last: datetime.date

    def __post_init__(self) -> None:
        """Refuse what has no chain, a moment in the place of a date, and a window of nothing."""
        check_chain_symbol(self.symbol)
        if type(self.first) is not datetime.date or type(self.last) is not datetime.date:
            raise RequestError("A window of a chain is from one date to another", "Give dates")
        if self.last < self.first:
            raise RequestError(
                f"A window from {self.first} to {self.last} holds no expiration", "Turn it around"
            )

    async def send(self, client: Any) -> Any:
        """Ask by schwab-py's client; return its response."""
        return await client.get_option_chain(
            to_schwab(self.symbol),
            from_date=self.first,
            to_date=self.last,
            include_underlying_quote=True,
        )


class QuotesRequest(msgspec.Struct, frozen=True):
    """The newest quotes of some symbols of any kind."""

    symbols: tuple[str, ...]
    """Canonical."""

    def __post_init__(self) -> None:
        """Refuse none, too many, and what is not traded."""
        if not 1 <= len(self.symbols) <= MOST_QUOTES:
            raise RequestError(
                f"{len(self.symbols)} symbols are asked for at once", f"Ask for 1 to {MOST_QUOTES}"
            )
        for symbol in self.symbols:
            to_schwab(symbol)

    async def send(self, client: Any) -> Any:
        """Ask by schwab-py's client; return its response."""
        return await client.get_quotes([to_schwab(symbol) for symbol in self.symbols])


def check_chain_symbol(symbol: str) -> None:
    """Pass a share, fund or index, which alone can have a chain at Schwab.

    Raises:
        ChainSymbolError: anything else, with what to ask for instead.
    """
    if kind_of(symbol) not in ("share", "index"):
        raise ChainSymbolError(symbol, INDEX_OF.get(root_of(symbol)))
