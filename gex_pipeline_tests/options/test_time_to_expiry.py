"""Time to expiry in exact minutes."""

import datetime

import numpy as np
import pytest

from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.options.time_to_expiry import MINUTES_PER_YEAR, years_to_expiry

FRIDAY = et_ns(datetime.date(2025, 5, 16), 16)
MINUTE = 60 * SECOND_NS


@pytest.mark.parametrize(
    ("friday", "hours"),
    [
        (datetime.date(2025, 10, 31), 73),  # clocks go back on 2 November
        (datetime.date(2025, 3, 7), 71),  # and forward on 9 March
        (datetime.date(2025, 5, 16), 72),
    ],
)
def test_a_weekend_has_the_hours_that_pass(friday: datetime.date, hours: int) -> None:
    """From Friday's close to Monday's: the change of the clocks counts."""
    monday = friday + datetime.timedelta(days=3)
    time = years_to_expiry(np.array([et_ns(monday, 16)]), et_ns(friday, 16), 5.0)

    assert time.years[0] == hours * 60 / MINUTES_PER_YEAR
    assert time.live[0]
    assert not time.floored[0]


def test_minutes_are_not_rounded() -> None:
    """Ten and a half minutes and one nanosecond are that."""
    settle = FRIDAY + 10 * MINUTE + 30 * SECOND_NS + 1

    time = years_to_expiry(np.array([settle]), FRIDAY, 5.0)

    assert time.years[0] * MINUTES_PER_YEAR == pytest.approx(10.5 + 1 / MINUTE, rel=1e-15)


@pytest.mark.parametrize(
    ("left_ns", "minutes", "live", "floored"),
    [
        (6 * MINUTE, 6.0, True, False),
        (5 * MINUTE, 5.0, True, False),
        (5 * MINUTE - 1, 5.0, True, True),
        (1, 5.0, True, True),
        (0, 5.0, False, False),
        (-1, 5.0, False, False),
        (-90 * MINUTE, 5.0, False, False),
    ],
)
def test_the_floor_and_the_end(left_ns: int, minutes: float, live: bool, floored: bool) -> None:
    """Five minutes stand in for less; what has settled, at that very instant too, is expired."""
    time = years_to_expiry(np.array([FRIDAY + left_ns]), FRIDAY, 5.0)

    assert time.years[0] == minutes / MINUTES_PER_YEAR
    assert bool(time.live[0]) is live
    assert bool(time.floored[0]) is floored


def test_a_year_is_525600_minutes() -> None:
    """365 days of elapsed time are 1."""
    time = years_to_expiry(np.array([FRIDAY + 365 * 24 * 60 * MINUTE]), FRIDAY, 5.0)

    assert time.years[0] == 1.0
