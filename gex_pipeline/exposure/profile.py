"""The exposure profile: net GEX as a function of spot, every volatility held at its strike.

With x = log(S'/S), each line is a bell: GEX(x) = S exp(x) sum_i c_i exp(-(a_i x + b_i)^2 / 2) with
a = 1/(sigma sqrt T) and b = d1 at spot. So a node costs one exp per line, and two things save most
of them: neighbouring lines of one expiry are near zero at the same nodes, so a block of them is
computed only where one of its bells is above 2e-16 of its peak; and bells much wider than a step
(months to expiry) are computed at every m-th node and interpolated by a polynomial of degree 15.
"""

from functools import cache
from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints

REACH: Final = 8.5
"""exp(-8.5^2/2) = 2e-16: beyond this many standard deviations a bell is below rounding."""
_BLOCK_EXPONENTS: Final = 40_000
"""Exponents at a time: a block stays in the cache, and its lines near one another."""
_BLOCK_LINES_MIN: Final = 32
_SMOOTH: Final = 0.15
"""Largest slope x step to interpolate at: 16 points then err by less than 1e-12 of the peak."""
_STRIDE_MAX: Final = 12
_MARGIN: Final = 8
"""Nodes beyond each end, so that every interpolation is central."""


def nodes(span: float, count: int) -> Floats:
    """Return `count` (odd) equal steps of x over [-span, span]; the middle one is exactly 0."""
    half = (count - 1) // 2
    return np.asarray(span * np.arange(-half, half + 1) / half)


def scan(slope: Floats, d1: Floats, bells: Floats, start: Ints, x: Floats) -> Floats:
    """Return (W, G, len(x)): the sum over each group's lines, without the factor S exp(x).

    `slope` and `d1` are (N,), `bells` (W, N) holds one row per weight, `start` (G + 1,) the groups'
    first lines, `x` ascending and equally spaced.
    """
    total = np.zeros((bells.shape[0], start.size - 1, x.size))
    lines = _Lines(slope, d1, bells, start)
    step = float(x[1] - x[0])
    for stride, groups in _by_stride(slope, start, step, x.size - 1).items():
        if stride == 1:
            _scan_nodes(lines, groups, x, total)
            continue
        count = (x.size - 1) // stride + 1 + 2 * _MARGIN
        coarse_x = x[0] + step * stride * (np.arange(count) - _MARGIN)
        coarse = np.zeros((bells.shape[0], start.size - 1, count))
        _scan_nodes(lines, groups, coarse_x, coarse)
        windows = np.lib.stride_tricks.sliding_window_view(coarse[:, groups], 2 * _MARGIN, axis=2)
        between = windows[:, :, 1:] @ _phases(stride).T
        total[:, groups] = between.reshape(*between.shape[:2], -1)[:, :, : x.size]
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


def _by_stride(slope: Floats, start: Ints, step: float, steps: int) -> dict[int, list[int]]:
    """Return the groups that have lines, by the widest stride that their narrowest bell bears."""
    filled = np.flatnonzero(start[1:] > start[:-1])
    if not filled.size:
        return {}
    narrowest = np.maximum.reduceat(slope, start[filled]).tolist()
    strides = [m for m in range(_STRIDE_MAX, 0, -1) if steps % m == 0]
    groups: dict[int, list[int]] = {}
    for group, a in zip(filled.tolist(), narrowest, strict=True):
        stride = next((m for m in strides if a * step * m <= _SMOOTH), 1)
        groups.setdefault(stride, []).append(group)
    return groups


class _Lines:
    """The bells of one scan: the exponent's terms in x^2, x and 1, and where each line is felt."""

    def __init__(self, slope: Floats, d1: Floats, bells: Floats, start: Ints) -> None:
        self.terms = np.stack((-0.5 * slope * slope, -slope * d1, -0.5 * d1 * d1), axis=1)
        self.low = (-REACH - d1) / slope
        self.high = (REACH - d1) / slope
        self.bells = bells
        self.start = start.tolist()


def _scan_nodes(lines: _Lines, groups: list[int], x: Floats, total: Floats) -> None:
    """Add each block of the groups' lines to `total`, (W, G, len(x)), where it can be felt."""
    powers = np.stack((x * x, x, np.ones_like(x)))
    size = max(_BLOCK_LINES_MIN, _BLOCK_EXPONENTS // x.size)
    room = np.empty(size * x.size)
    for group, first, last, left, right in _blocks(lines, groups, x, size):
        exponent = room[: (last - first) * (right - left)].reshape(last - first, -1)
        np.dot(lines.terms[first:last], powers[:, left:right], out=exponent)
        np.exp(exponent, out=exponent)
        for weight, bell in enumerate(lines.bells):  # cheaper than one product of two thin rows
            total[weight, group, left:right] += bell[first:last] @ exponent


def _blocks(
    lines: _Lines, groups: list[int], x: Floats, size: int
) -> list[tuple[int, int, int, int, int]]:
    """Return (group, first line, last, first node, last) of each block that any node can feel."""
    start = lines.start
    spans = [
        (group, first, min(first + size, start[group + 1]))
        for group in groups
        for first in range(start[group], start[group + 1], size)
    ]
    low = [lines.low[first:last].min() for _, first, last in spans]
    high = [lines.high[first:last].max() for _, first, last in spans]
    left = np.searchsorted(x, low).tolist()
    right = np.searchsorted(x, high, side="right").tolist()
    return [
        (*span, lower, upper)
        for span, lower, upper in zip(spans, left, right, strict=True)
        if upper > lower
    ]


@cache
def _phases(stride: int) -> Floats:
    """Return (stride, 16): weights of the coarse nodes around each of `stride` fine ones.

    Lagrange's polynomial through the eight nodes at or below and the eight above.
    """
    stencil = np.arange(1 - _MARGIN, _MARGIN + 1)
    phase = np.arange(stride)[:, np.newaxis] / stride
    columns = []
    for k in stencil:
        others = stencil[stencil != k]
        columns.append(np.prod((phase - others) / (k - others), axis=1))
    return np.stack(columns, axis=1)
