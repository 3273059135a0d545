"""Quotes that somebody asks for: of symbols that are not streamed, by REST, and on no tape.

What is on a tape must not depend on who looked: a tape holds what the plan asks for. So an answer
goes to whoever asked, and is kept for a second for those who ask next.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from gex_pipeline.errors import ChainFileError, FeedError, GexError, RequestError
from gex_pipeline.feeds.cachecount import CacheCount
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.quotes import read_quotes
from gex_pipeline.feeds.schwab.requests import MOST_QUOTES
from gex_pipeline.feeds.schwab.rest import RefusedError, Rest, UnreadableError
from gex_pipeline.market.events import OptionQuote, Quote, Trade
from gex_pipeline.market.symbology import to_canonical, to_schwab

FRESH_S = 1.0
UNKNOWN_FRESH_S = 30.0
"""A symbol that Schwab does not know is not asked for again for longer."""
MOST_KEPT = 2_000
MOST_WAITING = 1_000
_GATHER_S = 0.05
"""So long the first question waits for others to go with it."""
_WITHIN_S = 20.0
_SHARE = 0.25
"""Of the rate limit: the chains need the others."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What /quotes said of one symbol."""

    symbol: str
    known: bool
    """False: Schwab has no such symbol."""
    source: str = "rest"
    delayed: bool = False
    trade: Trade | None = None
    quote: Quote | None = None
    option: OptionQuote | None = None


class Lookups:
    """Gathers the questions that wait, asks them in one request, and keeps the answers briefly."""

    def __init__(
        self, rest: Rest, stamp_ns: Callable[[], int], refused: Callable[[], str | None]
    ) -> None:
        """Prepare; `refused` says why a person must sign in first, or None."""
        self.cache = CacheCount()
        self._rest = rest
        self._stamp_ns = stamp_ns
        self._refused = refused
        self._limit = RateLimit(max(1, round(rest.limit.per_minute * _SHARE)))
        self._kept: dict[str, tuple[float, Looked]] = {}
        """Until when, and what; the oldest first."""
        self._waiting: dict[str, asyncio.Future[Looked]] = {}
        self._asked = asyncio.Event()

    async def answer(self, arg: str) -> str:
        """Return JSON of what /quotes says of symbols, by comma, in their order.

        Raises:
            SymbolError: one is none, or none that Schwab can have.
            RequestError: too many at once.
            FeedError: Schwab cannot be asked now.
        """
        symbols = [to_canonical(text) for text in arg.split(",")]
        if len(symbols) > MOST_QUOTES:
            raise RequestError(f"{len(symbols)} symbols at once", f"Ask for {MOST_QUOTES} at most")
        for symbol in symbols:
            to_schwab(symbol)
        if (reason := self._refused()) is not None:
            raise RefusedError(reason, "")
        waits = [self._of(symbol) for symbol in symbols]
        found = [await asyncio.shield(each) for each in waits]
        return msgspec.json.encode(found).decode()

    async def run(self) -> None:
        """Ask for what waits, until cancelled."""
        while True:
            await self._asked.wait()
            await asyncio.sleep(_GATHER_S)
            batch = dict(list(self._waiting.items())[:MOST_QUOTES])
            try:
                await self._ask(batch)
            finally:
                for symbol, future in batch.items():
                    self._waiting.pop(symbol, None)
                    if not future.done():
                        future.cancel()
            if not self._waiting:
                self._asked.clear()

    def _of(self, symbol: str) -> "asyncio.Future[Looked]":
        """Return what is or will be known of a symbol."""
        until_s, known = self._kept.get(symbol, (0.0, None))
        if known is not None and time.monotonic() < until_s:
            self.cache.hits += 1
            done: asyncio.Future[Looked] = asyncio.get_running_loop().create_future()
            done.set_result(known)
            return done
        self.cache.misses += 1
        if symbol not in self._waiting:
            if len(self._waiting) >= MOST_WAITING:
                raise RefusedError(f"{MOST_WAITING} symbols wait for a quote", "Ask again later.")
            self._waiting[symbol] = asyncio.get_running_loop().create_future()
            self._waiting[symbol].add_done_callback(_heeded)
            self._asked.set()
        return self._waiting[symbol]

    async def _ask(self, batch: dict[str, "asyncio.Future[Looked]"]) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._limit.acquire()
                data = await self._rest.quotes(tuple(batch))
            found = self._read(data, list(batch))
        except GexError as error:
            self._fail(batch, error)
        except TimeoutError:
            self._fail(batch, FeedError(f"Schwab did not answer within {_WITHIN_S:.0f} s"))
        else:
            self._keep(found)
            for symbol, looked in found.items():
                if not batch[symbol].done():
                    batch[symbol].set_result(looked)
            self._fail(batch, FeedError("Schwab left the symbol out of its answer"))

    def _fail(self, batch: dict[str, "asyncio.Future[Looked]"], error: Exception) -> None:
        """Tell those who still wait."""
        for future in batch.values():
            if not future.done():
                future.set_exception(error)

    def _read(self, data: bytes, symbols: list[str]) -> dict[str, Looked]:
        try:
            answer = read_quotes(data, symbols, self._stamp_ns())
        except ChainFileError as error:
            raise UnreadableError(str(error), data) from error
        found = {symbol: Looked(symbol=symbol, known=False) for symbol in answer.unknown}
        for symbol, events in answer.events.items():
            kinds: dict[str, Any] = {_NAMES[type(event)]: event for event in events}
            found[symbol] = Looked(
                symbol=symbol, known=True, delayed=symbol in answer.delayed, **kinds
            )
        return found

    def _keep(self, found: dict[str, Looked]) -> None:
        now_s = time.monotonic()
        for symbol, looked in found.items():
            self._kept.pop(symbol, None)
            self._kept[symbol] = now_s + (FRESH_S if looked.known else UNKNOWN_FRESH_S), looked
        self.cache.fills += len(found)
        over = [name for name, (until_s, _) in self._kept.items() if until_s <= now_s]
        over += list(self._kept)[: max(0, len(self._kept) - MOST_KEPT)]
        for name in dict.fromkeys(over):
            del self._kept[name]
            self.cache.evictions += 1


_NAMES: dict[type, str] = {Trade: "trade", Quote: "quote", OptionQuote: "option"}


def _heeded(future: "asyncio.Future[Looked]") -> None:
    """Look at the error of a future whose asker has gone."""
    if not future.cancelled():
        future.exception()
