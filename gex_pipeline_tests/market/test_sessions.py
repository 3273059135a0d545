"""Trading days, sessions, settlements and quote times."""

import datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.errors import CalendarError, InputError
from gex_pipeline.market.sessions import (
    CBOE_DELAY_NS,
    FIRST_DAY,
    LAST_DAY,
    SECOND_NS,
    Calendar,
    et_datetime,
    et_ns,
    in_session,
    is_half_day,
    is_standard_opex,
    is_trading_day,
    next_trading_day,
    opex_of_month,
    previous_trading_day,
    quote_asof_ns,
    quote_close_ns,
    regular_open_ns,
    session,
    session_date,
    settlement_date,
    settlement_ns,
    standard_opex,
    trading_day_on_or_after,
    trading_day_on_or_before,
)

CALENDARS: tuple[Calendar, ...] = get_args(Calendar)
HOUR_NS = 3600 * SECOND_NS
GOOD_FRIDAY = datetime.date(2025, 4, 18)
THANKSGIVING = datetime.date(2025, 11, 27)
HALF_DAY = datetime.date(2025, 11, 28)

calendars = st.sampled_from(CALENDARS)
moments = st.integers(et_ns(datetime.date(1994, 1, 1), 0), et_ns(datetime.date(2099, 12, 1), 0))
days = st.dates(datetime.date(1994, 1, 1), datetime.date(2099, 12, 1))


def et(text: str) -> int:
    """Return the instant of a New York time such as "2025-04-17 16:15"."""
    wall = datetime.datetime.fromisoformat(text)
    return et_ns(wall.date(), wall.hour, wall.minute)


def utc(text: str) -> int:
    """Return the instant of a UTC time."""
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * SECOND_NS


# --- New York's clock -----------------------------------------------------------------------------


def test_new_york_is_five_hours_behind_in_winter_and_four_in_summer() -> None:
    """09:30 in New York is 14:30 UTC in January and 13:30 in July."""
    assert et_ns(datetime.date(2025, 1, 6), 9, 30) == utc("2025-01-06T14:30")
    assert et_ns(datetime.date(2025, 7, 7), 9, 30) == utc("2025-07-07T13:30")


def test_a_weekend_with_a_clock_change_is_no_72_hours() -> None:
    """Friday 16:00 to Monday 16:00: 71 h when clocks go forward, 73 h when they go back."""
    assert et("2025-03-10 16:00") - et("2025-03-07 16:00") == 71 * HOUR_NS
    assert et("2025-11-03 16:00") - et("2025-10-31 16:00") == 73 * HOUR_NS


@given(moments)
def test_new_york_round_trip(ts_ns: int) -> None:
    """An instant read off New York's clock is the same instant, to the microsecond below."""
    moment = et_datetime(ts_ns)
    delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

    assert delta // datetime.timedelta(microseconds=1) == ts_ns // 1000


# --- trading days ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        ("2025-12-08", True),
        ("2025-12-06", False),  # Saturday
        ("2025-12-07", False),  # Sunday
        ("2025-04-18", False),  # Good Friday
        ("2025-01-09", False),  # mourning
        ("2026-06-19", False),  # Juneteenth
        ("2021-06-18", True),  # before Juneteenth was one
        ("2021-12-31", True),  # a Saturday's New Year is not moved to Friday
    ],
)
def test_trading_days(day: str, trades: bool) -> None:
    """Weekends and the exchange's holidays do not trade."""
    assert is_trading_day(datetime.date.fromisoformat(day)) is trades


def test_neighbours_of_good_friday() -> None:
    """Thursday before it, Monday after it; before and after are strict."""
    thursday, monday = datetime.date(2025, 4, 17), datetime.date(2025, 4, 21)

    assert previous_trading_day(GOOD_FRIDAY) == thursday
    assert trading_day_on_or_before(GOOD_FRIDAY) == thursday
    assert trading_day_on_or_before(thursday) == thursday
    assert previous_trading_day(monday) == thursday
    assert next_trading_day(GOOD_FRIDAY) == monday
    assert next_trading_day(thursday) == monday
    assert trading_day_on_or_after(monday) == monday


@given(days, calendars)
def test_neighbours_are_neighbours(day: datetime.date, calendar: Calendar) -> None:
    """Back and forth between two trading days ends where it began."""
    before = trading_day_on_or_before(day, calendar)

    assert previous_trading_day(next_trading_day(before, calendar), calendar) == before
    assert before <= day < next_trading_day(before, calendar)


@pytest.mark.parametrize("day", [datetime.date(1992, 12, 31), datetime.date(2101, 1, 1)])
def test_outside_the_table_is_an_error(day: datetime.date) -> None:
    """Years that the table lacks raise; they are never taken for years without holidays."""
    message = f"{day} is outside the trading calendar \\(1993-01-01 to 2100-12-31\\)"
    with pytest.raises(CalendarError, match=message):
        is_trading_day(day)
    with pytest.raises(CalendarError, match=message):
        is_half_day(day)


