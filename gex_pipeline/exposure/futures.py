"""An index's figures in the points of its future: levels + basis; dollars stay what they are.

What the basis is worth depends on when it is asked for: it grows old by itself, and a future that
is not quoted any more shows by that alone.
"""

from typing import Any, Final

import msgspec

from gex_pipeline.exposure.basis import TOO_OLD_S, Method
from gex_pipeline.exposure.moment import LiveSnapshot
from gex_pipeline.market.events import Basis
from gex_pipeline.market.futures import expiry_of, root_of
from gex_pipeline.market.sessions import SECOND_NS

NO_BASIS: Final = "no_basis"
NOTE: Final = "level of the index + basis; dollars per +1% of the index"
_LEVELS: Final = (
    "zero_gamma",
    "call_wall",
    "put_wall",
    "abs_gamma_strike",
    "max_net_strike",
    "min_net_strike",
    "max_pain",
)
_TABLES: Final = ("flips", "walls", "profile", "strikes")
"""Of these each row stands at a price."""
_KEPT: Final = ("spot", "zero_gamma", "call_wall", "put_wall")
"""That stand beside in the index's own points."""

Figures = dict[str, Any]
"""A snapshot, or a part of it, as JSON has it."""


class FutureBasis(msgspec.Struct, frozen=True, kw_only=True):
    """How far a future stood from its index at one second."""

    ts_ns: int
    method: Method | None = None
    basis: float | None = None
    reason: str | None = None
    contract: str | None = None
    quoted: str | None = None
    samples: int | None = None
    ts_live_ns: int | None = None
    parity: float | None = None
    mid: float | None = None
    index_price: float | None = None


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """The basis that an answer stands on, at the moment of the answer."""

    points: float | None
    """Future less index; None: see `reason`."""
    source: Method | None
    """live: measured now; last: the newest that was; parity: implied by the index's options."""
    age_s: float | None
    """In market time, since it was measured or implied."""
    stale: bool
    reason: str | None = None
    """Why there is none: never_measured, no_future, no_index, roll, too_old."""
    contract: str | None = None
    """That the root stands for."""
    expires: str | None = None
    """The day on which that contract settles."""
    quoted: str | None = None
    """Whose quotes were taken."""
    from_twin: bool = False
    """The micro's, or the big one's of a micro: the root itself is not quoted."""
    samples: int | None = None
    """Seconds of the newest 30 with a price of both."""
    note: str = NOTE


class FutureSnapshot(LiveSnapshot, frozen=True, kw_only=True):
    """An index's snapshot in the points of its future."""

    index: str
    index_levels: dict[str, float | None]
    """Spot, zero gamma and walls in the index's own points."""
    basis: InForce


def of_row(row: Basis) -> FutureBasis:
    """Return a recorded row as it is published."""
    return FutureBasis(
        ts_ns=row.ts_recv_ns,
        method=row.method,
        basis=row.basis,
        reason=row.reason,
        contract=row.contract,
        quoted=row.quoted,
        samples=row.samples,
        ts_live_ns=row.ts_live_ns,
        parity=row.parity,
        mid=row.mid,
        index_price=row.index_price,
    )


def in_force(
    root: str, known: FutureBasis | None, now_ns: int, stale_after_s: float, contract: str | None
) -> InForce:
    """Return the basis of a future at a moment; `contract` is what the root stands for by then."""
    if known is None:
        return InForce(points=None, source=None, age_s=None, stale=True, reason="never_measured")
    measured_ns = known.ts_ns if known.method == "parity" else known.ts_live_ns
    age_s = max(now_ns - measured_ns, 0) / SECOND_NS if measured_ns else None
    reason = known.reason
    if contract and known.contract and contract != known.contract:
        reason = "roll"
    elif reason is None and age_s is not None and age_s > TOO_OLD_S:
        reason = "too_old"
    here = contract or known.contract
    return InForce(
        points=None if reason else known.basis,
        source=None if reason else _source(known, now_ns),
        age_s=None if age_s is None else round(age_s, 3),
        stale=reason is not None or age_s is None or age_s > stale_after_s,
        reason=reason,
        contract=here,
        expires=expiry_of(here).isoformat() if here else None,
        quoted=known.quoted,
        from_twin=known.quoted is not None and root_of(known.quoted) != root,
        samples=known.samples,
    )


