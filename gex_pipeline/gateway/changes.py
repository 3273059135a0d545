"""Change over time, out of the ring: a symbol's newest second and those that it is compared to.

An entry of the ring has everything that is answered of its second, so the answer is of one moment,
and no chain is folded for it.
"""

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import msgspec

from gex_pipeline.errors import CodecError, ConventionError, UnavailableError
from gex_pipeline.exposure.change import LOOK_BACKS, Changes, LookBack, changes, shifted, window_ns
from gex_pipeline.exposure.futures import NO_BASIS, InForce
from gex_pipeline.exposure.moment import RING
from gex_pipeline.exposure.snapshot import DEALER, UNIT
from gex_pipeline.exposure.trace import Figures, Trace
from gex_pipeline.gateway.age import Freshness, Market
from gex_pipeline.gateway.answer import FuturePrice, Mode, stamp
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.futures import aged, basis_of
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.hot.ring import FIELD, Entry, decode_entry, entry_id
from gex_pipeline.market.futures import index_of

SCOPES: Final = RING
"""Whose changes are kept."""
_MOST_KNOWN: Final = 64
"""Symbols, of all namespaces, whose newest second is kept."""
_encoder: Final = msgspec.json.Encoder()
Made = TypeVar("Made")


class MaxChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in one scope up to its newest complete second, $ per 1% of spot."""

    symbol: str
    scope: str
    source: str
    """schwab, simulator and so on; lake: recorded figures."""
    spot: float | None
    ts_event_ns: int
    """The second that is compared with those before it, UTC nanoseconds."""
    resolution_s: int = 1
    """Between the moments that are kept to compare: live a second, in the lake more."""
    convention: str
    unit: str = UNIT
    dealer: str = DEALER
    contracts: int | None
    confidence: float | None
    confidence_level: str | None
    gap_s: float | None
    """Seconds of the feed that were lost and that no whole chain has made up for; 0: none."""
    gap_causes: tuple[str, ...] | None
    """Null: they were not kept."""
    net_gex: float | None
    net_gex_volume: float | None
    null_reasons: dict[str, str]
    changes: tuple[Changes, ...]
    """Since the second before, and since 1, 5, 10, 15 and 30 minutes ago."""


class MaxChangeAnswer(MaxChange, frozen=True, kw_only=True):
    """The changes with what holds at the moment of the answer."""

    mode: Mode
    """simulated: made-up figures."""
    market: Market
    age_s: float
    """In market time, since the second that is compared."""
    stale: bool
    replayed: bool = False
    """True, and the replay's id in `session`: not the market of now."""
    session: str | None = None
    index: str | None = None
    """Of a future or view: the index whose strikes these are, moved by the basis."""
    basis: InForce | None = None
    """Of a future or view: what they are moved by, its source and age."""
    future_price: FuturePrice | None = None
    """Of a future or view: its own price, beside spot, which is the index's moved."""


class Moments:
    """A symbol's newest second in the ring, and its references; what is made of it is made once."""

    def __init__(self, now: Entry, before: dict[LookBack, Entry | None]) -> None:
        self.now = now
        self._before = before
        self._made: dict[Hashable, Any] = {}

    def traces(self, scope: str) -> dict[LookBack, Trace | None]:
        """Return what each reference has of a scope."""
        return {
            name: entry.trace(scope) if entry is not None else None
            for name, entry in self._before.items()
        }

    def changes(self, scope: str) -> tuple[Changes, ...]:
        """Return a scope's changes since each look-back."""
        return self.once(
            ("changes", scope), lambda: changes(self.now.trace(scope), self.traces(scope))
        )

    def once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is made under a name, made by the first who asks."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made


class Seen(msgspec.Struct, frozen=True, eq=False):
    """A symbol's newest second as it is answered now."""

    moments: Moments
    """Of a future or view those of its index."""
    fresh: Freshness
    basis: InForce | None = None
    """Of a future or view."""
    beside: dict[str, Any] = {}
    """What an answer about a future says besides."""

    @property
    def points(self) -> float | None:
        """How far levels are moved; None: there is no basis to move them by."""
        return self.basis.points if self.basis is not None else 0.0


