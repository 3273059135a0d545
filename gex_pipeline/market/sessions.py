"""Trading days, sessions, settlements and quote times: New York's clock read off a literal table.

Days come from holidays.py. Three calendars: "equity" (shares and funds), "index" (cash indexes and
their options) and "cme" (Globex equity futures). Instants are integers of UTC nanoseconds, days are
New York calendar dates. A day outside the table raises CalendarError, wherever it is met.
The rules of quotes and settlements: docs/conventions.md, "Rows in" and "Time".
"""

import datetime
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from gex_pipeline.errors import CalendarError, InputError
from gex_pipeline.market import holidays
from gex_pipeline.market.roots import option_root

Calendar = Literal["equity", "index", "cme"]
AsofRule = Literal["session", "last_close"]

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY = datetime.date(holidays.FIRST_YEAR, 1, 1)
LAST_DAY = datetime.date(holidays.LAST_YEAR, 12, 31)
SECOND_NS = 1_000_000_000
CBOE_DELAY_NS = 15 * 60 * SECOND_NS
"""Cboe's free files show the market of a quarter of an hour before."""

_ONE_DAY = datetime.timedelta(days=1)
_FRIDAY = 4
_Time = tuple[int, int]


class _Hours(msgspec.Struct, frozen=True):
    """A calendar's days and its times of day, (hour, minute) in New York."""

    table: dict[int, tuple[str, str]]
    opens: _Time
    closes: _Time
    closes_early: _Time
    rolls: _Time
    """From here on an event belongs to the next trading date."""
    opens_eve: bool = False
    """Opens on the calendar evening before."""


_HOURS: dict[Calendar, _Hours] = {
    "equity": _Hours(holidays.XNYS, (9, 30), (16, 0), (13, 0), rolls=(20, 0)),
    "index": _Hours(holidays.XNYS, (9, 30), (16, 15), (13, 15), rolls=(17, 0)),
    "cme": _Hours(holidays.CMES, (18, 0), (17, 0), (13, 0), rolls=(18, 0), opens_eve=True),
}


class Session(msgspec.Struct, frozen=True):
    """The regular hours of one trading date; open at `open_ns`, closed at `close_ns`."""

    date: datetime.date
    open_ns: int
    close_ns: int
    half_day: bool


# --- New York's clock -----------------------------------------------------------------------------


