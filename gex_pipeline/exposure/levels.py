"""Levels: walls and other strikes that stand out, max pain, expected move.

A wall is where one side's gamma is largest on its own side of spot: definitions differ between
tools on most chains, so the payload carries this one.
"""

import datetime
import math
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.market.arrays import Floats

CANDIDATES: Final = 3
WALL_DEFINITION: Final = (
    "call wall: strike at or above spot with the largest call gamma exposure; put wall: strike at"
    " or below spot with the largest absolute put gamma exposure; *_global: the same without the"
    " side of spot; share: of all call (put) exposure of the scope"
)


class Level(msgspec.Struct, frozen=True, gc=False):
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


_NO_WALLS: Final = Walls()
_LISTS: Final = Walls.__struct_fields__[:-1]
"""All but the definition, in the order in which they are filled."""
_LEAST: Final = 5e-324


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
    return find_many_walls(strikes, calls[np.newaxis], puts[np.newaxis], spot)[0]


def find_many_walls(strikes: Floats, calls: Floats, puts: Floats, spot: float) -> list[Walls]:
    """Return the levels of each row of call and absolute put exposure by strike, (R, M)."""
    if not strikes.size:
        return [_NO_WALLS] * len(calls)
    net = calls - puts
    sizes = np.empty((len(calls), len(_LISTS), strikes.size))
    sizes[:, 0], sizes[:, 1] = calls * (strikes >= spot), puts * (strikes <= spot)
    sizes[:, 2], sizes[:, 3], sizes[:, 4] = calls, puts, calls + puts
    sizes[:, 5], sizes[:, 6] = np.maximum(net, 0), np.maximum(-net, 0)
    totals = sizes.sum(axis=2)
    totals[:, :2] = totals[:, 2:4]
    lists = _largest(strikes, sizes.reshape(-1, strikes.size), totals.ravel(), spot)
    rows = (lists[at : at + len(_LISTS)] for at in range(0, len(lists), len(_LISTS)))
    return [
        msgspec.structs.replace(_NO_WALLS, **dict(zip(_LISTS, row, strict=True))) for row in rows
    ]


def _largest(
    strikes: Floats, sizes: Floats, totals: Floats, spot: float
) -> list[tuple[Level, ...]]:
    """Return the largest strikes of each row of `sizes`, with their share of the row's total.

    Ties go to the strike nearest to spot in log, then to the lower.
    """
    row, index = np.divmod(np.flatnonzero(sizes >= _floors(sizes)), strikes.size)
    size, strike = sizes[row, index], strikes[index]
    order = np.lexsort((strike, np.abs(np.log(strike / spot)), -size, row))
    row, size, strike = row[order], size[order], strike[order]
    share = size / totals[row]
    found = list(map(Level, strike.tolist(), size.tolist(), share.tolist()))
    starts = np.searchsorted(row, np.arange(len(sizes) + 1)).tolist()
    return [tuple(found[first : min(first + CANDIDATES, last)]) for first, last in pairwise(starts)]


def _floors(sizes: Floats) -> Floats:
    """Return (rows, 1) the third largest size of each row; above 0, so that nothing is no wall."""
    rest, rows = sizes.copy(), np.arange(len(sizes))
    for _ in range(min(CANDIDATES, sizes.shape[1]) - 1):
        rest[rows, rest.argmax(axis=1)] = -1.0
    return np.asarray(np.maximum(rest.max(axis=1, keepdims=True), _LEAST))


def max_pain(strikes: Floats, call_oi: Floats, put_oi: Floats, spot: float) -> float | None:
    """Return the strike where option holders are paid least; None without open interest.

    Arrays are by listed strike, ascending. What holders get is convex in the settlement price, and
    just above strike i its slope is (calls up to i) - (puts above i): the least stands where the
    running sum of both kinds first reaches all puts. It is flat where it equals them: then the
    strike nearest to spot counts, then the lower.
    """
    running = np.cumsum(call_oi + put_oi)
    if not running.size or running[-1] == 0:
        return None
    puts = put_oi.sum()
    first = int(np.searchsorted(running, puts))
    last = int(np.searchsorted(running, puts, side="right"))
    return nearest(strikes[first : min(last, running.size - 1) + 1].tolist(), spot)


def nearest(strikes: list[float], spot: float) -> float:
    """Return the strike nearest to spot in log, the lower of two as near."""
    if len(strikes) == 1:
        return strikes[0]
    return min(strikes, key=lambda strike: (abs(math.log(strike / spot)), strike))


def find_expected_move(chain: Chain, smile: Smile) -> ExpectedMove | None:
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
    points = float(chain.mid[:, line].sum() / smile.carry.df[at])
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
