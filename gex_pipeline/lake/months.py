"""Months of derived tables: the small files of finished days as one, so that a year opens fast.

Days stay what counts: a month is read in the place of its days only while it is made from exactly
their files. Where one of them is made anew, readers go back to the days until the month is, too.
"""

import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.derived import Derived, commit_derived, made_from, read_derived, read_months
from gex_pipeline.lake.files import files_of
from gex_pipeline.lake.frames import scan_files
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, TABLES

MOST_ROWS: Final = 600_000
"""Of a month: what one step sorts in memory; longer ones stay days, which open fast enough."""


def merge_months(paths: LakePaths) -> tuple[Derived, ...]:
    """Merge the days of each month that a later one has followed; return the months made."""
    known = {(each.table, each.date, each.key): each for each in read_months(paths)}
    made = []
    for days in _months(paths):
        record = _record(days)
        old = known.get((record.table, record.date, record.key))
        if old is None or (old.made_from, old.dates) != (record.made_from, record.dates):
            made.append(_commit(paths, record, days))
    return tuple(made)


def _months(paths: LakePaths) -> Iterator[list[Derived]]:
    """Yield the days of each table, key and month that is over and can be merged."""
    records = sorted(read_derived(paths), key=lambda each: (each.table, each.key, each.date))
    for _, found in itertools.groupby(records, key=lambda each: (each.table, each.key)):
        months = [list(days) for _, days in itertools.groupby(found, key=_month)]
        for days in months[:-1]:
            if len(days) > 1 and sum(day.rows for day in days) <= MOST_ROWS:
                yield days


def _month(day: Derived) -> tuple[int, int]:
    return day.date.year, day.date.month


def _record(days: list[Derived]) -> Derived:
    first, version = days[0], made_from(days)
    dates: tuple[datetime.date, ...] = tuple(day.date for day in days)
    return Derived(
        table=first.table,
        key=first.key,
        date=first.date,
        file=f"{first.table}/date={first.date}/{first.key}-month-{version}.parquet",
        rows=sum(day.rows for day in days),
        bytes=0,
        made_from=version,
        dates=dates,
        schema=LAKE_SCHEMA_VERSION,
    )


def _commit(paths: LakePaths, record: Derived, days: list[Derived]) -> Derived:
    table = TABLES[record.table]
    files = files_of(paths, (), days)[table.name]
    rows = scan_files(table.name, files).sort(table.sort_by).collect()
    data = rows.to_arrow().cast(schema_of(table))

    def write(path: Path) -> None:
        with DayWriter(table, path, made_from=record.made_from) as writer:
            writer.write(data)

    return commit_derived(paths, record, write)
