"""What to stream: the fixed symbols, and the contracts whose gamma matters most.

A stream holds a few hundred symbols and a chain has tens of thousands, so the contracts are ranked
by the gamma that is open in them; the others come by REST. Each underlying has an equal share of
the room, and what one does not need goes to the others.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from gex_pipeline.errors import SymbolError
from gex_pipeline.feeds.schwab.answers import ChainPart, occ_symbols
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
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.futures import INDEX_OF, root_of, roots_of
from gex_pipeline.market.sessions import Calendar, settlement_ns
from gex_pipeline.market.symbology import Kind, calendar_of, kind_of, to_canonical, to_schwab
from gex_pipeline.options.black_scholes import gamma
from gex_pipeline.options.time_to_expiry import years_to_expiry

ALWAYS = ("/ES", "/NQ", "VIX")
_USUAL_IV = 0.2
_HIGHEST_IV = 5.0
_FLOOR_MINUTES = 15.0


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
    for symbol in [each for each in underlyings if kind_of(each) not in ("share", "index")]:
        underlyings.remove(symbol)
        problems.append(_no_chain(symbol))
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


def rank(part: ChainPart, now_ns: int) -> tuple[list[str], Floats]:
    """Return a chain part's contracts and their weights: dollar gamma that is open or traded.

    Expired contracts weigh nothing. Where nothing is open, as before the open of a new listing, the
    gamma itself decides, that is the distance to the spot.
    """
    chain = part.chain
    if not len(chain) or not chain.spot > 0:
        return [], np.zeros(0)
    left = years_to_expiry(_settle_ns(chain), now_ns, _FLOOR_MINUTES)
    usable = (chain.iv > 0) & (chain.iv < _HIGHEST_IV)
    sigma = np.where(usable, chain.iv, _USUAL_IV)
    spot = np.full(len(chain), chain.spot)
    each = gamma(spot, chain.strike, left.years, 0.0, 0.0, sigma)
    held = 1.0 + np.nan_to_num(chain.open_interest) + np.nan_to_num(chain.volume)
    weight = np.where(left.live, each * np.maximum(held, 0.0) * chain.spot**2, 0.0)
    return occ_symbols(chain).tolist(), weight


def choose(ranked: Mapping[str, Mapping[str, float]], room: int) -> list[str]:
    """Return the contracts to stream, heaviest first: each underlying its share of the room.

    `ranked` has weights by contract by underlying. Ties go by name, so that the choice is stable.
    """
    orders = [
        sorted((name for name in weights if weights[name] > 0), key=lambda n: (-weights[n], n))
        for weights in ranked.values()
    ]
    chosen: list[str] = []
    waiting = [iter(order) for order in orders]
    while waiting and len(chosen) < room:
        for names in list(waiting):
            name = next(names, None)
            if name is None:
                waiting.remove(names)
            elif len(chosen) < room:
                chosen.append(name)
    return chosen


def is_worth_changing(held: Sequence[str], wanted: Sequence[str], share: float = 0.05) -> bool:
    """Return whether enough contracts differ to pay for new full images."""
    missing = len(set(wanted) - set(held))
    return missing > share * max(1, len(wanted)) or (not held and bool(wanted))


def _settle_ns(chain: OptionChain) -> Ints:
    """Return each contract's settlement instant, worked out once per root and expiry."""
    known: dict[tuple[str, object, str], int] = {}
    rows = zip(chain.root.tolist(), chain.expiry.tolist(), chain.settlement.tolist(), strict=True)
    out = np.empty(len(chain), np.int64)
    for index, key in enumerate(rows):
        if key not in known:
            known[key] = settlement_ns(*key)
        out[index] = known[key]
    return out


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


def _no_chain(symbol: str) -> str:
    proxy = INDEX_OF.get(root_of(symbol))
    instead = f"Name {proxy} instead" if proxy else "Name a share, fund or index instead"
    return f"GEX_SYMBOLS has {symbol}, for which Schwab has no option chain. {instead}."
