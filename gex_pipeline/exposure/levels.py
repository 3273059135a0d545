"""Levels: walls and other strikes that stand out, max pain, expected move.

A wall is where one side's gamma is largest on its own side of spot: definitions differ between
tools on most chains, so the payload carries this one.
"""

import datetime
import math
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.market.arrays import Bools, Floats

CANDIDATES: Final = 3
WALL_DEFINITION: Final = (
    "call wall: strike at or above spot with the largest call gamma exposure; put wall: strike at"
    " or below spot with the largest absolute put gamma exposure; *_global: the same without the"
    " side of spot; share: of all call (put) exposure of the scope"
)


class Level(msgspec.Struct, frozen=True):
    """A strike that stands out."""

    strike: float
    size: float
    """$ per 1%, absolute."""
    share: float
    """Of the total that the list is about."""


class Walls(msgspec.Struct, frozen=True, kw_only=True):
    """Strikes by size, largest first; ties go to the one nearest spot, then to the lower."""

    call: tuple[Level, ...] = ()
    put: tuple[Level, ...] = ()
    call_global: tuple[Level, ...] = ()
    put_global: tuple[Level, ...] = ()
    abs_gamma: tuple[Level, ...] = ()
    """By call plus absolute put exposure; share of both."""
    max_net: tuple[Level, ...] = ()
    """By calls less puts where positive; share of all positive strikes."""
    min_net: tuple[Level, ...] = ()
    """By puts less calls where positive; share of all negative strikes."""
    definition: str = WALL_DEFINITION


class ExpectedMove(msgspec.Struct, frozen=True, kw_only=True):
    """What the at-the-money straddle of the first expiry pays, undiscounted."""

    expiry: datetime.date
    root: str
    strike: float | None = None
    points: float | None = None
    share: float | None = None
    """points / spot"""
    sigma_points: float | None = None
    """One standard deviation, F iv sqrt(T)."""
    iv: float | None = None
    reason: str | None = None
    """Why there is none: no_parity_forward, no_two_sided_straddle."""


def find_walls(strikes: Floats, calls: Floats, puts: Floats, spot: float) -> Walls:
    """Return all levels from call and absolute put exposure by strike (both >= 0)."""
    above, below = strikes >= spot, strikes <= spot
    net = calls - puts

    def largest(size: Floats, allowed: Bools, count: int = CANDIDATES) -> tuple[Level, ...]:
        return _largest(strikes, size, allowed, spot, count)

    everywhere = np.ones(strikes.size, dtype=bool)
    return Walls(
        call=largest(calls, above),
        put=largest(puts, below),
        call_global=largest(calls, everywhere),
        put_global=largest(puts, everywhere),
        abs_gamma=largest(calls + puts, everywhere),
        max_net=largest(np.maximum(net, 0), everywhere),
        min_net=largest(np.maximum(-net, 0), everywhere),
    )


def _largest(
    strikes: Floats, size: Floats, allowed: Bools, spot: float, count: int
) -> tuple[Level, ...]:
    total = float(size.sum())
    index = np.flatnonzero(allowed & (size > 0))
    order = np.lexsort((strikes[index], np.abs(np.log(strikes[index] / spot)), -size[index]))
    return tuple(
        Level(float(strikes[i]), float(size[i]), float(size[i]) / total)
        for i in index[order[:count]]
    )


def max_pain(strikes: Floats, call_oi: Floats, put_oi: Floats, spot: float) -> float | None:
    """Return the strike where option holders are paid least; None without open interest.

    Arrays are by listed strike, ascending. The nearest to spot of equal ones, then the lower.
    """
    if not (call_oi.any() or put_oi.any()):
        return None
    put_worth = put_oi * strikes
    calls = strikes * np.cumsum(call_oi) - np.cumsum(call_oi * strikes)
    puts = (put_worth.sum() - np.cumsum(put_worth)) - strikes * (put_oi.sum() - np.cumsum(put_oi))
    order = np.lexsort((strikes, np.abs(np.log(strikes / spot)), calls + puts))
    return float(strikes[order[0]])


def expected_move(chain: Chain, smile: Smile) -> ExpectedMove | None:
    """Return the move that the first unexpired date's last settlement prices; None if all expired.

    Never walks on to a later expiry: on a chain with one good forward that would be a straddle of
    the year after next.
    """
    live = [g for g in range(len(chain.groups)) if smile.live[g]]
    if not live:
        return None
    first = min(chain.groups[g].settle_date for g in live)
    at = max(
        (g for g in live if chain.groups[g].settle_date == first),
        key=lambda g: (chain.groups[g].settle_ns, chain.groups[g].root),
    )
    group, forward = chain.groups[at], smile.forwards[at]
    if forward is None or forward.method != "parity":
        return ExpectedMove(expiry=group.expiry, root=group.root, reason="no_parity_forward")
    lines = np.arange(chain.group_start[at], chain.group_start[at + 1])
    lines = lines[smile.two_sided[CALL, lines] & smile.two_sided[PUT, lines]]
    if not lines.size:
        return ExpectedMove(expiry=group.expiry, root=group.root, reason="no_two_sided_straddle")
    line = lines[np.argmin(np.abs(chain.strike[lines] - forward.value))]
    points = float(chain.mid[:, line].sum() / smile.df[at])
    iv = float(smile.iv[line])
    known = math.isfinite(iv)
    return ExpectedMove(
        expiry=group.expiry,
        root=group.root,
        strike=float(chain.strike[line]),
        points=points,
        share=points / chain.spot,
        sigma_points=forward.value * iv * math.sqrt(smile.years[at]) if known else None,
        iv=iv if known else None,
    )
