"""Dates as Cboe prints them, in headers and in rows."""

import datetime
import re
from functools import lru_cache

_WORDED = (
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2})\s*,?\s+(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})\s+(?P<name>[A-Za-z]{3,9})\.?\s*,?\s+(?P<year>\d{4})"),
    re.compile(r"(?P<year>\d{4})\s*[-/年]\s*(?P<month>\d{1,2})\s*[-/月]\s*(?P<day>\d{1,2})"),
)
_SLASHED = re.compile(r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\b")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEARS = range(2000, 2100)


def header_date(text: str) -> datetime.date | None:
    """Return the first date in a text: "January 7, 2024", "7 January 2024", "2024-01-07".

    01/07/2024 is none: above a table it may be a reader's own day and month.
    """
    match = next(filter(None, (form.search(text) for form in _WORDED)), None)
    return _date(match) if match else None


@lru_cache(maxsize=1024)
def row_date(text: str) -> datetime.date | None:
    """Return the date of a table's cell: "Fri Jan 05 2024", "01/05/2024" or "2024-01-05"."""
    match = _SLASHED.search(text)
    return _date(match) if match else header_date(text)


def _date(match: re.Match[str]) -> datetime.date | None:
    parts = match.groupdict()
    name = parts.get("name", "")[:3].lower()
    month = _MONTHS.index(name) + 1 if name in _MONTHS else int(parts.get("month", 0))
    try:
        day = datetime.date(int(parts["year"]), month, int(parts["day"]))
    except ValueError:
        return None
    return day if day.year in _YEARS else None
