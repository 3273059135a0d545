"""Change over time as of a moment of the past: what the lake's exposure by strike says of it.

The lake keeps exposure by strike every 15 seconds, of two scopes. So the moment compared is the
newest of these that is no later than what was asked for, `current` is the one before it, and each
reference is one of them too; all else is the code of live.
"""

import datetime
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
import polars as pl

from gex_pipeline.errors import ConventionError, NoLakeError, NotRecordedError
from gex_pipeline.exposure.change import (
    LOOK_BACKS,
    OLDER_S,
    LookBack,
    changes,
    window_ns,
)
from gex_pipeline.exposure.live import asof_ns, trading_date
from gex_pipeline.exposure.moment import BY_STRIKE, STRIKES_EVERY_S
from gex_pipeline.exposure.trace import NOT_RECORDED, Figures, Totals, Trace
from gex_pipeline.gateway.answer import Mode
from gex_pipeline.gateway.changes import MaxChange, null_reasons
from gex_pipeline.gateway.history import damage
from gex_pipeline.lake.frames import Lake
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.tables import GEX, GEX_STRIKES

_NS: Final = sessions.SECOND_NS
_REACH_NS: Final = (max(LOOK_BACKS.values()) * 60 + 2 * OLDER_S) * _NS
_WEIGHTED: Final = ("net_gex", "zero_gamma", "max_net_strike", "min_net_strike")
_SOURCE: Final = "lake"
_Row = dict[str, Any]


class Changed(msgspec.Struct, frozen=True):
    """What changed up to a moment of the past."""

    mode: Mode
    answer: MaxChange


def changed(root: Path, symbol: str, scope: str, ts_ns: int) -> Changed:
    """Return what changed up to a moment.

    Raises:
        ConventionError: the lake keeps no exposure by strike of that scope.
        NotRecordedError: it does not hold the moment.
    """
    if scope not in BY_STRIKE:
        raise ConventionError("Scope of the past", scope, BY_STRIKE)
    at_ns = asof_ns(ts_ns, symbol)
    with damage() as damaged:
        rows, totals = _rows(root, symbol, scope, at_ns)
    if not rows or rows[-1]["ts_recv_ns"] < at_ns - OLDER_S * _NS:
        held = "of the minute before it there is none"
        raise NotRecordedError(symbol, _told(ts_ns), "; ".join((held, *damaged)))
    traces = [_trace(row, totals.get(row["ts_recv_ns"])) for row in rows]
    mode = cast("Mode", "real" if rows[-1]["mode"] == "live" else rows[-1]["mode"])
    return Changed(mode, _answer(symbol, scope, traces, totals.get(traces[-1].ts_ns, {})))


def _rows(root: Path, symbol: str, scope: str, at_ns: int) -> tuple[list[_Row], dict[int, _Row]]:
    """Return exposure by strike of the half hour before a moment, and the totals by second."""
    day = trading_date(at_ns)
    try:
        lake = Lake(root)
        strikes = _scan(lake, GEX_STRIKES.name, day, (symbol, scope), at_ns)
        seconds = strikes.select("ts_recv_ns")["ts_recv_ns"]
        totals = _scan(lake, GEX.name, day, (symbol, scope), at_ns)
    except NoLakeError as error:
        raise NotRecordedError(symbol, _told(at_ns), "there is none yet") from error
    totals = totals.filter(pl.col("ts_recv_ns").is_in(seconds.implode()))
    return strikes.to_dicts(), {row["ts_recv_ns"]: row for row in totals.to_dicts()}


def _scan(
    lake: Lake, table: str, day: datetime.date, subject: tuple[str, str], at_ns: int
) -> pl.DataFrame:
    symbol, scope = subject
    return (
        lake.scan(table, start=day, end=day, symbols=[symbol])
        .filter(
            pl.col("scope") == scope,
            pl.col("ts_recv_ns").is_between(at_ns - _REACH_NS, at_ns),
        )
        .sort("ts_recv_ns")
        .collect()
    )


def _trace(row: _Row, totals: _Row | None) -> Trace:
    return Trace(
        ts_ns=row["ts_recv_ns"],
        spot=row["spot"],
        convention=row["convention"],
        strikes=np.array(row["strikes"], dtype=np.float64),
        open_interest=_net(row, "oi"),
        volume=_net(row, "volume"),
        figures=_figures(totals) if totals else Figures(),
    )


def _net(row: _Row, weight: str) -> Floats:
    """Return net GEX by strike; NaN where the weight has no answer."""
    call, put = row[f"call_gex_{weight}"], row[f"put_gex_{weight}"]
    if not call:
        return np.full(len(row["strikes"]), np.nan)
    return np.array(call, dtype=np.float64) + np.array(put, dtype=np.float64)


def _figures(totals: _Row) -> Figures:
    reasons = msgspec.json.decode(totals["null_reasons"] or "{}", type=dict[str, str])
    by_oi, by_volume = (
        Totals(
            **{name: totals[f"{name}_{weight}"] for name in _WEIGHTED},
            reason=reasons.get(name, NOT_RECORDED) if totals[f"net_gex_{weight}"] is None else None,
        )
        for weight, name in (("oi", "net_gex"), ("volume", "net_gex_volume"))
    )
    return Figures(
        contracts=totals["contracts"],
        confidence=totals["confidence"],
        confidence_level=totals["confidence_level"],
        open_interest=by_oi,
        volume=by_volume,
    )


def _answer(symbol: str, scope: str, traces: list[Trace], totals: _Row) -> MaxChange:
    now, figures = traces[-1], traces[-1].figures
    return MaxChange(
        symbol=symbol,
        scope=scope,
        source=_SOURCE,
        spot=now.spot,
        ts_event_ns=now.ts_ns,
        resolution_s=STRIKES_EVERY_S,
        convention=now.convention,
        contracts=figures.contracts,
        confidence=figures.confidence,
        confidence_level=figures.confidence_level,
        gap_s=totals.get("gap_s"),
        gap_causes=None,
        net_gex=figures.open_interest.net_gex,
        net_gex_volume=figures.volume.net_gex,
        null_reasons=null_reasons(now.spot, totals.get("gap_s"), figures),
        changes=changes(now, _references(now, traces)),
    )


def _references(now: Trace, traces: list[Trace]) -> dict[LookBack, Trace | None]:
    """Return the newest trace in the window of each look-back."""
    found: dict[LookBack, Trace | None] = {}
    for name, minutes in LOOK_BACKS.items():
        first_ns, last_ns = window_ns(now.ts_ns, minutes) or (1, 0)
        inside = [each for each in traces if first_ns <= each.ts_ns <= last_ns]
        found[name] = inside[-1] if inside else None
    return found


def _told(ts_ns: int) -> str:
    return sessions.et_datetime(ts_ns).isoformat(timespec="seconds")
