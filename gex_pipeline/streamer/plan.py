"""What to stream in any case, and how much room that leaves for contracts (ranking.py)."""

from collections.abc import Iterable, Sequence

import msgspec

from gex_pipeline.errors import ChainSymbolError, SymbolError
from gex_pipeline.feeds.schwab.fields import (
    CHART_EQUITY,
    CHART_FUTURES,
    EQUITIES,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    NASDAQ_BOOK,
    NYSE_BOOK,
    OPTIONS,
    OPTIONS_BOOK,
    Service,
)
from gex_pipeline.feeds.schwab.requests import check_chain_symbol
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import Kind, calendar_of, kind_of, to_canonical, to_schwab

ALWAYS = ("/ES", "/NQ", "VIX")


class Plan(msgspec.Struct, frozen=True):
    """What is fixed before any answer has come; all symbols canonical."""

    chains: tuple[str, ...]
    """Underlyings whose whole chain is asked for by REST."""
    equities: tuple[str, ...]
    """Shares, funds and indexes to stream."""
    futures: tuple[str, ...]
    limit: int
    """Symbols that the stream may hold, those of every service counted."""
    options: tuple[str, ...] = ()
    """Contracts to stream whatever their gamma."""
    future_options: tuple[str, ...] = ()
    forex: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    """Shares and funds whose book is asked of both exchanges: that answers where one is listed."""
    option_books: tuple[str, ...] = ()

    @property
    def fixed(self) -> int:
        """Symbols that are streamed in any case; one counts in each service that has it."""
        return sum(map(len, self.keys(self.options).values()))

    @property
    def least(self) -> int:
        """Those of level one: candles and books may be refused, and leave their room then."""
        own = (self.equities, self.futures, self.forex, self.future_options, self.options)
        return sum(map(len, own))

    @property
    def held(self) -> frozenset[Calendar]:
        """Calendars whose silence means something: single options may well stand still."""
        return frozenset(map(calendar_of, (*self.equities, *self.futures, *self.forex)))

    @property
    def computed(self) -> frozenset[Calendar]:
        """Calendars whose tapes an engine reads; of the others nothing has to stay in memory."""
        calendars = {calendar_of(symbol) for symbol in self.chains}
        futures: set[Calendar] = {"cme"} if any(map(roots_of, self.chains)) else set()
        return frozenset(calendars | futures)

    @property
    def option_room(self) -> int:
        """Contracts that the stream has room for."""
        return max(0, self.limit - self.fixed)

    def keys(self, options: Sequence[str]) -> dict[Service, list[str]]:
        """Return Schwab's keys by service: what must be had first stands first."""
        equities, futures = _keys(self.equities), _keys(self.futures)
        books = _keys(self.books)
        return {
            EQUITIES: equities,
            FUTURES: futures,
            FOREX: _keys(self.forex),
            FUTURES_OPTIONS: _keys(self.future_options),
            CHART_EQUITY: equities,
            CHART_FUTURES: futures,
            NYSE_BOOK: books,
            NASDAQ_BOOK: books,
            OPTIONS_BOOK: _keys(self.option_books),
            OPTIONS: list(options),
        }


def make_plan(
    chains: Iterable[str], streamed: Iterable[str], limit: int, level2: Iterable[str] = ()
) -> tuple[Plan, tuple[str, ...]]:
    """Return the plan for GEX_SYMBOLS and SCHWAB_SYMBOLS, and everything that is wrong with them.

    `level2` is SCHWAB_LEVEL2_SYMBOLS; empty, the streamed ones have books. What is wrong is left
    out of the plan.
    """
    problems: list[str] = []
    underlyings = _named(chains, "GEX_SYMBOLS", problems)
    others = _traded(streamed, "SCHWAB_SYMBOLS", problems)
    deep = _traded(level2, "SCHWAB_LEVEL2_SYMBOLS", problems) or others
    for symbol in list(underlyings):
        try:
            check_chain_symbol(symbol)
        except ChainSymbolError as error:
            underlyings.remove(symbol)
            problems.append(f"GEX_SYMBOLS: {error}")
    # the top of a future's book comes with its quote, so a future must be streamed
    wanted = (*underlyings, *others, *_of(deep, "future"), *ALWAYS)
    symbols = list(dict.fromkeys(wanted))
    plan = Plan(
        chains=tuple(underlyings),
        equities=_of(symbols, "share", "index"),
        futures=_of(symbols, "future"),
        limit=limit,
        options=_of(symbols, "option"),
        future_options=_of(symbols, "future_option"),
        forex=_of(symbols, "forex"),
        books=_of(deep, "share"),
        option_books=_of(deep, "option"),
    )
    if plan.fixed >= limit:
        problems.append(
            f"SCHWAB_SYMBOL_LIMIT is {limit} and leaves no room for options beside {plan.fixed}"
            " symbols, candles and books counted. Raise it or name fewer symbols."
        )
    return plan, tuple(problems)


def _named(texts: Iterable[str], setting: str, problems: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[to_canonical(text)] = None
        except SymbolError as error:
            problems.append(f"{setting}: {error}")
    return list(found)


def _traded(texts: Iterable[str], setting: str, problems: list[str]) -> list[str]:
    found = _named(texts, setting, problems)
    views = _of(found, "view")
    problems += (f"{setting} has {symbol}, which is not traded. Remove it." for symbol in views)
    return [symbol for symbol in found if symbol not in views]


def _of(symbols: Iterable[str], *kinds: Kind) -> tuple[str, ...]:
    return tuple(symbol for symbol in symbols if kind_of(symbol) in kinds)


def _keys(symbols: Iterable[str]) -> list[str]:
    return [to_schwab(symbol) for symbol in symbols]
