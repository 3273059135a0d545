"""Windows of a chain: what takes whose place, what is late, what is listed no more."""

import datetime

import pytest

from gex_pipeline.exposure.windows import LATE_AFTER_S, Window, answered
from gex_pipeline_tests.engine.builders import S
from gex_pipeline_tests.synthetic import ASOF_NS, DAY


def window(first: int, last: int, at_s: float, *, complete: bool = True) -> Window:
    """Return an answer for the dates so many days ahead, so many seconds after the start."""
    days = (DAY + datetime.timedelta(first), DAY + datetime.timedelta(last))
    return Window(*days, complete, ASOF_NS + round(at_s * S))


def after(*new: Window) -> tuple[Window, ...]:
    """Return what there is after some answers."""
    windows: tuple[Window, ...] = ()
    for one in new:
        windows = answered(windows, one)
    return windows


def ages(one: Window) -> tuple[float, float]:
    """Return its whole answers in seconds after the start; 0 where there is none."""
    return tuple((ns - ASOF_NS) / S if ns else 0 for ns in (one.whole_ns, one.before_ns))  # type: ignore[return-value]


def test_whole_answers_push_one_another_back() -> None:
    """The newest two are known; one that failed is none of them."""
    (one,) = after(window(0, 9, 1), window(0, 9, 61), window(0, 9, 121))
    assert ages(one) == (121, 61)

    (one,) = after(window(0, 9, 1), window(0, 9, 61), window(0, 9, 121, complete=False))
    assert (one.complete, ages(one)) == (False, (61, 1))


def test_a_window_goes_on_from_those_whose_place_it_takes() -> None:
    """The next day's shorter window, both halves of one that was too big, the whole of halves."""
    (one,) = after(window(0, 9, 1), window(0, 9, 61), window(1, 9, 121))
    assert ages(one) == (121, 61)

    first, second = after(window(0, 9, 1), window(0, 4, 61), window(5, 9, 62))
    assert (ages(first), ages(second)) == ((61, 1), (62, 1))

    (one,) = after(window(0, 4, 1), window(5, 9, 2), window(0, 9, 61))
    assert ages(one) == (61, 1)


def test_a_window_that_is_answered_no_more_is_late() -> None:
    """After ten minutes; where rounds take longer, after three of them."""
    (one,) = after(window(0, 9, 0), window(0, 9, 60))
    assert not one.late(one.whole_ns + LATE_AFTER_S * S)
    assert one.late(one.whole_ns + LATE_AFTER_S * S + 1)

    (slow,) = after(window(0, 9, 0), window(0, 9, 900))
    assert not slow.late(slow.whole_ns + 2700 * S)
    assert slow.late(slow.whole_ns + 2700 * S + 1)


def test_failures_do_not_keep_a_window_alive() -> None:
    """Ten minutes of failed answers: it was late before the first of them too."""
    (one,) = after(window(0, 9, 0), *(window(0, 9, at, complete=False) for at in (300, 599)))
    assert not one.late(ASOF_NS + 600 * S)
    assert one.late(ASOF_NS + 601 * S)


@pytest.mark.parametrize("complete", [True, False])
def test_a_window_of_an_older_version(complete: bool) -> None:
    """An image from before this was known: its one answer counts if it was whole."""
    old = window(0, 9, 0, complete=complete)
    assert old.late(ASOF_NS + S) is not complete
    (one,) = answered((old,), window(0, 9, 60))
    assert ages(one)[0] == 60
    assert (one.before_ns == ASOF_NS) is complete
