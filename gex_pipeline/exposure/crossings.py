"""Zero gamma: where the profile truly changes sign, found by lobes and polished to the last digit.

A profile of real quotes has crossings that are noise: half a spread blurs a volatility by 0.4 to
2.3%. A lobe (run of one sign) whose peak is below a thousandth of the largest is therefore taken
out before the borders between lobes are read as crossings; a plain threshold per node would make
the number of crossings depend on the grid.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints

Curves = Callable[[Floats], tuple[Floats, Floats]]
"""x -> (G without its factor S exp(x), dG/dS'), each x on a curve of its own."""
Evaluate = Callable[[Ints], Curves]
"""Which curve each x is on -> what gives their values."""

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


class _Bracket(msgspec.Struct, gc=False):
    """What is left of the stretch that holds a root."""

    low: float
    high: float
    g_low: float
    g_high: float

    @property
    def chord(self) -> float:
        """Where the straight line between its ends crosses zero."""
        return self.low - self.g_low * (self.high - self.low) / (self.g_high - self.g_low)

    def narrowed(self, x: float, g: float, slope: float) -> float:
        """Take in the curve at x; return the Newton step from it, or the middle if it leaves."""
        if (g < 0) == (self.g_low < 0):
            self.low = x
        else:
            self.high = x
        if g == 0:
            return x
        step = x - g / slope if slope else math.nan
        return step if self.low <= step <= self.high else 0.5 * (self.low + self.high)


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
        brackets = [
            _Bracket(*x[[left, right]].tolist(), *curves[w, [left, right]].tolist())
            for w, left, right in sharp
        ]
        rising = [bracket.g_low < 0 for bracket in brackets]
        curve = np.array([w for w, _, _ in sharp])
        roots = _roots(brackets, evaluate(curve))
        for (w, _, _), up, (root, slope) in zip(sharp, rising, roots, strict=True):
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
    large = [i for i, lobe in enumerate(lobes) if lobe.peak >= threshold]
    if large:
        lobes = lobes[large[0] : large[-1] + 1]  # noise beyond them just goes
    while len(lobes) > max(len(large), 1):
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


def _roots(brackets: list[_Bracket], evaluate: Curves) -> list[tuple[float, float]]:
    """Return the root in each bracket and dG/dS' there, by Newton's steps that never leave it.

    dG/dx = S exp(x) dG/dS', so the ratio of what `evaluate` returns is the Newton step in x.
    """
    x = [bracket.chord for bracket in brackets]
    slopes: list[float] = []
    for _ in range(_ROUNDS):
        totals, at = evaluate(np.array(x))
        slopes, before = at.tolist(), x
        steps = zip(brackets, x, totals.tolist(), slopes, strict=True)
        x = [bracket.narrowed(place, g, slope) for bracket, place, g, slope in steps]
        moved = (abs(new - old) for new, old in zip(x, before, strict=True))
        if all(step <= _X_TOLERANCE for step in moved):
            break
    return list(zip(x, slopes, strict=True))
