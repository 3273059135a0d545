"""Change over time: which strikes moved most since a moment before, and by how much the totals did.

A change is a difference over strikes that both moments have: one that is born or expires in between
is counted and left out, because absent is not 0. docs/conventions.md, "Change over time".
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.live import trading_date
from gex_pipeline.exposure.trace import WEIGHTS, Trace, Weight
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats

LookBack = Literal["current", "one", "five", "ten", "fifteen", "thirty"]
LOOK_BACKS: Final[dict[LookBack, int]] = {
    "current": 0,
    "one": 1,
    "five": 5,
    "ten": 10,
    "fifteen": 15,
    "thirty": 30,
}
"""Minutes back; current: to the second before this one."""
OLDER_S: Final = 60
"""A reference may be so much older than its look-back; what is older still is a gap."""
TOP: Final = 5

BEFORE_START: Final = "before_session_start"
GAP: Final = "gap"
NO_CHANGE: Final = "no_change"
NO_COMMON: Final = "no_common_strike"
_NS: Final = sessions.SECOND_NS


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What changed under one weight, $ per 1%; null with its reason."""

    strike: float | None = None
    """With the largest absolute change; ties to the nearest to spot, then to the lower."""
    change: float | None = None
    """Signed."""
    reason: str | None = None
    top: tuple[tuple[float, float], ...] = ()
    """The largest changes, [strike, change]; the first is the one above."""
    skipped: int = 0
    """Strikes that only one of the two moments has."""
    net_gex_change: float | None = None
    """Of the scope's total, over all its strikes."""
    net_gex_reason: str | None = None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since one look-back, and which moment that is."""

    look_back: LookBack
    minutes: int
    ts_ns: int | None
    """Of the reference; null: there is none."""
    spot: float | None
    """At the reference."""
    open_interest: Change
    volume: Change


def window_ns(ts_ns: int, minutes: int) -> tuple[int, int] | None:
    """Return the first and last moment at which a reference of `ts_ns` may lie.

    The newest one in between counts. None: the look-back reaches to before the session's open.
    """
    open_ns = sessions.regular_open_ns(trading_date(ts_ns))
    last_ns = ts_ns - minutes * 60 * _NS if minutes else ts_ns - 1
    if last_ns < open_ns:
        return None
    return max(open_ns, ts_ns - (minutes * 60 + OLDER_S) * _NS), last_ns


def changes(now: Trace, found: Mapping[LookBack, Trace | None]) -> tuple[Changes, ...]:
    """Return the changes since each look-back; `found` has what lies in its window."""
    return tuple(_since(now, name, found.get(name)) for name in LOOK_BACKS)


def shifted(found: Sequence[Changes], points: float | None, reason: str) -> tuple[Changes, ...]:
    """Return an index's changes at the prices of its future: strikes and spots moved by points.

    Without points there is no strike, for the reason; dollars of totals stay what they are.
    """
    return tuple(
        msgspec.structs.replace(
            each,
            spot=None if each.spot is None or points is None else each.spot + points,
            open_interest=_shifted(each.open_interest, points, reason),
            volume=_shifted(each.volume, points, reason),
        )
        for each in found
    )


def priors(now: Trace, before: Sequence[Trace | None], weight: Weight) -> Floats:
    """Return (N, moments) what each of now's strikes had at those moments; NaN where nothing."""
    columns = [_at(now, one, weight) for one in before]
    return np.stack(columns, axis=1) if columns else np.empty((now.strikes.size, 0))


def usable(now: Trace, before: Trace | None) -> Trace | None:
    """Return the moment before if it may be compared: figures of two conventions never are."""
    return before if before is not None and before.convention == now.convention else None


def _shifted(found: Change, points: float | None, reason: str) -> Change:
    if found.strike is None:
        return found
    if points is None:
        return msgspec.structs.replace(found, strike=None, change=None, top=(), reason=reason)
    top = tuple((strike + points, change) for strike, change in found.top)
    return msgspec.structs.replace(found, strike=found.strike + points, top=top)


def _since(now: Trace, name: LookBack, found: Trace | None) -> Changes:
    before = usable(now, found)
    missing = GAP if window_ns(now.ts_ns, LOOK_BACKS[name]) else BEFORE_START
    by_oi, by_volume = (
        _change(now, before, weight)
        if before is not None
        else Change(reason=missing, net_gex_reason=missing)
        for weight in WEIGHTS
    )
    return Changes(
        look_back=name,
        minutes=LOOK_BACKS[name],
        ts_ns=before.ts_ns if before else None,
        spot=before.spot if before else None,
        open_interest=by_oi,
        volume=by_volume,
    )


def _change(now: Trace, before: Trace, weight: Weight) -> Change:
    difference = now.net(weight) - _at(now, before, weight)
    both = np.isfinite(difference)
    common = int(both.sum())
    present = [int(np.isfinite(one.net(weight)).sum()) for one in (now, before)]
    top = _largest(now.strikes[both], difference[both], now.spot)
    total, total_reason = _total(now, before, weight)
    reason = None
    if not top:
        reason = NO_CHANGE if common else now.totals(weight).reason or NO_COMMON
    return Change(
        strike=top[0][0] if top else None,
        change=top[0][1] if top else None,
        reason=reason,
        top=top,
        skipped=sum(present) - 2 * common,
        net_gex_change=total,
        net_gex_reason=total_reason,
    )


def _total(now: Trace, before: Trace, weight: Weight) -> tuple[float | None, str | None]:
    """Return the change of the total, or why there is none."""
    after, ago = now.totals(weight), before.totals(weight)
    if after.net_gex is None or ago.net_gex is None:
        return None, (after if after.net_gex is None else ago).reason
    return after.net_gex - ago.net_gex, None


def _largest(
    strikes: Floats, difference: Floats, spot: float | None
) -> tuple[tuple[float, float], ...]:
    """Return the largest changes that are none of 0."""
    size = np.abs(difference)
    away = np.abs(np.log(strikes / spot)) if spot else np.zeros(strikes.size)
    order = np.lexsort((strikes, away, -size))[:TOP]
    order = order[size[order] > 0]
    return tuple(zip(strikes[order].tolist(), difference[order].tolist(), strict=True))


def _at(now: Trace, before: Trace | None, weight: Weight) -> Floats:
    """Return (N,) what the moment before has at now's strikes; NaN where it has nothing."""
    if before is None or not before.strikes.size:
        return np.full(now.strikes.size, np.nan)
    at = np.minimum(np.searchsorted(before.strikes, now.strikes), before.strikes.size - 1)
    same = before.strikes[at] == now.strikes
    return np.where(same, before.net(weight)[at], np.nan)
