"""The basis of index futures: how many points a future stands from its index, second by second.

A sample is a second in which both have a fresh price; the live basis is the median of those of the
newest 30 seconds, in regular hours only: the value of an index that is not computed is no price.
What is kept of a future is little, and it comes back from the newest rows that were recorded of it.
Formulas and reasons: docs/conventions.md, "Futures levels".
"""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.live import FROZEN_AFTER_S, Image, spot_ns
from gex_pipeline.exposure.quoted import FRESH_NS, Taken
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Basis
from gex_pipeline.market.futures import expiry_ns, month_of
from gex_pipeline.options.forward import median
from gex_pipeline.options.time_to_expiry import MINUTES_PER_YEAR

SAMPLES_S: Final = 30
"""Seconds whose samples make a live basis,"""
SAMPLES_MIN: Final = 10
"""at least so many of them."""
LAST_BEFORE_PARITY_S: Final = 300
"""An older basis gives way to the one that options imply, if there is one."""
TOO_OLD_S: Final = 86_400
"""An older one is none."""
REACH: Final = 4.0
"""Times the time of the latest forward to which its carry is drawn out: so does its error grow."""
_NS: Final = sessions.SECOND_NS
_QUARTERS: Final = 3
_NS_PER_YEAR: Final = MINUTES_PER_YEAR * 60 * _NS

Method = Literal["live", "parity", "last"]


class IndexAt(msgspec.Struct, frozen=True):
    """An index at the end of a second."""

    symbol: str
    price: float | None
    """None: its newest value is older than a price may be."""
    parity: Mapping[str, float]
    """What its options imply for each of the next quarterly futures, by month: points above it."""


class BasisState(msgspec.Struct, frozen=True):
    """What is known of one future."""

    contract: str | None = None
    samples: tuple[tuple[int, float], ...] = ()
    """Of the newest 30 seconds and this contract: second and points."""
    live: float | None = None
    """The newest live basis; None: never measured, or another contract's."""
    ts_live_ns: int | None = None
    """When; None: never."""


# --- an index -------------------------------------------------------------------------------------


def index_at(image: Image, snapshot: GexSnapshot, ts_ns: int) -> IndexAt:
    """Return an index at the end of a second; `snapshot` is its scope `all` of that second."""
    spot = image.spot
    fresh = spot.last > 0 and ts_ns - spot.last_ns <= FRESH_NS
    moved_ns = ts_ns - spot_ns(spot)
    implied = _implied(snapshot, ts_ns) if moved_ns <= FROZEN_AFTER_S * _NS else {}
    return IndexAt(image.symbol, spot.last if fresh else None, implied)


def in_hours(ts_ns: int) -> bool:
    """Return whether a second ends in the hours in which an index is computed: 09:30 to 16:00.

    The second that ends at the open still has the value of yesterday; on half days until 13:00.
    """
    open_ns, close_ns = _hours(sessions.et_datetime(ts_ns).date())
    return open_ns < ts_ns <= close_ns


@lru_cache(maxsize=4)
def _hours(day: datetime.date) -> tuple[int, int]:
    if not sessions.is_trading_day(day):
        return 0, 0
    hours = sessions.session(day, "equity")
    return hours.open_ns, hours.close_ns


def _implied(snapshot: GexSnapshot, ts_ns: int) -> dict[str, float]:
    """Return how far the options' forwards lie above the index where quarterly futures settle."""
    if snapshot.spot is None or not in_hours(ts_ns):
        return {}
    spot = snapshot.spot
    nodes = sorted(
        (row.years, row.expiry, row.root, math.log(row.forward / spot))
        for row in snapshot.expiries
        if row.forward_method == "parity" and row.forward and row.years
    )
    if not nodes:
        return {}
    carried = [(years, carry) for years, _, _, carry in nodes]
    found = {}
    for month, settles_ns in _quarters(sessions.et_datetime(ts_ns).date()):
        years = (settles_ns - snapshot.ts_event_ns) / _NS_PER_YEAR
        if 0 < years <= REACH * carried[-1][0]:
            found[month] = spot * math.exp(_carry(carried, years)) - spot
    return found