def test_edges_of_the_table() -> None:
    """Steps that leave the table raise, too."""
    assert not is_trading_day(FIRST_DAY)
    with pytest.raises(CalendarError):
        previous_trading_day(FIRST_DAY)
    with pytest.raises(CalendarError):
        next_trading_day(LAST_DAY)


# --- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "day", "opens", "closes", "half_day"),
    [
        ("equity", "2025-12-08", "2025-12-08 09:30", "2025-12-08 16:00", False),
        ("index", "2025-12-08", "2025-12-08 09:30", "2025-12-08 16:15", False),
        ("cme", "2025-12-09", "2025-12-08 18:00", "2025-12-09 17:00", False),
        ("cme", "2025-12-08", "2025-12-07 18:00", "2025-12-08 17:00", False),  # opens on Sunday
        ("equity", "2025-11-28", "2025-11-28 09:30", "2025-11-28 13:00", True),
        ("index", "2025-11-28", "2025-11-28 09:30", "2025-11-28 13:15", True),
        ("cme", "2025-11-28", "2025-11-27 18:00", "2025-11-28 13:00", True),
        ("cme", "2025-11-27", "2025-11-26 18:00", "2025-11-27 13:00", True),  # Thanksgiving
        ("cme", "2025-04-21", "2025-04-20 18:00", "2025-04-21 17:00", False),  # after Good Friday
    ],
)
def test_session_hours(
    calendar: Calendar, day: str, opens: str, closes: str, half_day: bool
) -> None:
    """Regular hours of each calendar, on whole and half days."""
    hours = session(datetime.date.fromisoformat(day), calendar)

    assert hours.date.isoformat() == day
    assert (hours.open_ns, hours.close_ns) == (et(opens), et(closes))
    assert hours.half_day is half_day


def test_a_closed_day_has_no_session() -> None:
    """Asking for Good Friday's session names the two trading days around it."""
    message = "no equity session; the nearest are 2025-04-17 and 2025-04-21"
    with pytest.raises(InputError, match=message):
        session(GOOD_FRIDAY, "equity")


@pytest.mark.parametrize(
    ("calendar", "moment", "day"),
    [
        ("equity", "2025-12-08 19:59", "2025-12-08"),
        ("equity", "2025-12-08 20:00", "2025-12-09"),
        ("equity", "2025-12-09 04:00", "2025-12-09"),
        ("equity", "2025-12-05 20:00", "2025-12-08"),  # Friday evening is Monday's
        ("equity", "2025-11-28 14:00", "2025-11-28"),  # a half day rolls at the usual hour
        ("index", "2025-12-08 16:59", "2025-12-08"),
        ("index", "2025-12-08 17:00", "2025-12-09"),
        ("index", "2025-12-08 20:15", "2025-12-09"),  # the index's night session
        ("index", "2025-04-17 17:00", "2025-04-21"),  # over Good Friday
        ("cme", "2025-12-05 17:59", "2025-12-05"),
        ("cme", "2025-12-05 18:30", "2025-12-08"),  # Friday evening is Monday's
        ("cme", "2025-12-06 12:00", "2025-12-08"),
        ("cme", "2025-12-07 18:00", "2025-12-08"),
        ("cme", "2025-11-26 18:00", "2025-11-27"),  # Thanksgiving has a short session
        ("cme", "2025-12-24 18:00", "2025-12-26"),  # over Christmas
    ],
)
def test_session_date(calendar: Calendar, moment: str, day: str) -> None:
    """The trading date rolls at the calendar's own hour, over weekends and holidays."""
    assert session_date(et(moment), calendar).isoformat() == day


def test_roll_is_exact_to_the_nanosecond() -> None:
    """One nanosecond before 18:00 is still the old date."""
    roll_ns = et("2025-12-08 18:00")

    assert session_date(roll_ns - 1, "cme") == datetime.date(2025, 12, 8)
    assert session_date(roll_ns, "cme") == datetime.date(2025, 12, 9)


@given(moments, st.integers(0, 10 * 24 * HOUR_NS), calendars)
def test_session_date_never_goes_back(ts_ns: int, later_ns: int, calendar: Calendar) -> None:
    """A tape's dates only grow, and each is a trading day not before the New York date."""
    day = session_date(ts_ns, calendar)

    assert day <= session_date(ts_ns + later_ns, calendar)
    assert is_trading_day(day, calendar)
    assert day >= et_datetime(ts_ns).date()


@given(days, calendars)
def test_a_session_belongs_to_its_date(day: datetime.date, calendar: Calendar) -> None:
    """From the open to the last nanosecond the trading date is the session's, also in DST weeks."""
    hours = session(trading_day_on_or_after(day, calendar), calendar)

    assert session_date(hours.open_ns, calendar) == hours.date
    assert session_date(hours.close_ns - 1, calendar) == hours.date
    assert in_session(hours.open_ns, calendar)
    assert not in_session(hours.open_ns - 1, calendar)
    assert in_session(hours.close_ns - 1, calendar)
    assert not in_session(hours.close_ns, calendar)


# --- quotes ---------------------------------------------------------------------------------------


