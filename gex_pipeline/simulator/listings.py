"""Which expiries and strikes are listed on a date: a rule, so that every date is the same anew.

A contract never vanishes before it expires: bounds only widen, by the closes since its listing, and
finer strikes are born as expiry comes near. Each trading date also lists a new last daily expiry.
"""

import datetime
import math
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import (
    is_trading_day,
    next_trading_day,
    opex_of_month,
    previous_trading_day,
    settlement_date,
    trading_day_on_or_after,
)

_ONE_DAY = datetime.timedelta(days=1)
_FRIDAY = 4
_NEAR_DAYS = 45
_YEAR_DAYS = 365
_LIFE_DAYS = {"S": 1500, "W": 80}
Closes = Callable[[datetime.date, datetime.date], tuple[float, float]]
"""Lowest and highest close of the days from one to another."""


class Rung(msgspec.Struct, frozen=True):
    """Strikes of one step, from a share below to a share above the closes."""

    step: float
    below: float
    above: float
    days: int
    """Listed from so many days before expiry on."""


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange lists on one underlying."""

    symbol: str
    daily_root: str
    monthly_root: str
    daily_days: int
    weekly_days: int
    long_months: tuple[int, ...]
    """Months of expiries beyond a year."""
    long_years: int
    rungs: tuple[Rung, ...]
    contracts: int
    """About as many as the real market lists; shares out a smaller total."""
    open_interest: float
    """Contracts at a usual strike near the money of a monthly expiry."""


PROGRAMMES = (
    Programme(
        symbol="SPX", daily_root="SPXW", monthly_root="SPX", daily_days=45, weekly_days=75,
        long_months=(6, 12), long_years=4, contracts=28_500, open_interest=2600.0,
        rungs=(Rung(5.0, 0.08, 0.06, _NEAR_DAYS), Rung(25.0, 0.22, 0.1, _YEAR_DAYS),
               Rung(200.0, 0.65, 0.4, 2000)),
    ),
    Programme(
        symbol="SPY", daily_root="SPY", monthly_root="SPY", daily_days=14, weekly_days=60,
        long_months=(1, 6, 12), long_years=2, contracts=11_000, open_interest=7000.0,
        rungs=(Rung(1.0, 0.06, 0.05, _NEAR_DAYS), Rung(5.0, 0.3, 0.2, _YEAR_DAYS),
               Rung(10.0, 0.5, 0.4, 2000)),
    ),
    Programme(
        symbol="QQQ", daily_root="QQQ", monthly_root="QQQ", daily_days=14, weekly_days=60,
        long_months=(1, 6, 12), long_years=2, contracts=10_500, open_interest=5500.0,
        rungs=(Rung(1.0, 0.06, 0.05, _NEAR_DAYS), Rung(5.0, 0.3, 0.2, _YEAR_DAYS),
               Rung(10.0, 0.5, 0.4, 2000)),
    ),
    Programme(
        symbol="NDX", daily_root="NDXP", monthly_root="NDX", daily_days=30, weekly_days=50,
        long_months=(6, 12), long_years=2, contracts=13_000, open_interest=90.0,
        rungs=(Rung(25.0, 0.035, 0.03, 30), Rung(100.0, 0.12, 0.08, _YEAR_DAYS),
               Rung(500.0, 0.6, 0.4, 2000)),
    ),
)  # fmt: skip


class Expiry(msgspec.Struct, frozen=True, order=True):
    """One expiration date of one root."""

    date: datetime.date
    root: str
    kind: str
    """Schwab's letter: S standard, W weekly, Q quarter's end, M month's end."""


def listed_expiries(programme: Programme, day: datetime.date) -> tuple[Expiry, ...]:
    """Return the expiries that trade on a date, that date's own included, soonest first."""
    monthly = {date: Expiry(date, programme.monthly_root, "S") for date in _months(programme, day)}
    separate = programme.daily_root != programme.monthly_root
    others = {
        date: Expiry(date, programme.daily_root, kind)
        for dates, kind in (
            (_dailies(programme, day), "W"),
            (_weeklies(programme, day), "W"),
            (_month_ends(day), "M"),
        )
        for date in dates
        if separate or date not in monthly
    }
    return tuple(sorted([*monthly.values(), *map(_quarterly, others.values())]))


def ladder(programme: Programme, expiry: Expiry, day: datetime.date, closes: Closes) -> Floats:
    """Return the strikes of an expiry on a date, ascending."""
    life = _LIFE_DAYS.get(expiry.kind, _YEAR_DAYS + 5)
    steps = []
    for rung in programme.rungs:
        if (expiry.date - day).days <= rung.days:
            since = min(expiry.date - min(rung.days, life) * _ONE_DAY, day)
            lowest, highest = closes(since, day)
            first = math.ceil(lowest * (1 - rung.below) / rung.step)
            last = math.floor(highest * (1 + rung.above) / rung.step)
            steps.append(np.arange(max(first, 1), last + 1) * rung.step)
    strikes: Floats = np.unique(np.concatenate(steps))
    return strikes


def _quarterly(expiry: Expiry) -> Expiry:
    is_quarter = expiry.kind == "M" and expiry.date.month % 3 == 0
    return Expiry(expiry.date, expiry.root, "Q") if is_quarter else expiry


def _dailies(programme: Programme, day: datetime.date) -> Iterator[datetime.date]:
    date = trading_day_on_or_after(day)
    while (date - day).days <= programme.daily_days:
        yield date
        date = next_trading_day(date)


def _weeklies(programme: Programme, day: datetime.date) -> Iterator[datetime.date]:
    for ahead in range(programme.weekly_days + 1):
        date = day + ahead * _ONE_DAY
        if date.weekday() == _FRIDAY and settlement_date(date) >= day:
            yield settlement_date(date)


def _month_ends(day: datetime.date) -> Iterator[datetime.date]:
    for months in range(day.year * 12 + day.month, day.year * 12 + day.month + 12):
        yield previous_trading_day(datetime.date(months // 12, months % 12 + 1, 1))


def _months(programme: Programme, day: datetime.date) -> Iterator[datetime.date]:
    first = day.year * 12 + day.month - 1
    for months in range(first, first + 12 * programme.long_years):
        year, month = months // 12, months % 12 + 1
        opex = opex_of_month(year, month)
        near = months < first + 12 or month in programme.long_months
        if near and opex >= day and is_trading_day(opex):
            yield opex