class Ring:
    """Reads rings; the newest second of each is kept with what it is compared to."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, Moments]] = {}

    async def moments(self, gateway: Gateway, symbol: str) -> tuple[Moments, Freshness]:
        """Return the newest second and its references, and how fresh it is.

        Raises:
            UnavailableError: there is none, or none young enough, and why.
        """
        name = gateway.place.keys.gexring(symbol)
        newest = await _newest(gateway, name)
        if newest is None:
            raise await gateway.nothing_yet(symbol)
        moments = await self._moments(gateway, name, *newest)
        return moments, gateway.fresh(symbol, moments.now.ts_ns)

    async def seen(self, gateway: Gateway, symbol: str) -> Seen:
        """Return the newest second of a symbol; of a future or view its index's, and the basis.

        Raises:
            NotFrontError: a contract that its root does not stand for.
            UnavailableError: there is none, or none young enough, and why.
        """
        index = index_of(symbol)
        moments, fresh = await self.moments(gateway, index or symbol)
        if index is None:
            return Seen(moments, fresh)
        basis, price = await basis_of(gateway, symbol)
        beside = {"index": index, "basis": basis, "future_price": price}
        return Seen(moments, aged(fresh, basis), basis, beside)

    async def _moments(self, gateway: Gateway, name: str, entry: bytes, data: bytes) -> Moments:
        known = self._known.get(name)
        if known is not None and known[0] == entry:
            return known[1]
        now = _decoded(data)
        if now is None:
            raise UnavailableError(
                "damaged",
                "The newest second of the ring cannot be read.",
                "The engine writes the next one soon; see its status: GET /api/v1/status",
            )
        moments = Moments(now, await _references(gateway, name, now.ts_ns))
        while len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[name] = (entry, moments)
        return moments


async def max_change(gateway: Gateway, ring: Ring, symbol: str, scope: str) -> bytes:
    """Return the JSON of what changed in a scope, stamped.

    Raises:
        ConventionError: no change of that scope is kept.
        UnavailableError: there are no figures, or none young enough, and why.
    """
    if scope not in SCOPES:
        raise ConventionError("Scope", scope, SCOPES)
    seen = await ring.seen(gateway, symbol)
    answer = _answer(symbol, scope, seen.moments)
    if seen.basis is not None:
        answer = _moved(answer, seen.basis)
    stamped = stamp(gateway.place.mode, seen.fresh, gateway.place.session) | seen.beside
    return _encoder.encode({**msgspec.structs.asdict(answer), **stamped})


def _moved(answer: MaxChange, basis: InForce) -> MaxChange:
    """Return an index's changes at the prices of its future."""
    points, reason = basis.points, basis.reason or NO_BASIS
    spot = None if answer.spot is None or points is None else answer.spot + points
    reasons = answer.null_reasons if points is not None else {"spot": reason} | answer.null_reasons
    return msgspec.structs.replace(
        answer,
        spot=spot,
        changes=shifted(answer.changes, points, reason),
        null_reasons=reasons,
    )


def _answer(symbol: str, scope: str, moments: Moments) -> MaxChange:
    now = moments.now
    figures = now.figures.get(scope, Figures())
    return MaxChange(
        symbol=symbol,
        scope=scope,
        source=now.source,
        spot=now.spot,
        ts_event_ns=now.ts_ns,
        convention=now.convention,
        contracts=figures.contracts,
        confidence=figures.confidence,
        confidence_level=figures.confidence_level,
        gap_s=now.gap_s,
        gap_causes=now.gap_causes,
        net_gex=figures.open_interest.net_gex,
        net_gex_volume=figures.volume.net_gex,
        null_reasons=null_reasons(now.spot, now.gap_s, figures),
        changes=moments.changes(scope),
    )


def null_reasons(spot: float | None, gap_s: float | None, figures: Figures) -> dict[str, str]:
    """Return why each of those figures is null that is."""
    reasons = {
        "spot": "no_spot" if spot is None else None,
        "gap_s": "no_heartbeat" if gap_s is None else None,
        "net_gex": figures.open_interest.reason,
        "net_gex_volume": figures.volume.reason,
        "confidence": figures.open_interest.reason if figures.confidence is None else None,
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


async def _newest(gateway: Gateway, name: str) -> tuple[bytes, bytes] | None:
    try:
        entries: Any = await gateway.store.xrevrange(name, count=1)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    return (entries[0][0], entries[0][1].get(FIELD, b"")) if entries else None


async def _references(gateway: Gateway, name: str, ts_ns: int) -> dict[LookBack, Entry | None]:
    """Return the newest entry in the window of each look-back; None where there is none."""
    windows = {look_back: window_ns(ts_ns, minutes) for look_back, minutes in LOOK_BACKS.items()}
    asked = [look_back for look_back, window in windows.items() if window is not None]
    several = gateway.store.pipeline(transaction=False)
    for look_back in asked:
        first_ns, last_ns = windows[look_back] or (0, 0)
        several.xrevrange(name, entry_id(last_ns), entry_id(first_ns), count=1)
    try:
        answers: list[Any] = await several.execute()
    except STORE_ERRORS as error:
        raise store_away(error) from error
    found = dict(zip(asked, answers, strict=True))
    return {
        look_back: _decoded(found[look_back][0][1].get(FIELD, b""))
        if found.get(look_back)
        else None
        for look_back in LOOK_BACKS
    }


def _decoded(data: bytes) -> Entry | None:
    """Return the entry; None: it cannot be read."""
    try:
        return decode_entry(data)
    except CodecError:
        return None
