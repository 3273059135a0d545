"""Zero gamma: where the profile truly changes sign, found by lobes and polished to the last digit.

A profile of real quotes has crossings that are noise: half a spread blurs a volatility by 0.4 to
2.3%. A lobe (run of one sign) whose peak is below a thousandth of the largest is therefore taken
out before the borders between lobes are read as crossings; a plain threshold per node would make
the number of crossings depend on the grid.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints

Evaluate = Callable[[Ints, Floats], tuple[Floats, Floats]]
"""(curve, x) -> (G without its factor S exp(x), dG/dS') of that curve at each x."""

_STEPS_MAX: Final = 2
"""A border wider than this many nodes is a dead zone: any root in it would be arbitrary."""
_X_TOLERANCE: Final = 1e-12
_ROUNDS: Final = 60


class Flip(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One crossing of zero."""

    spot: float
    """Points."""
    slope: float
    """$ per 1% per point."""
    dir: Literal["up", "down"]
    """up: negative gamma below, positive above."""
    distance: float
    """log(crossing / spot)."""
    outside_grid: bool
    """Beyond the profile's own span of +-10%."""


class Crossings(msgspec.Struct, frozen=True, kw_only=True):
    """All crossings, ascending, and the sign changes that are none."""

    flips: tuple[Flip, ...] = ()
    dead_zone_changes: int = 0
    reason: str | None = None
    """Why there is no crossing: no_exposure, no_crossing_in_range, only_across_dead_zone."""

    @property
    def nearest(self) -> Flip | None:
        """The headline: the crossing nearest to spot, the lower one of two as near."""
        return min(self.flips, key=lambda flip: (abs(flip.distance), flip.distance), default=None)


class _Lobe(msgspec.Struct, gc=False):
    first: int
    last: int
    peak: float


def find_crossings(
    x: Floats, curves: Floats, evaluate: Evaluate, spot: float, gate: float, grid_span: float
) -> list[Crossings]:
    """Return the crossings of each of the `curves`, (W, nodes), over the same nodes `x`.

    A positive factor of a curve does not matter; roots of all curves are polished together.
    """
    borders = [_borders(_without_noise(_lobes(g), gate)) for g in curves]
    sharp = [
        (w, *border) for w, pairs in enumerate(borders) for border in pairs or () if _sharp(border)
    ]
    flips: list[list[Flip]] = [[] for _ in borders]
    if sharp:
        curve, left, right = np.array(sharp).T
        roots, slopes = _roots(
            x[left], x[right], curves[curve, left], curves[curve, right], partial(evaluate, curve)
        )
        rising = curves[curve, left] < 0
        columns = (curve, roots, slopes, rising)
        for w, root, slope, up in zip(*(column.tolist() for column in columns), strict=True):
            flips[w].append(_flip(root, slope, up=up, spot=spot, grid_span=grid_span))
    return [_answer(pairs, tuple(found)) for pairs, found in zip(borders, flips, strict=True)]


def _sharp(border: tuple[int, int]) -> bool:
    return border[1] - border[0] <= _STEPS_MAX


def _flip(root: float, slope: float, *, up: bool, spot: float, grid_span: float) -> Flip:
    return Flip(
        spot=spot * math.exp(root),
        slope=slope,
        dir="up" if up else "down",
        distance=root,
        outside_grid=abs(root) > grid_span,
    )


def _answer(borders: list[tuple[int, int]] | None, flips: tuple[Flip, ...]) -> Crossings:
    if borders is None:
        return Crossings(reason="no_exposure")
    dead = len(borders) - len(flips)
    if flips:
        return Crossings(flips=flips, dead_zone_changes=dead)
    reason = "only_across_dead_zone" if dead else "no_crossing_in_range"
    return Crossings(dead_zone_changes=dead, reason=reason)


def _borders(lobes: list[_Lobe]) -> list[tuple[int, int]] | None:
    """Return the last node of each lobe and the first of the next; None without any lobe."""
    if not lobes:
        return None
    return [(left.last, right.first) for left, right in pairwise(lobes)]


def _lobes(g: Floats) -> list[_Lobe]:
    """Return the maximal runs of one sign; nodes that are exactly zero are in none."""
    index = np.flatnonzero(np.isfinite(g) & (g != 0))
    if not index.size:
        return []
    kept = g[index]
    starts = np.flatnonzero(np.concatenate(([True], (kept[1:] > 0) != (kept[:-1] > 0))))
    peaks = np.maximum.reduceat(np.abs(kept), starts)
    firsts = index[starts]
    lasts = index[np.concatenate((starts[1:] - 1, [index.size - 1]))]
    return list(map(_Lobe, firsts.tolist(), lasts.tolist(), peaks.tolist()))


def _without_noise(lobes: list[_Lobe], gate: float) -> list[_Lobe]:
    """Return the lobes left when the smallest below the gate is removed, again and again."""
    threshold = gate * max((lobe.peak for lobe in lobes), default=0.0)
    while len(lobes) > 1:
        smallest = min(range(len(lobes)), key=lambda i: lobes[i].peak)
        if lobes[smallest].peak >= threshold:
            break
        lobes = _removed(lobes, smallest)
    return lobes


def _removed(lobes: list[_Lobe], at: int) -> list[_Lobe]:
    """Return the list without one lobe: an inner one's neighbours become one, an end just goes."""
    if at in (0, len(lobes) - 1):
        return lobes[:at] + lobes[at + 1 :]
    left, right = lobes[at - 1], lobes[at + 1]
    merged = _Lobe(left.first, right.last, max(left.peak, right.peak))
    return [*lobes[: at - 1], merged, *lobes[at + 2 :]]


def _roots(
    low: Floats,
    high: Floats,
    g_low: Floats,
    g_high: Floats,
    evaluate: Callable[[Floats], tuple[Floats, Floats]],
) -> tuple[Floats, Floats]:
    """Return the root in each bracket and dG/dS' there, by Newton's steps that never leave it.

    dG/dx = S exp(x) dG/dS', so the ratio of what `evaluate` returns is the Newton step in x.
    """
    rising = g_low < 0
    x = low - g_low * (high - low) / (g_high - g_low)
    slope = np.zeros_like(x)
    for _ in range(_ROUNDS):
        total, slope = evaluate(x)
        before_root = (total < 0) == rising
        low, high = np.where(before_root, x, low), np.where(before_root, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.where(total == 0, x, x - total / slope)
        moved = np.where((moved >= low) & (moved <= high), moved, 0.5 * (low + high))
        done = np.abs(moved - x) <= _X_TOLERANCE
        x = moved
        if done.all():
            break
    return x, slope
