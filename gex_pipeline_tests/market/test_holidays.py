"""The literal table of closes, against the library that it came from and the rules that we know."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline.market import holidays
from gex_pipeline.market.sessions import is_half_day, is_trading_day
from gex_pipeline_tests.market.generate_holidays import render

ONE_DAY = datetime.timedelta(days=1)
SPECIAL_CLOSES = {
    datetime.date(2012, 10, 29),
    datetime.date(2012, 10, 30),
    datetime.date(2018, 12, 5),
    datetime.date(2025, 1, 9),
}
YEARS = range(2013, 2051)


def test_table_is_what_the_library_gives() -> None:
    """Regenerated, the file comes out letter by letter: nobody has edited it."""
    assert Path(holidays.__file__).read_text(encoding="utf-8") == render()


def test_special_closes() -> None:
    """The storm of 2012 and three days of mourning are in, and on 2012-10-31 shares traded."""
    assert not any(is_trading_day(day) for day in SPECIAL_CLOSES)
    assert is_trading_day(datetime.date(2012, 10, 31))


@pytest.mark.parametrize("year", YEARS)
def test_closes_follow_the_rules_of_the_exchange(year: int) -> None:
    """Each weekday without a session is a holiday by rule or a special close, and no other."""
    closed = {day for day in weekdays(year) if not is_trading_day(day)}

    assert closed == rule_closes(year) | {day for day in SPECIAL_CLOSES if day.year == year}


@pytest.mark.parametrize("year", YEARS)
def test_half_days_follow_the_rules_of_the_exchange(year: int) -> None:
    """The day after Thanksgiving, 24 December and 3 July, each where it trades."""
    candidates = {
        nth_weekday(year, 11, 3, 4) + ONE_DAY,
        datetime.date(year, 12, 24),
        datetime.date(year, 7, 3),
    }

    assert {day for day in weekdays(year) if is_half_day(day)} == {
        day for day in candidates if day.weekday() < 5 and is_trading_day(day)
    }


def test_globex_closes_on_three_holidays() -> None:
    """In 2026 equity futures rest on New Year, Good Friday and Christmas; on others until 13:00."""
    closed = [day for day in weekdays(2026) if not is_trading_day(day, "cme")]

    assert closed == [
        datetime.date(2026, 1, 1),
        datetime.date(2026, 4, 3),
        datetime.date(2026, 12, 25),
    ]
    assert is_half_day(datetime.date(2026, 1, 19), "cme")


def rule_closes(year: int) -> set[datetime.date]:
    """Return the exchange's holidays by its rules."""
    fixed = [datetime.date(year, 7, 4), datetime.date(year, 12, 25)]
    if year >= 2022:
        fixed.append(datetime.date(year, 6, 19))
    new_year = datetime.date(year, 1, 1)
    return {
        *map(observed, fixed),
        *([] if new_year.weekday() == 5 else [observed(new_year)]),
        nth_weekday(year, 1, 0, 3),
        nth_weekday(year, 2, 0, 3),
        easter(year) - 2 * ONE_DAY,
        max(day for day in weekdays(year) if day.month == 5 and day.weekday() == 0),
        nth_weekday(year, 9, 0, 1),
        nth_weekday(year, 11, 3, 4),
    }


def observed(day: datetime.date) -> datetime.date:
    """Return Friday for a Saturday and Monday for a Sunday."""
    return day + ONE_DAY * {5: -1, 6: 1}.get(day.weekday(), 0)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> datetime.date:
    """Return the n-th such weekday of a month."""
    first = datetime.date(year, month, 1)
    return first + ONE_DAY * ((weekday - first.weekday()) % 7 + 7 * (nth - 1))


def easter(year: int) -> datetime.date:
    """Return Easter Sunday (the anonymous Gregorian algorithm)."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + century - century // 4 - (8 * century + 13) // 25 + 15) % 30
    epact -= (golden + 11 * epact) // 319
    weekday = (2 * (century % 4) + 2 * (rest // 4) - rest % 4 - epact + 32) % 7
    month = (epact + weekday + 90) // 25
    return datetime.date(year, month, (epact + weekday + month + 19) % 32)


def weekdays(year: int) -> Iterator[datetime.date]:
    """Yield Monday to Friday of a year."""
    day = datetime.date(year, 1, 1)
    while day.year == year:
        if day.weekday() < 5:
            yield day
        day += ONE_DAY
