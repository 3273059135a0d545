"""Zero gamma: where the profile truly changes sign, found by lobes and polished to the last digit.

A profile of real quotes has crossings that are noise: half a spread blurs a volatility by 0.4 to
2.3%. A lobe (run of one sign) whose peak is below a thousandth of the largest is therefore taken
out before the borders between lobes are read as crossings; a plain threshold per node would make
the number of crossings depend on the grid.
"""

import math
from collections.abc import Callable
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats

Evaluate = Callable[[Floats], tuple[Floats, Floats]]
"""x -> (G without its factor S exp(x), dG/dS') at each x, as profile.values."""

_STEPS_MAX: Final = 2
"""A border wider than this many nodes is a dead zone: any root in it would be arbitrary."""
_X_TOLERANCE: Final = 1e-9
"""The steps are Newton's: after one this small the error is of its square."""
_ROUNDS: Final = 60


class Flip(msgspec.Struct, frozen=True, kw_only=True):
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


class _Lobe(msgspec.Struct):
    first: int
    last: int
    sign: int
    peak: float


def find_crossings(
    x: Floats, g: Floats, evaluate: Evaluate, spot: float, gate: float, grid_span: float
) -> Crossings:
    """Return the crossings of the profile `g` (any positive factor left out) over the nodes `x`."""
    lobes = _without_noise(_lobes(g), gate)
    if not lobes:
        return Crossings(reason="no_exposure")
    borders = [(left.last, right.first) for left, right in zip(lobes, lobes[1:], strict=False)]
    sharp = [border for border in borders if border[1] - border[0] <= _STEPS_MAX]
    dead = len(borders) - len(sharp)
    if not sharp:
        reason = "only_across_dead_zone" if dead else "no_crossing_in_range"
        return Crossings(dead_zone_changes=dead, reason=reason)
    low, high = np.array(sharp).T
    roots, slopes = _roots(x[low], x[high], g[low], g[high], evaluate)
    flips = tuple(
        Flip(
            spot=spot * math.exp(root),
            slope=slope,
            dir="up" if rising else "down",
            distance=root,
            outside_grid=abs(root) > grid_span,
        )
        for root, slope, rising in zip(
            roots.tolist(), slopes.tolist(), (g[low] < 0).tolist(), strict=True
        )
    )
    return Crossings(flips=flips, dead_zone_changes=dead)


def _lobes(g: Floats) -> list[_Lobe]:
    """Return the maximal runs of one sign; nodes that are exactly zero are in none."""
    index = np.flatnonzero(np.isfinite(g) & (g != 0))
    if not index.size:
        return []
    sign = np.sign(g[index])
    breaks = np.flatnonzero(sign[1:] != sign[:-1]) + 1
    return [
        _Lobe(int(run[0]), int(run[-1]), int(np.sign(g[run[0]])), float(np.abs(g[run]).max()))
        for run in np.split(index, breaks)
    ]


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
    merged = _Lobe(left.first, right.last, left.sign, max(left.peak, right.peak))
    return [*lobes[: at - 1], merged, *lobes[at + 2 :]]


def _roots(
    low: Floats, high: Floats, g_low: Floats, g_high: Floats, evaluate: Evaluate
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
