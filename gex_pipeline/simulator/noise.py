"""Numbers that look random and depend on nothing but their keys, for whole columns at once.

The same contract, seed and time slot always give the same number, so that the market needs no
memory: any moment can be asked for, in any order, and a restart changes nothing.
Source: S. Vigna's splitmix64 (public domain), as a hash of a chain of keys.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from gex_pipeline.market.arrays import Floats, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def mixed(*keys: int | Ints) -> npt.NDArray[np.uint64]:
    """Return a hash of the keys, an element each; they broadcast."""
    state = np.zeros(1, dtype=np.uint64)
    for key in keys:
        word = np.atleast_1d(np.asarray(key, dtype=np.int64)).view(np.uint64)
        state = (state ^ word) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    return state


def uniform(*keys: int | Ints) -> Floats:
    """Return numbers between 0 and 1, neither of them included."""
    return ((mixed(*keys) >> np.uint64(11)).astype(np.float64) + 0.5) * _TO_UNIT


def normal(*keys: int | Ints) -> Floats:
    """Return standard normal numbers."""
    return np.asarray(ndtri(uniform(*keys)))