def et_datetime(ts_ns: int) -> datetime.datetime:
    """Return the New York date and time of an instant, cut to the microsecond."""
    seconds, rest_ns = divmod(ts_ns, SECOND_NS)
    moment = datetime.datetime.fromtimestamp(seconds, NEW_YORK)
    return moment.replace(microsecond=rest_ns // 1000)


def et_ns(day: datetime.date, hour: int, minute: int = 0) -> int:
    """Return the instant of a New York wall time.

    Of a time that the clocks show twice, the first; the times they skip (Sunday, 02:00 to 03:00)
    count on from before.
    """
    wall = datetime.time(hour, minute, tzinfo=NEW_YORK)
    return round(datetime.datetime.combine(day, wall).timestamp()) * SECOND_NS


# --- trading days ---------------------------------------------------------------------------------


def is_trading_day(day: datetime.date, calendar: Calendar = "equity") -> bool:
    """Return whether the calendar has a session of that date."""
    _check_range(day)
    return day.weekday() <= _FRIDAY and day not in _closed_days(calendar)


def is_half_day(day: datetime.date, calendar: Calendar = "equity") -> bool:
    """Return whether the session of that date closes early."""
    _check_range(day)
    return day in _early_days(calendar)


def previous_trading_day(day: datetime.date, calendar: Calendar = "equity") -> datetime.date:
    """Return the newest trading day strictly before `day`."""
    return trading_day_on_or_before(day - _ONE_DAY, calendar)


def next_trading_day(day: datetime.date, calendar: Calendar = "equity") -> datetime.date:
    """Return the first trading day strictly after `day`."""
    return trading_day_on_or_after(day + _ONE_DAY, calendar)


def trading_day_on_or_before(day: datetime.date, calendar: Calendar = "equity") -> datetime.date:
    """Return `day` if it trades, else the trading day before it."""
    while not is_trading_day(day, calendar):
        day -= _ONE_DAY
    return day


def trading_day_on_or_after(day: datetime.date, calendar: Calendar = "equity") -> datetime.date:
    """Return `day` if it trades, else the trading day after it."""
    while not is_trading_day(day, calendar):
        day += _ONE_DAY
    return day


# --- sessions -------------------------------------------------------------------------------------


def session(day: datetime.date, calendar: Calendar = "equity") -> Session:
    """Return the regular hours of a trading date.

    "equity" 09:30 to 16:00, "index" 09:30 to 16:15, "cme" 18:00 of the evening before to 17:00;
    early closes at 13:00, 13:15 and 13:00.

    Raises:
        InputError: `day` is no trading date of that calendar; the message names the nearest.
    """
    if not is_trading_day(day, calendar):
        before, after = previous_trading_day(day, calendar), next_trading_day(day, calendar)
        raise InputError(f"{day} has no {calendar} session; the nearest are {before} and {after}.")
    hours = _HOURS[calendar]
    half_day = is_half_day(day, calendar)
    return Session(
        date=day,
        open_ns=et_ns(day - _ONE_DAY if hours.opens_eve else day, *hours.opens),
        close_ns=et_ns(day, *(hours.closes_early if half_day else hours.closes)),
        half_day=half_day,
    )


def session_date(ts_ns: int, calendar: Calendar) -> datetime.date:
    """Return the trading date that an instant belongs to: it never goes back as time goes on.

    The date rolls at 20:00 New York ("equity"), 17:00 ("index") or 18:00 ("cme"), early closes or
    not; weekends and holidays belong to the trading date after them.
    """
    moment = et_datetime(ts_ns)
    rolled = (moment.hour, moment.minute) >= _HOURS[calendar].rolls
    return trading_day_on_or_after(moment.date() + _ONE_DAY * rolled, calendar)


def in_session(ts_ns: int, calendar: Calendar) -> bool:
    """Return whether an instant lies in regular hours: the open is in, the close is out."""
    hours = session(session_date(ts_ns, calendar), calendar)
    return hours.open_ns <= ts_ns < hours.close_ns


def regular_open_ns(day: datetime.date) -> int:
    """Return the stock market's open, 09:30 New York."""
    return session(day, "equity").open_ns


def quote_close_ns(day: datetime.date, *, late: bool) -> int:
    """Return when options stop quoting: 16:15 if `late` (OptionRoot.quote_close_late), else 16:00.

    On half days 13:15 and 13:00.
    """
    return session(day, "index" if late else "equity").close_ns


def quote_asof_ns(download_ns: int, *, late: bool) -> tuple[int, AsofRule]:
    """Return the time of the quotes in a file of which only the download time is known, and how.

    A file downloaded at D shows the market of D - 15 min: "session" if options quoted then;
    "last_close", the newest quote close before that, if they did not.
    """
    quoted_ns = download_ns - CBOE_DELAY_NS
    day = et_datetime(quoted_ns).date()
    if not is_trading_day(day) or quoted_ns < regular_open_ns(day):
        return quote_close_ns(previous_trading_day(day), late=late), "last_close"
    close_ns = quote_close_ns(day, late=late)
    return (quoted_ns, "session") if quoted_ns <= close_ns else (close_ns, "last_close")


# --- expiries -------------------------------------------------------------------------------------


def settlement_date(expiry: datetime.date) -> datetime.date:
    """Return the day on which a listed expiry settles: itself, or the trading day before."""
    return trading_day_on_or_before(expiry)


def settlement_ns(root: str, expiry: datetime.date, settlement: str = "") -> int:
    """Return the instant at which an option's value is fixed.

    AM roots at 09:30 New York, all others at 16:00 (13:00 on half days), on `settlement_date`.
    A vendor's `settlement` of "A" or "P" overrides the root; anything else is no statement.
    """
    day = session(settlement_date(expiry), "equity")
    am_settled = settlement == "A" or (settlement != "P" and option_root(root).am_settled)
    return day.open_ns if am_settled else day.close_ns


def opex_of_month(year: int, month: int) -> datetime.date:
    """Return the standard expiry of a month: its third Friday, or the trading day before."""
    first = datetime.date(year, month, 1)
    first_friday = first + _ONE_DAY * ((_FRIDAY - first.weekday()) % 7)
    return settlement_date(first_friday + 14 * _ONE_DAY)


def is_standard_opex(day: datetime.date) -> bool:
    """Return whether `day`, a settlement date, is the standard expiry of its month."""
    return day == opex_of_month(day.year, day.month)


def standard_opex(today: datetime.date) -> datetime.date:
    """Return the nearest standard expiry on or after `today`.

    On the day itself that is today: which roots are still alive, `settlement_ns` says.
    """
    opex = opex_of_month(today.year, today.month)
    if opex >= today:
        return opex
    months = today.year * 12 + today.month  # of the month after, counted from 0
    return opex_of_month(months // 12, months % 12 + 1)


# --- the table ------------------------------------------------------------------------------------


def _check_range(day: datetime.date) -> None:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise CalendarError(day.isoformat(), FIRST_DAY.isoformat(), LAST_DAY.isoformat())


@cache
def _closed_days(calendar: Calendar) -> frozenset[datetime.date]:
    return _days(_HOURS[calendar].table, 0)


@cache
def _early_days(calendar: Calendar) -> frozenset[datetime.date]:
    return _days(_HOURS[calendar].table, 1)


def _days(table: dict[int, tuple[str, str]], column: int) -> frozenset[datetime.date]:
    return frozenset(
        datetime.date(year, int(mmdd[:2]), int(mmdd[2:]))
        for year, columns in table.items()
        for mmdd in columns[column].split()
    )
