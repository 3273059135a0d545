"""Months of derived tables: fewer files, the same rows, and the days always count."""

import datetime
from pathlib import Path

import pytest

from gex_pipeline.lake import months
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.months import merge_months
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline_tests.lake.builders import add_part, derive

OCTOBER = [datetime.date(2026, 10, day) for day in (1, 2, 5)]
NOVEMBER = [datetime.date(2026, 11, day) for day in (2, 3)]


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """A finished month of three days, and two days of the next."""
    paths = LakePaths(tmp_path)
    add_part(paths, {"heartbeats": [{}]})
    for day in (*OCTOBER, *NOVEMBER):
        derive(paths, "gex_1m", [gex(day, hour) for hour in (15, 16)], date=day)
    return paths


def gex(day: datetime.date, hour: int, spot: float = 6000.0) -> dict[str, object]:
    """Return a row of gex."""
    at = datetime.datetime(day.year, day.month, day.day, hour, tzinfo=datetime.UTC)
    return {"ts_recv_ns": int(at.timestamp()) * 10**9, "spot": spot + day.day}


def spots(paths: LakePaths) -> list[float]:
    """Return the spots of gex_1m in order, which both ways of reading agree on."""
    frame = Lake(paths.root).scan("gex_1m").sort("ts_recv_ns").collect()
    assert Lake(paths.root).sql("from gex_1m order by ts_recv_ns").equals(frame)
    return frame["spot"].to_list()


def test_a_month_takes_the_place_of_its_days(paths: LakePaths) -> None:
    """One file for three, once another month has begun; rows, dates and pruning are the same."""
    before, lake = spots(paths), Lake(paths.root)

    (made,) = merge_months(paths)

    assert made.dates == tuple(OCTOBER)
    assert len(lake.files("gex_1m")) == 1 + len(NOVEMBER)
    assert spots(paths) == before
    assert lake.dates("gex_1m") == [*OCTOBER, *NOVEMBER]
    assert lake.scan("gex_1m", start=OCTOBER[1], end=OCTOBER[1]).collect().height == 2
    assert len(lake.files("gex_1m", start=NOVEMBER[0])) == 2
    assert merge_months(paths) == ()


def test_a_day_made_anew_counts_at_once(paths: LakePaths) -> None:
    """The old month is not read any more; the next merge makes another."""
    merge_months(paths)

    derive(paths, "gex_1m", [gex(OCTOBER[1], 15, spot=7000.0)], date=OCTOBER[1])

    assert spots(paths)[2:4] == [7002.0, 6005.0]
    assert len(Lake(paths.root).files("gex_1m")) == 5
    (made,) = merge_months(paths)
    assert spots(paths)[2:4] == [7002.0, 6005.0]
    assert (made.rows, len(Lake(paths.root).files("gex_1m"))) == (5, 3)


def test_a_day_that_comes_late_counts_at_once(paths: LakePaths) -> None:
    """It is read beside the month, and then merged with it."""
    merge_months(paths)
    late = datetime.date(2026, 10, 6)

    derive(paths, "gex_1m", [gex(late, 15)], date=late)

    assert spots(paths)[6] == 6006.0
    (made,) = merge_months(paths)
    assert (made.dates, spots(paths)[6]) == ((*OCTOBER, late), 6006.0)


def test_only_small_months_are_merged(paths: LakePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit in memory stays in days."""
    monkeypatch.setattr(months, "MOST_ROWS", 5)

    assert merge_months(paths) == ()


def test_clean_up_leaves_months_that_are_read_and_takes_old_ones(paths: LakePaths) -> None:
    """Days stay beneath their month; a month that was made anew goes after the grace."""
    (old,) = merge_months(paths)
    derive(paths, "gex_1m", [gex(OCTOBER[1], 15)], date=OCTOBER[1])
    (new,) = merge_months(paths)

    for now_s in (10.0**9, 10.0**10):
        clean(paths, now_s)

    assert not (paths.lake / old.file).exists()
    assert (paths.lake / new.file).exists()
    assert query(paths, "select count(*) from gex_1m").rows == ((9,),)
    derive(paths, "gex_1m", [gex(OCTOBER[0], 15)], date=OCTOBER[0])
    assert len(spots(paths)) == 8
