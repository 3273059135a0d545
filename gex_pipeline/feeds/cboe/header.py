"""What stands above a Cboe quote table: the spot, the download time and which dialect it is.

Two dialects, never documented by Cboe, known from files:
CSV  `S&P 500 INDEX,Last: 4697.2402,Change:  8.5602`, then `"Date: January 7, 2024 at 10:52 AM EST",
     Bid: 4645.23,...`, with anything or nothing above; the date follows the browser's language.
.dat `^SPX (S&P 500 INDEX),3117.86,+20.12`, then `Jun 22 2020 @ 20:42 ET,Bid,3117.8,...`.
"""

import datetime
import math
import re
from collections.abc import Sequence

import msgspec

from gex_pipeline.feeds.cboe.cells import split_cells
from gex_pipeline.feeds.cboe.dates import header_date
from gex_pipeline.feeds.numbers import number
from gex_pipeline.market.sessions import SECOND_NS, et_ns

_LAST = re.compile(r"\bLast\s*:\s*(-?\d[\d,]*\.?\d*)", re.IGNORECASE)
_DATED = re.compile(r"\bDate\b|@", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AP])\.?\s?M\b)?", re.IGNORECASE)
_OFFSET = re.compile(r"\b(?:GMT|UTC)(?:([+\-−]\d{1,2})(?::?00)?)?")
# Half-day words and time zones that we do not read: an unknown time is better than a wrong one.
_FOREIGN = re.compile(r"午|오전|오후|\b(?:[CMP][SD]?T|BST|CES?T)\b")
_NOON = 12
_FEWEST_CELLS = 3  # name, last, change


class Header(msgspec.Struct, frozen=True):
    """What the lines above the table say."""

    source: str
    """cboe-csv or cboe-dat."""
    spot: float
    """Last level or price of the underlying; NaN if no line gives one."""
    ts_source_ns: int
    """Download time, UTC nanoseconds; 0 if no line gives one that we can read."""


def read_header(lines: Sequence[str]) -> Header:
    """Return the facts of the lines above the table; never raises."""
    spot = _labelled_spot(lines)
    source = "cboe-csv"
    if math.isnan(spot):
        spot = _bare_spot(lines)
        source = "cboe-csv" if math.isnan(spot) else "cboe-dat"
    return Header(source=source, spot=spot, ts_source_ns=_download_ns(lines))


def _labelled_spot(lines: Sequence[str]) -> float:
    for line in lines:
        if match := _LAST.search(line):
            return number(match[1].rstrip(","))
    return math.nan


def _bare_spot(lines: Sequence[str]) -> float:
    """Return the second-last cell of the first line that has a number there."""
    for line in lines:
        cells = split_cells(line.rstrip(", \t"))
        if len(cells) >= _FEWEST_CELLS and not math.isnan(spot := number(cells[-2])):
            return spot
    return math.nan


def _download_ns(lines: Sequence[str]) -> int:
    for line in filter(_DATED.search, lines):
        day, clock = header_date(line), _CLOCK.search(_OFFSET.sub(" ", line))
        if day is not None and clock is not None:
            return _instant_ns(day, clock, line)
    return 0


def _instant_ns(day: datetime.date, clock: re.Match[str], line: str) -> int:
    """Return the instant of a printed time: New York's unless the line names an offset."""
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if half := clock[4]:
        hour = hour % _NOON + _NOON * (half.upper() == "P")
    if hour > 23 or minute > 59 or second > 59 or _FOREIGN.search(line):
        return 0
    if offset := _OFFSET.search(line):
        hours = int((offset[1] or "0").replace("−", "-"))
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        seconds = int(midnight.timestamp()) + (hour - hours) * 3600 + minute * 60
        return (seconds + second) * SECOND_NS
    return et_ns(day, hour, minute) + second * SECOND_NS
