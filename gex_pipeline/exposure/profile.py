"""The exposure profile: net GEX as a function of spot, every volatility held at its strike.

With x = log(S'/S), each line is a bell: GEX(x) = S exp(x) sum_i c_i exp(-(a_i x + b_i)^2 / 2), where
a = 1/(sigma sqrt T), b = d1 at spot. So a node costs one exp per line. Lines of one expiry and
neighbouring strikes are near zero at the same nodes: each block of them is computed only where one
of its bells is above 2e-16 of its peak.
"""

import math
from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints

REACH: Final = 8.5
"""exp(-8.5^2/2) = 2e-16: beyond this many standard deviations a bell is below rounding."""
_BLOCK: Final = 256
"""Lines at a time: exponents of a block stay in the cache."""


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
    powers = np.stack((x * x, x, np.ones_like(x)), axis=1)
    terms = np.stack((-0.5 * slope * slope, -slope * d1, -0.5 * d1 * d1))
    low = (-REACH - d1) / slope
    high = (REACH - d1) / slope
    room = np.empty(_BLOCK * x.size)
    for group in range(start.size - 1):
        for first in range(start[group], start[group + 1], _BLOCK):
            block = slice(first, min(first + _BLOCK, start[group + 1]))
            inside = slice(*np.searchsorted(x, (low[block].min(), high[block].max())))
            width = block.stop - block.start
            exponent = room[: (inside.stop - inside.start) * width].reshape(-1, width)
            np.dot(powers[inside], terms[:, block], out=exponent)
            np.exp(exponent, out=exponent)
            total[:, group, inside] += bells[:, block] @ exponent.T
    return total


def values(slope: Floats, d1: Floats, bell: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return (len(x),) the sum of the bells at each `x`, factor S exp(x) left out, and dG/dS' there.

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
