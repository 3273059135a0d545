"""The newest figures, market data and services, read from the hot store, each with its age."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec
import redis.asyncio

from gex_pipeline.errors import NotServedError, OfIndexError, UnavailableError
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.scopes import check_scope
from gex_pipeline.feeds.cachecount import CacheCount
from gex_pipeline.gateway.age import Freshness, Limits, Market, freshness, market_state
from gex_pipeline.gateway.answer import Image, Mode, Part, encode_answer, split_snapshot, stamp
from gex_pipeline.gateway.cache import STORE_ERRORS, Both, Entry, KeyCache, store_away
from gex_pipeline.gateway.folded import Fold, Folds
from gex_pipeline.gateway.futures import Moves, check_future, future_snapshot
from gex_pipeline.gateway.keyring import Keyring
from gex_pipeline.hot.keys import Keys
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.futures import index_of
from gex_pipeline.market.symbology import kind_of, to_canonical

SCOPES: Final = ("all", "0dte", "next", "weekly", "monthly")
"""What the engine publishes; others are folded on request."""
CONVENTION: Final = GEXC_1.id
"""Of everything that is answered."""


class Place(msgspec.Struct, frozen=True):
    """Which figures these are: namespace, mode, symbols, and the limits of their age."""

    prefix: str
    """Of every key in the hot store."""
    mode: Mode
    symbols: tuple[str, ...]
    """Canonical."""
    limits: Limits
    session: str = ""
    """Of a replay its id."""
    oi_estimate: bool = False
    """Whether the estimate of open interest is answered."""

    @property
    def keys(self) -> Keys:
        """Names of the namespace."""
        return Keys(self.prefix)


class Snapshot(msgspec.Struct, frozen=True):
    """One symbol's and scope's newest figures and how fresh they are now."""

    image: Image
    fresh: Freshness
    mode: Mode
    session: str = ""
    """Of a replay its id."""

    beside: dict[str, Any] = {}
    """Of a future: its basis and price at this moment."""

    @property
    def stamped(self) -> dict[str, Any]:
        """What holds at the moment of the answer."""
        return stamp(self.mode, self.fresh, self.session) | self.beside

    def encode(self, part: Part = "whole") -> bytes:
        """Return the JSON of a part of it."""
        return encode_answer(self.image, part, self.stamped)


class Gateway:
    """Reads for everyone who answers a user; `run` is its loop."""

    def __init__(
        self,
        store: redis.asyncio.Redis,
        place: Place,
        keyring: Keyring,
        read_clock: Callable[[], MarketClock],
        live_clock: Callable[[], MarketClock],
    ) -> None:
        """Prepare a gateway; `read_clock` asks the store for the namespace's clock, and blocks."""
        self.store = store
        self.place = place
        self.keyring = keyring
        self.folds = Folds()
        self.closing = False
        self.turns = 0
        self._first_turn = asyncio.Event()
        self._read_clock = read_clock
        self.live_clock = live_clock
        self._clock: MarketClock | None = None
        self._cache = KeyCache(store, f"{place.keys.prefix}gateway", self._turn)
        self._images: dict[tuple[str, str], Image] = {}
        """One for each symbol and scope that is published."""
        self._split = CacheCount()
        self.moves = Moves()

    async def run(self) -> None:
        """Keep cache and clock fresh until cancelled."""
        await self._cache.run()

    async def begun(self, within_s: float) -> bool:
        """Return whether the hot store has answered, waiting for the first time if need be."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_turn.wait(), within_s)
        return self._first_turn.is_set()

    @property
    def connected(self) -> bool:
        """Whether the hot store answered last time."""
        return self._cache.connected

    @property
    def caches(self) -> dict[str, CacheCount]:
        """What the caches of this process did: keys of the store, snapshots split, folds."""
        return {"keys": self._cache.count, "snapshots": self._split, "folds": self.folds.count}

    def symbol(self, text: str) -> str:
        """Return the canonical symbol, in any spelling, whose figures are computed here.

        Raises:
            SymbolError: not a symbol.
            NotServedError: a symbol of which there are no figures.
            OfIndexError: a future or view of an index whose figures are computed here.
        """
        symbol = to_canonical(text)
        if symbol not in self.place.symbols:
            index = index_of(symbol)
            if index in self.place.symbols:
                raise OfIndexError("answer", symbol, index)
            raise NotServedError(symbol, self.place.symbols)
        return symbol

    def subject(self, text: str) -> str:
        """Return the same, or a future or view whose index is computed here.

        Raises:
            SymbolError: not a symbol.
            NotServedError: a symbol of which there are no figures.
        """
        symbol = to_canonical(text)
        if kind_of(symbol) not in ("future", "view"):
            return self.symbol(text)
        return check_future(symbol, self.place.symbols)

    def now_ns(self) -> int:
        """Return the market time.

        Raises:
            UnavailableError: a simulated market has not said what time it is.
        """
        if self.place.mode == "real":
            return self.wall_ns()
        if self._clock is None:
            raise UnavailableError(
                "market_clock",
                "The simulated market has not said what time it is.",
                "Start the simulator and the streamer: gex up",
            )
        return self._clock.now_ns(time.monotonic_ns())

    def wall_ns(self) -> int:
        """Return the time of heartbeats, which a simulated market does not move."""
        return self.live_clock().anchor_event_ns

    def market(self, symbol: str) -> Market:
        """Return whether the symbol's market is open now."""
        return market_state(symbol, self.now_ns())

    async def changes(self, symbol: str, scope: str) -> Entry | Both:
        """Return what to wait for: the next change of what answers for a symbol and scope.

        Raises:
            ConventionError, UnavailableError: as `entry`.
        """
        index = index_of(symbol)
        if index is None:
            return await self.entry(symbol, scope)
        return Both(await self.entry(index, scope), await self.listen(self.place.keys.basis(index)))

    async def listen(self, key: str) -> Entry:
        """Return the cache's entry of any key that carries its bytes on a channel of its name.

        Raises:
            UnavailableError: the hot store does not answer.
        """
        return await self._cache.entry(key)

    async def entry(self, symbol: str, scope: str) -> Entry:
        """Return the cache's entry of what answers for a scope.

        Of a scope that is published it is the snapshot, of any other the chain.

        Raises:
            ConventionError: there is no scope of that name.
            UnavailableError: the hot store does not answer.
        """
        if check_scope(scope) not in SCOPES:
            return await self.chain_entry(symbol)
        return await self._cache.entry(self.place.keys.gex(symbol, scope))

    async def chain_entry(self, symbol: str) -> Entry:
        """Return the cache's entry of a symbol's chain.

        Raises:
            UnavailableError: the hot store does not answer.
        """
        return await self._cache.entry(self.place.keys.chain(symbol))

    async def gex(self, symbol: str, scope: str) -> Snapshot:
        """Return the newest figures; of a future or view those of its index, moved by the basis.

        Raises:
            ConventionError: there is no scope of that name.
            NotFrontError: a contract that its root does not stand for.
            UnavailableError: there are none, or none young enough, and why.
        """
        if index_of(symbol) is not None:
            return await future_snapshot(self, symbol, scope)
        if check_scope(scope) not in SCOPES:
            asked = ("scope", scope)
            return await self.folded(symbol, asked, lambda it, data: it.fold_scope(data, scope))
        entry = await self.entry(symbol, scope)
        if entry.value is None:
            raise await self.nothing_yet(symbol)
        return self._snapshot(symbol, self._image(symbol, scope, entry.value))

    async def folded(self, symbol: str, asked: Hashable, fold: Fold) -> Snapshot:
        """Return what the stored chain folds to; `asked` names it.

        Raises:
            UnavailableError: as `gex`.
        """
        entry = await self.chain_entry(symbol)
        if entry.value is None:
            raise await self.nothing_yet(symbol)
        subject = (self.place.prefix, symbol, asked)
        return self._snapshot(symbol, await self.folds.of(subject, entry, fold))

    def fresh(self, symbol: str, ts_ns: int) -> Freshness:
        """Return how fresh figures are now that know events up to a moment.

        Raises:
            UnavailableError: they are too old for an open market.
        """
        fresh = freshness(symbol, ts_ns, self.now_ns(), self.place.limits)
        if fresh.unavailable:
            raise _too_old(symbol, fresh)
        return fresh

    def _snapshot(self, symbol: str, image: Image) -> Snapshot:
        fresh = self.fresh(symbol, image.ts_ns)
        return Snapshot(image, fresh, self.place.mode, self.place.session)

    def _image(self, symbol: str, scope: str, value: bytes) -> Image:
        """Return the bytes split into fields, once for each publish."""
        image = self._images.get((symbol, scope))
        if image is not None and image.value is value:
            self._split.hits += 1
            return image
        self._split.misses += 1
        self._split.fills += 1
        self._split.evictions += image is not None
        image = self._images[symbol, scope] = split_snapshot(value)
        return image

    async def nothing_yet(self, symbol: str) -> UnavailableError:
        """Return the error that says why there are no figures of a symbol."""
        engine = await self.hash(self.place.keys.status("engine"))
        fact = f"The engine has not published figures of {symbol} yet."
        if not engine:
            fact = f"There are no figures of {symbol}: no engine runs."
        return UnavailableError("no_snapshot", fact, "Start it with gex up, or wait a few seconds.")

    async def hash(self, key: str) -> dict[str, str]:
        """Return a hash of the store as text.

        Raises:
            UnavailableError: the hot store does not answer.
        """
        try:
            fields: Any = await self.store.hgetall(key)
        except STORE_ERRORS as error:
            raise store_away(error) from error
        return {name.decode(): value.decode(errors="replace") for name, value in fields.items()}

    async def _turn(self) -> None:
        published = await self.hash(self.place.keys.clock())
        self._clock = await asyncio.to_thread(self._read_clock) if published else None
        if not self._cache.connected:
            await self.keyring.mirror()
        self.turns += 1
        self._first_turn.set()


def _too_old(symbol: str, fresh: Freshness) -> UnavailableError:
    return UnavailableError(
        "too_old",
        f"The newest figures of {symbol} are {fresh.age_s:.0f} s old and the market is open.",
        "See which service stands still: GET /api/v1/status",
    )