def _source(known: FutureBasis, now_ns: int) -> Method | None:
    """Return how it came about; what was live a few seconds ago is the last one by now."""
    grown = known.method == "live" and now_ns - known.ts_ns > _LIVE_FOR_NS
    return "last" if grown else known.method


_LIVE_FOR_NS: Final = 5 * SECOND_NS


def moved(snapshot: Figures, symbol: str, basis: InForce) -> Figures:
    """Return an index's snapshot as that of its future or view `symbol`.

    Without a basis every level is null, with the basis's reason, and what is listed by price is
    empty. `index_levels` are the index's own.
    """
    shift, reason = basis.points, basis.reason or NO_BASIS
    answer = _exposure(snapshot, shift, reason)
    answer["spot"] = _level(snapshot.get("spot"), shift)
    if shift is None:
        answer["null_reasons"] = {"spot": reason} | answer["null_reasons"]
    if snapshot.get("raw") is not None:
        answer["raw"] = _exposure(snapshot["raw"], shift, reason)
    answer["expiries"] = [_expiry(row, shift) for row in snapshot.get("expiries") or ()]
    return answer | {
        "symbol": symbol,
        "index": snapshot["symbol"],
        "index_levels": {name: snapshot.get(name) for name in _KEPT},
    }


def moved_snapshot(snapshot: LiveSnapshot, symbol: str, basis: InForce) -> FutureSnapshot:
    """Return the same as a value."""
    figures = moved(msgspec.json.decode(msgspec.json.encode(snapshot)), symbol, basis)
    return msgspec.convert(figures | {"basis": basis}, FutureSnapshot, strict=False)


def _exposure(part: Figures, shift: float | None, reason: str) -> Figures:
    """Return a part that has levels of its own: the snapshot, its volume, what is under raw."""
    answer = dict(part)
    answer |= {name: _level(part[name], shift) for name in _LEVELS if name in part}
    if "flips" in part:
        answer["flips"] = _at_prices(part["flips"], "spot", shift)
    if "strikes" in part:
        answer["strikes"] = _at_prices(part["strikes"], "strike", shift)
    if "profile" in part:
        points = part["profile"] if shift is not None else ()
        answer["profile"] = [[at + (shift or 0.0), gex] for at, gex in points]
    if part.get("walls") is not None:
        answer["walls"] = _walls(part["walls"], shift)
    if part.get("expected_move") is not None:
        answer["expected_move"] = _move(part["expected_move"], shift)
    if part.get("volume") is not None and "zero_gamma" in part["volume"]:
        answer["volume"] = _exposure(part["volume"], shift, reason)
    if "null_reasons" in part and shift is None:
        names = [name for name in (*_LEVELS, *_TABLES) if name in part]
        answer["null_reasons"] = dict.fromkeys(names, reason) | part["null_reasons"]
    return answer


def _level(value: float | None, shift: float | None) -> float | None:
    return None if value is None or shift is None else value + shift


def _at_prices(rows: list[Figures], name: str, shift: float | None) -> list[Figures]:
    return [] if shift is None else [{**row, name: row[name] + shift} for row in rows]


def _walls(walls: Figures, shift: float | None) -> Figures | None:
    if shift is None:
        return None
    return {
        name: _at_prices(ranked, "strike", shift) if isinstance(ranked, list) else ranked
        for name, ranked in walls.items()
    }


def _move(move: Figures, shift: float | None) -> Figures:
    return {**move, "strike": _level(move.get("strike"), shift)}


def _expiry(row: Figures, shift: float | None) -> Figures:
    levels = {name: _level(row.get(name), shift) for name in ("forward", "max_pain")}
    return {**row, **levels}
