"""The exposure profile: net GEX as a function of spot, every volatility held at its strike.

With x = log(S'/S), each line is a bell: GEX(x) = S exp(x) sum_i c_i exp(-(a_i x + b_i)^2 / 2) with
a = 1/(sigma sqrt T) and b = d1 at spot. So a node costs one exp per line, and two things save most
of them. An expiry's curve is smooth on the scale of its narrowest bell: a week to expiry or more it
is computed at Chebyshev's nodes, as few as that scale asks for, and carried to all others by the
polynomial through them. Nearer to expiry neighbouring lines are near zero at the same nodes: a
block of them is computed only where one of its bells is above 2e-16 of its peak.
"""

import math
from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints

REACH: Final = 8.5
"""exp(-8.5^2/2) = 2e-16: beyond this many standard deviations a bell is below rounding."""
_BLOCK_EXPONENTS: Final = 40_000
"""Exponents at a time: a block stays in the cache."""
_BLOCK_LINES_MIN: Final = 32
_DEGREE: Final = (12.0, 7.2)
"""Chebyshev's nodes, base and per deviation of the narrowest bell between middle and end: the
polynomial then errs by less than 1e-13 of a bell's peak."""
_WORTH: Final = 0.8
"""Share of the nodes asked for above which interpolation saves nothing,"""
_DEVIATIONS_MAX: Final = 12.0
"""and where it ends: a tail far below a curve's peak keeps its sign only in a direct sum."""


class _Grid(msgspec.Struct, frozen=True, eq=False):
    """Where a curve is computed, and how it is carried to the nodes asked for."""

    nodes: list[float]
    """Ascending."""
    powers: Floats
    """(3, nodes) their squares, themselves and 1."""
    spread: Floats | None
    """(nodes, nodes asked for) weights of the polynomial; None: both are the same."""


def nodes(span: float, count: int) -> Floats:
    """Return `count` (odd) equal steps of x over [-span, span]; the middle one is exactly 0."""
    half = (count - 1) // 2
    return np.asarray(span * np.arange(-half, half + 1) / half)


def scan(slope: Floats, d1: Floats, bells: Floats, start: Ints, x: Floats) -> Floats:
    """Return (W, G, len(x)): the sum over each group's lines, without the factor S exp(x).

    `slope` and `d1` are (N,), `bells` (W, N) holds one row per weight, `start` (G + 1,) the groups'
    first lines, `x` the `nodes` of a span.
    """
    total = np.zeros((bells.shape[0], start.size - 1, x.size))
    filled = np.flatnonzero(start[1:] > start[:-1])
    if not filled.size:
        return total
    terms = np.stack((-0.5 * slope * slope, -slope * d1, -0.5 * d1 * d1), axis=1)
    reach = (np.maximum.reduceat(slope, start[filled]) * x[-1]).tolist()
    grids = _grids(x, reach)
    room = np.empty(max(_BLOCK_EXPONENTS, _BLOCK_LINES_MIN * x.size))
    blocks = _blocks(slope, d1, start[filled], reach, grids)
    for group, grid, felt in zip(filled.tolist(), grids, blocks, strict=True):
        curve = np.zeros((bells.shape[0], len(grid.nodes)))
        for first, last, left, right in felt:
            exponent = room[: (last - first) * (right - left)].reshape(last - first, -1)
            np.dot(terms[first:last], grid.powers[:, left:right], out=exponent)
            np.exp(exponent, out=exponent)
            curve[:, left:right] += bells[:, first:last] @ exponent
        total[:, group] = curve if grid.spread is None else curve @ grid.spread
    return total


def values(slope: Floats, d1: Floats, bell: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return (len(x),) the sum of the bells at each `x`, without S exp(x), and dG/dS' there.

    `bell` is (N,), or (len(x), N) where each x has its own weights.

    GEX = S exp(x) sum c e, and with dS' = S exp(x) dx its slope is sum c e (1 - a (a x + b)).
    """
    z = x[:, np.newaxis] * slope + d1
    height = z * z
    height *= -0.5
    np.exp(height, out=height)
    height *= bell
    z *= slope
    np.subtract(1, z, out=z)
    z *= height
    return height.sum(axis=1), z.sum(axis=1)


def dollars(total: Floats, spot: float, x: Floats) -> Floats:
    """Return GEX in $ per 1% at each node: the factor S exp(x) put in."""
    return np.asarray(total * (spot * np.exp(x)))


def _grids(x: Floats, reach: list[float]) -> list[_Grid]:
    """Return the grid of each group; `reach` is x's end in deviations of its narrowest bell."""
    key = x.tobytes()
    sizes = [_size(x.size, deviations) for deviations in reach]
    made = {size: _grid(key, size) for size in set(sizes)}
    return [made[size] for size in sizes]


def _size(count: int, deviations: float) -> int:
    """Return how many of Chebyshev's nodes a curve needs; 0: it is not to be interpolated."""
    base, per_deviation = _DEGREE
    if deviations > _DEVIATIONS_MAX:
        return 0
    size = 4 * math.ceil((base + per_deviation * deviations) / 4)
    return size if size <= _WORTH * count else 0


@lru_cache(maxsize=64)
def _grid(x_bytes: bytes, size: int) -> _Grid:
    """Return Chebyshev's nodes between x's ends, and the polynomials through them at each x."""
    x = np.frombuffer(x_bytes)
    if not size:
        return _Grid(x.tolist(), _powers(x), None)
    angle = (np.arange(size, 0, -1) - 0.5) * (np.pi / size)
    at = x[-1] * np.cos(angle)
    away = x - at[:, np.newaxis]
    away[away == 0] = np.finfo(np.float64).tiny  # a node that is asked for takes all the weight
    weights = ((-1.0) ** np.arange(size) * np.sin(angle))[:, np.newaxis] / away
    return _Grid(at.tolist(), _powers(at), weights / weights.sum(axis=0))


def _powers(x: Floats) -> Floats:
    return np.stack((x * x, x, np.ones_like(x)))


def _blocks(
    slope: Floats, d1: Floats, start: Ints, reach: list[float], grids: list[_Grid]
) -> list[list[tuple[int, int, int, int]]]:
    """Return for each group (first line, last, first node, last) of each block that is felt.

    A block has about as many lines as are felt at one place, or as the cache holds.
    """
    ends = [*start[1:].tolist(), slope.size]
    spans = []
    for first, last, deviations, grid in zip(start.tolist(), ends, reach, grids, strict=True):
        together = int((last - first) * min(2 * REACH / deviations, 1))
        size = max(_BLOCK_LINES_MIN, min(together, _BLOCK_EXPONENTS // len(grid.nodes)))
        spans.append([(at, min(at + size, last)) for at in range(first, last, size)])
    firsts = [first for group in spans for first, _ in group]
    low = iter(np.minimum.reduceat((-REACH - d1) / slope, firsts).tolist())
    high = iter(np.maximum.reduceat((REACH - d1) / slope, firsts).tolist())
    return [
        [(*span, *_felt(grid.nodes, next(low), next(high))) for span in group]
        for group, grid in zip(spans, grids, strict=True)
    ]


def _felt(nodes: list[float], low: float, high: float) -> tuple[int, int]:
    """Return the first and behind the last node within the bounds."""
    if low <= nodes[0] and high >= nodes[-1]:
        return 0, len(nodes)
    left = bisect_left(nodes, low)
    return left, max(left, bisect_right(nodes, high))