def _carry(nodes: Sequence[tuple[float, float]], years: float) -> float:
    """Return log(F/S): linear in time between the forwards around, constant carry outside."""
    low = next((node for node in reversed(nodes) if node[0] <= years), None)
    high = next((node for node in nodes if node[0] >= years), None)
    if low is None or high is None:
        nearest = low or high
        assert nearest is not None  # noqa: S101 # there is a node, and it lies on one side
        return nearest[1] * years / nearest[0]
    span = high[0] - low[0]
    weight = (years - low[0]) / span if span > 0 else 0.0
    return low[1] + weight * (high[1] - low[1])


@lru_cache(maxsize=4)
def _quarters(day: datetime.date) -> tuple[tuple[str, int], ...]:
    """Return the next quarterly months from a day on, the current one in it, and their ends."""
    first = day.year * 12 + (day.month - 1) // 3 * 3 + 2
    found = []
    for quarter in range(_QUARTERS):
        year, month = divmod(first + 3 * quarter, 12)
        name = f"{'FGHJKMNQUVXZ'[month]}{year % 100:02d}"
        found.append((name, expiry_ns(f"/ES{name}")))
    return tuple(found)


# --- a future -------------------------------------------------------------------------------------


def advance(state: BasisState, ts_ns: int, future: Taken, index: IndexAt) -> BasisState:
    """Return what is known of a future after one more second."""
    contract = future.contract or state.contract
    if state.contract is not None and contract != state.contract:
        state = BasisState(ts_live_ns=state.ts_live_ns)
    samples = tuple(one for one in state.samples if one[0] > ts_ns - SAMPLES_S * _NS)
    live, ts_live_ns = state.live, state.ts_live_ns
    if in_hours(ts_ns):
        if future.mid is not None and index.price is not None:
            samples += ((ts_ns, future.mid - index.price),)
        if len(samples) >= SAMPLES_MIN:
            live, ts_live_ns = median(np.array([points for _, points in samples])), ts_ns
    return BasisState(contract, samples, live, ts_live_ns)


def basis_row(
    root: str, ts_ns: int, state: BasisState, now: tuple[Taken, IndexAt], positions: str
) -> Basis:
    """Return what is recorded of a future's second, `state` being that of its end."""
    future, index = now
    parity = index.parity.get(month_of(state.contract)) if state.contract else None
    method, points = _chosen(state, parity, ts_ns)
    return Basis(
        root,
        ts_ns,
        ts_ns,
        index=index.symbol,
        positions=positions,
        method=method,
        basis=points,
        reason=None if method else _reason(state, ts_ns, future, index),
        contract=state.contract,
        quoted=future.quoted,
        samples=len(state.samples),
        ts_live_ns=state.ts_live_ns,
        live=state.live,
        parity=parity,
        mid=future.mid,
        index_price=index.price,
    )


def restored(rows: Iterable[Basis]) -> dict[str, BasisState]:
    """Return what was known of each future after the newest of its recorded rows, oldest first."""
    by_root: dict[str, list[Basis]] = {}
    for row in rows:
        by_root.setdefault(row.symbol, []).append(row)
    return {root: _restored(of_root) for root, of_root in by_root.items()}


def _restored(rows: Sequence[Basis]) -> BasisState:
    newest = rows[-1]
    samples: list[tuple[int, float]] = []
    for row in reversed(rows):
        strange = row.contract not in (newest.contract, None)
        if strange or row.ts_recv_ns <= newest.ts_recv_ns - SAMPLES_S * _NS:
            break
        if row.mid is not None and row.index_price is not None and in_hours(row.ts_recv_ns):
            samples.append((row.ts_recv_ns, row.mid - row.index_price))
    return BasisState(newest.contract, tuple(reversed(samples)), newest.live, newest.ts_live_ns)


def _chosen(
    state: BasisState, parity: float | None, ts_ns: int
) -> tuple[Method | None, float | None]:
    """Return how the basis comes about: live, the last one, what options imply, an older one."""
    last_s = (ts_ns - (state.ts_live_ns or 0)) / _NS if state.live is not None else math.inf
    if last_s == 0:
        return "live", state.live
    if last_s <= LAST_BEFORE_PARITY_S:
        return "last", state.live
    if parity is not None:
        return "parity", parity
    return ("last", state.live) if last_s <= TOO_OLD_S else (None, None)


def _reason(state: BasisState, ts_ns: int, future: Taken, index: IndexAt) -> str:
    if state.ts_live_ns is not None:
        return "too_old" if state.live is not None else "roll"
    if future.mid is None:
        return "no_future"
    return "no_index" if index.price is None else "never_measured"
