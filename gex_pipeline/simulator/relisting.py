"""Contracts that a script lists and delists beside the exchange's own programme."""

import datetime
from collections.abc import Sequence

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.simulator.acts import Contracts, Enlist
from gex_pipeline.simulator.assembly import Lines, kept_rows
from gex_pipeline.simulator.listings import Expiry
from gex_pipeline.simulator.script import Span


def relisted(
    lines: Sequence[Lines], symbol: str, day: datetime.date, listings: Sequence[Span]
) -> list[Lines]:
    """Return a symbol's contracts on a date after all that was listed and delisted, in order."""
    for span in listings:
        act = span.act
        if not isinstance(act, Contracts) or act.symbol != symbol or act.expiry < day:
            continue
        is_new = day <= et_datetime(span.from_ns).date()
        lines = _born(lines, act, is_new=is_new) if isinstance(act, Enlist) else _gone(lines, act)
    return list(lines)


def _born(lines: Sequence[Lines], act: Enlist, *, is_new: bool) -> list[Lines]:
    """Add contracts; on their first date nobody holds them."""
    same = [line for line in lines if _is_of(line, act)]
    others = [line for line in lines if not _is_of(line, act)]
    known: set[float] = {strike for line in same for strike in line.strike.tolist()}
    fresh = np.repeat(np.array([k for k in act.strikes if k not in known], dtype=np.float64), 2)
    held = np.full(fresh.size, 0.0 if is_new else np.nan)
    model = same[0] if same else _model(lines, act)
    strike = np.concatenate([model.strike, fresh])
    right = np.concatenate([model.right, np.tile(np.array([1, -1]), fresh.size // 2)])
    given = np.concatenate([_given(model), held])
    order = np.lexsort((-right, strike))
    line = msgspec.structs.replace(
        model, strike=strike[order], right=right[order], given_interest=given[order]
    )
    return sorted([*others, line], key=lambda each: (each.expiry.date, each.expiry.root))


def _gone(lines: Sequence[Lines], act: Contracts) -> list[Lines]:
    kept = []
    for line in lines:
        stays: Bools = ~np.isin(line.strike, act.strikes) & bool(act.strikes)
        if not _is_of(line, act):
            kept.append(line)
        elif stays.any():
            kept.append(kept_rows(line, stays))
    return kept


def _model(lines: Sequence[Lines], act: Enlist) -> Lines:
    """Return an expiry and root without contracts, like the symbol's others."""
    return msgspec.structs.replace(
        lines[0],
        expiry=Expiry(act.expiry, act.root, "W"),
        strike=np.zeros(0),
        right=np.zeros(0, dtype=np.int64),
        settlement="",
        deliverable=act.deliverable,
        given_interest=None,
        given_curve=None,
    )


def _given(line: Lines) -> Floats:
    return np.full(line.strike.size, np.nan) if line.given_interest is None else line.given_interest


def _is_of(line: Lines, act: Contracts) -> bool:
    return (line.expiry.date, line.expiry.root) == (act.expiry, act.root)
