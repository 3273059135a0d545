"""Time to expiry: exact elapsed minutes from the quotes to the settlement, never whole days.

A whole-day clock understates the at-the-money gamma of an option in its last half hour 3.6 times;
the difference of two UTC instants also makes a weekend with a clock change 73 or 71 hours.
"""

from typing import Final, NamedTuple

import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints

MINUTES_PER_YEAR: Final = 525_600
_NS_PER_MINUTE: Final = 60_000_000_000


class YearsToExpiry(NamedTuple):
    """Time left of each group."""

    years: Floats
    """Of 525,600 minutes; at least the floor, also where expired (filter by `live`)."""
    live: Bools
    """Settles after the quotes."""
    floored: Bools
    """Live, and the floor stands in for less time."""


def years_to_expiry(settle_ns: Ints, asof_ns: int, floor_minutes: float) -> YearsToExpiry:
    """Return the years from `asof_ns` to each settlement instant (both UTC nanoseconds).

    The floor exists because one at-the-money strike swamps a whole book in its last minute.
    """
    left_ns = settle_ns - asof_ns
    minutes = left_ns / _NS_PER_MINUTE
    live = left_ns > 0
    return YearsToExpiry(
        years=np.maximum(minutes, floor_minutes) / MINUTES_PER_YEAR,
        live=live,
        floored=live & (minutes < floor_minutes),
    )