def test_quote_closes() -> None:
    """16:15 and 16:00; on half days 13:15 and 13:00."""
    monday = datetime.date(2025, 12, 8)

    assert quote_close_ns(monday, late=True) == et("2025-12-08 16:15")
    assert quote_close_ns(monday, late=False) == et("2025-12-08 16:00")
    assert quote_close_ns(HALF_DAY, late=True) == et("2025-11-28 13:15")
    assert quote_close_ns(HALF_DAY, late=False) == et("2025-11-28 13:00")
    assert regular_open_ns(HALF_DAY) == et("2025-11-28 09:30")


@pytest.mark.parametrize(
    ("download", "asof", "rule"),
    [
        ("2025-12-08 11:00", "2025-12-08 10:45", "session"),
        ("2025-12-08 09:45", "2025-12-08 09:30", "session"),
        ("2025-12-08 09:44", "2025-12-05 16:15", "last_close"),  # 09:29: not open yet
        ("2025-12-08 16:30", "2025-12-08 16:15", "session"),
        ("2025-12-08 16:31", "2025-12-08 16:15", "last_close"),
        ("2025-12-06 20:09", "2025-12-05 16:15", "last_close"),  # Saturday
        ("2025-11-28 15:00", "2025-11-28 13:15", "last_close"),  # a half day
        ("2025-04-18 12:00", "2025-04-17 16:15", "last_close"),  # Good Friday
        ("2022-12-12 20:30", "2022-12-12 16:15", "last_close"),  # the three reference chains
        ("2023-09-20 23:17", "2023-09-20 16:15", "last_close"),
        ("2024-01-07 10:52", "2024-01-05 16:15", "last_close"),
    ],
)
def test_time_of_a_downloaded_file(download: str, asof: str, rule: str) -> None:
    """Its quotes are those of a quarter of an hour before, or of the newest close."""
    assert quote_asof_ns(et(download), late=True) == (et(asof), rule)


def test_time_of_an_equity_file() -> None:
    """Shares stop quoting at 16:00."""
    assert quote_asof_ns(et("2025-12-08 20:00"), late=False) == (
        et("2025-12-08 16:00"),
        "last_close",
    )


@given(moments, st.booleans())
def test_quotes_are_never_from_the_future(download_ns: int, late: bool) -> None:
    """At least the delay lies between quote and download."""
    assert quote_asof_ns(download_ns, late=late)[0] <= download_ns - CBOE_DELAY_NS


# --- expiries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "expiry", "settlement", "instant"),
    [
        ("SPX", "2025-12-19", "", "2025-12-19 09:30"),
        ("SPXW", "2025-12-19", "", "2025-12-19 16:00"),
        ("SPX", "2025-12-19", "P", "2025-12-19 16:00"),
        ("SPXW", "2025-12-19", "A", "2025-12-19 09:30"),
        ("AAPL", "2025-12-19", "", "2025-12-19 16:00"),
        ("AAPL", "2025-11-28", "", "2025-11-28 13:00"),  # a half day
        ("SPX", "2025-11-28", "", "2025-11-28 09:30"),
        ("SPY", "2025-04-18", "", "2025-04-17 16:00"),  # Good Friday
        ("SPX", "2026-06-19", "", "2026-06-18 09:30"),  # Juneteenth
        ("AAPL", "2014-01-18", "", "2014-01-17 16:00"),  # once, expiries were Saturdays
        ("SPXW", "2025-12-19", "?", "2025-12-19 16:00"),
    ],
)
def test_settlement(root: str, expiry: str, settlement: str, instant: str) -> None:
    """AM at the open, PM at the close; the vendor's letter wins; a closed day settles before."""
    assert settlement_ns(root, datetime.date.fromisoformat(expiry), settlement) == et(instant)


@pytest.mark.parametrize(
    ("month", "day"),
    [
        ((2025, 4), "2025-04-17"),  # Good Friday
        ((2026, 6), "2026-06-18"),  # Juneteenth
        ((2025, 8), "2025-08-15"),  # the 1st is a Friday
        ((2025, 11), "2025-11-21"),  # the 1st is a Saturday
        ((2026, 5), "2026-05-15"),
    ],
)
def test_standard_expiry_of_a_month(month: tuple[int, int], day: str) -> None:
    """The third Friday, or the trading day before."""
    opex = opex_of_month(*month)

    assert opex.isoformat() == day
    assert is_standard_opex(opex)
    assert not is_standard_opex(next_trading_day(opex))


@pytest.mark.parametrize(
    ("today", "opex"),
    [
        ("2025-04-01", "2025-04-17"),
        ("2025-04-17", "2025-04-17"),
        ("2025-04-18", "2025-05-16"),  # the third Friday itself, but the expiry has been
        ("2025-12-20", "2026-01-16"),  # over the year's end
    ],
)
def test_nearest_standard_expiry(today: str, opex: str) -> None:
    """On or after today."""
    assert standard_opex(datetime.date.fromisoformat(today)).isoformat() == opex


@given(days)
def test_standard_expiries_are_trading_days(today: datetime.date) -> None:
    """It is ahead by at most five weeks, and settles on itself."""
    opex = standard_opex(today)

    assert 0 <= (opex - today).days <= 35
    assert settlement_date(opex) == opex
