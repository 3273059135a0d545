"""Writes gex_pipeline/market/holidays.py from exchange_calendars.

python -m gex_pipeline_tests.market.generate_holidays > gex_pipeline/market/holidays.py
"""

import sys
import warnings

with warnings.catch_warnings():  # the library is not clean under this pandas
    warnings.simplefilter("ignore")
    import exchange_calendars
import pandas as pd

FIRST_YEAR = 1993
"""From here on every early close is at 13:00 New York; before, some were at 14:00."""
LAST_YEAR = 2100
EXCHANGES = ("XNYS", "CMES")

_HEADER = '''"""Full and early closes of the exchanges, {first} to {last}. GENERATED: do not edit.

Generator: python -m gex_pipeline_tests.market.generate_holidays > gex_pipeline/market/holidays.py
Source: exchange_calendars {version}; its rules of today stand for the years to come.

Per exchange and year: weekdays without a session, then days that close early (at 13:00 New York),
each as month and day, MMDD. Weekends never trade. XNYS is the New York Stock Exchange; CMES is CME
Globex as the library has it: on most US holidays equity futures trade until 13:00 New York.
"""

FIRST_YEAR = {first}
LAST_YEAR = {last}
'''


def render() -> str:
    """Return the whole text of the module."""
    header = _HEADER.format(
        first=FIRST_YEAR, last=LAST_YEAR, version=exchange_calendars.__version__
    )
    return header + "".join(_table(exchange) for exchange in EXCHANGES)


def _table(exchange: str) -> str:
    """Return one literal: a line per year."""
    closed, early = _days(exchange)
    lines = [
        f'    {year}: ("{_of_year(closed, year)}", "{_of_year(early, year)}"),\n'
        for year in range(FIRST_YEAR, LAST_YEAR + 1)
    ]
    return f"\n{exchange}: dict[int, tuple[str, str]] = {{\n{''.join(lines)}}}\n"


def _days(exchange: str) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    first, last = f"{FIRST_YEAR}-01-01", f"{LAST_YEAR}-12-31"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calendar = exchange_calendars.get_calendar(exchange, start=first, end=last)
        early = calendar.early_closes
        times = calendar.closes[early].dt.tz_convert("America/New_York").dt.strftime("%H:%M")
    if set(times) != {"13:00"} or not set(calendar.sessions.day_of_week) <= set(range(5)):
        raise ValueError(f"{exchange} has a session that the table cannot say")
    return pd.bdate_range(first, last).difference(calendar.sessions), early


def _of_year(days: pd.DatetimeIndex, year: int) -> str:
    return " ".join(day.strftime("%m%d") for day in days if day.year == year)


if __name__ == "__main__":
    sys.stdout.write(render())
