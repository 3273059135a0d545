"""Headers of Cboe's quote table."""

import datetime
import math

import pytest

from gex_pipeline.feeds.cboe.header import read_header
from gex_pipeline_tests.feeds.builders import CSV_DATE, CSV_NAME, DAT_DATE, DAT_NAME


def utc_ns(text: str) -> int:
    """Return nanoseconds of an ISO time in UTC."""
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("line", "instant"),
    [
        ('"Date: January 7, 2024 at 10:52 AM EST",Bid: 1,Ask: 2', "2024-01-07 15:52"),
        ('"Date: December 12, 2022 at 8:30 PM EST",Bid: 1', "2022-12-13 01:30"),
        ('"Date: February 5 2022, 8:09 PM EST"', "2022-02-06 01:09"),
        ('"Date: June 11, 2022, 8:47 PM EDT"', "2022-06-12 00:47"),
        ('"Date: June 11, 2022, 8:47 PM EST"', "2022-06-12 00:47"),
        ('"Date: July 4, 2026 at 12:23 AM EDT",Bid: 99', "2026-07-04 04:23"),
        ('"Date: July 4, 2026 at 12:23 PM ET"', "2026-07-04 16:23"),
        ('"Date: June 11, 2022, 8:47:31\u202fPM EDT"', "2022-06-12 00:47:31"),
        ("Jun 22 2020 @ 20:42 ET,Bid,3117.8,Ask,3117.9,Size,1x1,Vol,0", "2020-06-23 00:42"),
        ("Oct 15 2018 @ 20:00 ET", "2018-10-16 00:00"),
        ('"Date: 7 January 2024 at 10:52 GMT-5",Bid: 1', "2024-01-07 15:52"),
        ("Date: 2026年3月19日 GMT-4 10:30,Bid: 4999.50", "2026-03-19 14:30"),
        ('"Date: 2026-03-19 GMT-04:00 10:30"', "2026-03-19 14:30"),
    ],
)
def test_download_time_of_every_dialect(line: str, instant: str) -> None:
    """EST, EDT and ET are all New York's clock of that day; a printed offset is itself."""
    assert read_header([CSV_NAME, line]).ts_source_ns == utc_ns(instant)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Date: today at 10:52 AM EST",
        "Date: February 30, 2024 at 10:52 AM EST",
        "Date: January 7, 2024 at 25:52 EST",
        "Date: January 7, 2024",
        "Date: 07/01/2024, 10:52 GMT-5",
        "Date: January 7, 2024 at 10:52 AM CST",
        "Date: 2026年3月19日 下午10:30",
        "Date: 19 de março de 2026 às 10:30 GMT-4",
        "Date: January 7, 1024 at 10:52 AM EST",
        "Downloaded January 7, 2024 10:52 AM",
    ],
)
def test_a_time_that_cannot_be_known_is_zero(line: str) -> None:
    """No guess: an impossible, ambiguous or foreign time is unknown, and the spot is still read."""
    header = read_header([CSV_NAME, line])

    assert header.ts_source_ns == 0
    assert header.spot == 4697.2402


@pytest.mark.parametrize(
    ("line", "spot"),
    [
        (CSV_NAME, 4697.2402),
        ("Standard & Poors 500 Index,Last: 3990.5601,Change:  56.1801", 3990.5601),
        ("Acme, Widgets, Inc.,Last: 12.5,Change: -1", 12.5),
        ('"Acme, Inc., THE",Last: 12.5,Change: -1', 12.5),
        ("ACME,Last: 4697,Change: 1", 4697.0),
        ('ACME,"Last: 4,697.25",Change: 1', 4697.25),
    ],
)
def test_spot_of_the_csv(line: str, spot: float) -> None:
    """The spot follows "Last:", whatever commas and quotes the name before it has."""
    header = read_header(["---Example Data---", line, CSV_DATE])

    assert (header.source, header.spot) == ("cboe-csv", spot)


@pytest.mark.parametrize(
    ("line", "spot"),
    [
        (DAT_NAME, 3117.86),
        ("IBM (INTL BUSINESS, MACHINES, THE),185.08,-0.27,", 185.08),
        ("SPX (S&P 500 INDEX),2750.79,-16.34", 2750.79),
        ('"ACME (A, B)","3,117.86",+20.12', 3117.86),
    ],
)
def test_spot_of_the_dat(line: str, spot: float) -> None:
    """The spot is the second-last number of line 1, with or without a comma at the end."""
    header = read_header([line, DAT_DATE])

    assert (header.source, header.spot) == ("cboe-dat", spot)


@pytest.mark.parametrize("lines", [[], [""], ["S&P 500 INDEX,Last: ,Change: "], [CSV_DATE]])
def test_no_spot_is_nan(lines: list[str]) -> None:
    """A header without a spot gives NaN, for the engine to report."""
    assert math.isnan(read_header(lines).spot)
