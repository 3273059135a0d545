"""The ring as it is read: a symbol's newest second, and those that it is compared to.

An entry of the ring has everything that is answered of its second, so an answer is of one moment,
and no chain is folded for it.
"""

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import msgspec

from gex_pipeline.errors import CodecError, UnavailableError
from gex_pipeline.exposure.change import LOOK_BACKS, Changes, LookBack, changes, window_ns
from gex_pipeline.exposure.futures import InForce
from gex_pipeline.exposure.trace import Trace
from gex_pipeline.gateway.age import Freshness
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.futures import aged, basis_of
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.hot.ring import FIELD, Entry, decode_entry, entry_id
from gex_pipeline.market.futures import index_of

_MOST_KNOWN: Final = 64
"""Symbols, of all namespaces, whose newest second is kept."""
Made = TypeVar("Made")


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
        """By key: the newest entry's bytes, and what was read for it."""

    async def moments(self, gateway: Gateway, symbol: str) -> tuple[Moments, Freshness]:
        """Return the newest second and its references, and how fresh it is.

        Raises:
            UnavailableError: there is none, or none young enough, and why.
        """
        name = gateway.place.keys.gexring(symbol)
        newest = await _newest(gateway, name)
        if newest is None:
            raise await gateway.nothing_yet(symbol)
        moments = await self._moments(gateway, name, newest)
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

    async def _moments(self, gateway: Gateway, name: str, data: bytes) -> Moments:
        known = self._known.get(name)
        if known is not None and known[0] == data:
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
        self._known[name] = (data, moments)
        return moments


async def _newest(gateway: Gateway, name: str) -> bytes | None:
    try:
        entries: Any = await gateway.store.xrevrange(name, count=1)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    return entries[0][1].get(FIELD, b"") if entries else None


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
