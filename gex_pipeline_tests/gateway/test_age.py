"""Ages are told in market time and judged by the time that the market was open."""

import datetime

import pytest

from gex_pipeline.gateway.age import Limits, freshness, market_state
from gex_pipeline.market.sessions import SECOND_NS, et_ns

FRIDAY = datetime.date(2025, 6, 6)
MONDAY = datetime.date(2025, 6, 9)
LIMITS = Limits(10, 300)


def test_a_figure_of_an_open_market() -> None:
    """Fresh at 10 s, stale after, refused after 300 s."""
    now_ns = et_ns(FRIDAY, 11)

    ages = [freshness("SPX", now_ns - s * SECOND_NS, now_ns, LIMITS) for s in (10, 11, 301)]

    assert [age.stale for age in ages] == [False, True, True]
    assert [age.unavailable for age in ages] == [False, False, True]
    assert [age.age_s for age in ages] == [10, 11, 301]


def test_a_closed_market_refuses_nothing() -> None:
    """On Sunday, Friday's close is 2 days old and not stale; Friday's noon is, for it missed."""
    now_ns = et_ns(FRIDAY + datetime.timedelta(days=2), 12)

    close = freshness("SPX", et_ns(FRIDAY, 16, 15), now_ns, LIMITS)
    noon = freshness("SPX", et_ns(FRIDAY, 12), now_ns, LIMITS)

    assert (close.market, close.stale, close.unavailable) == ("closed", False, False)
    assert close.age_s == (43 * 60 + 45) * 60
    assert (noon.stale, noon.unavailable, noon.lag_s) == (True, False, 255 * 60)


def test_the_lag_begins_at_the_open() -> None:
    """Friday's figures are 5 s behind on Monday at 09:30:05, and refused after 09:35."""
    friday_ns, open_ns = et_ns(FRIDAY, 16, 15), et_ns(MONDAY, 9, 30)

    early = freshness("SPX", friday_ns, open_ns + 5 * SECOND_NS, LIMITS)
    late = freshness("SPX", friday_ns, open_ns + 301 * SECOND_NS, LIMITS)

    assert (early.lag_s, early.stale, early.unavailable) == (5, False, False)
    assert late.unavailable


def test_an_event_from_the_future_has_age_zero() -> None:
    """Clocks of several processes differ by a little."""
    now_ns = et_ns(FRIDAY, 11)

    assert freshness("SPX", now_ns + SECOND_NS, now_ns, LIMITS).age_s == 0


@pytest.mark.parametrize(
    ("symbol", "hour", "minute", "state"),
    [
        ("SPX", 9, 29, "closed"),
        ("SPX", 9, 30, "open"),
        ("SPX", 16, 14, "open"),
        ("SPX", 16, 15, "closed"),
        ("SPY", 16, 10, "open"),  # its options quote as long
        ("AAPL", 16, 10, "closed"),
        ("/NQ", 3, 0, "open"),
        ("/NQ", 17, 30, "closed"),
    ],
)
def test_hours(symbol: str, hour: int, minute: int, state: str) -> None:
    """Each symbol has the hours of its options, a future its own."""
    assert market_state(symbol, et_ns(FRIDAY, hour, minute)) == state
