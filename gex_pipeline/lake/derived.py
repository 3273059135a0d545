"""Derived files: tables that are made from the chain's, each named by a small record of its own.

A record `_derived/<table>/<key>.json` names one Parquet file; it is replaced by one rename, so a
reader sees the old file or the new one. Whoever makes a day's figures anew writes the record again;
what it named before goes after a grace.
"""

import datetime
import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.lake.durable import checksum, make_folders, sync
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.records import decoded

MONTHS: Final = "months"
"""Folder of the records of months, beside those of days."""

_numbers = itertools.count(1)


class Derived(msgspec.Struct, frozen=True):
    """One derived file of a day."""

    table: str
    key: str
    """What it is of: a tape, a calendar, a convention; with the date it is the record's name."""
    date: datetime.date
    file: str
    """Path below the lake."""
    rows: int
    bytes: int
    made_from: str = ""
    """What it was made from: tape to last seq, as text; another text, and it is out of date."""
    dates: tuple[datetime.date, ...] = ()
    """Of a month (lake/months.py): the days that it stands for."""
    schema: int = 1
    checksum: int = 0
    """CRC-32 of the file; 0: not known."""


def commit_derived(paths: LakePaths, record: Derived, write: Callable[[Path], None]) -> Derived:
    """Write the file by `write`, then its record; return the record with the file's size."""
    target = paths.lake / record.file
    make_folders(target.parent)
    draft = target.with_name(f".tmp-{os.getpid()}-{next(_numbers)}-{target.name}")
    write(draft)
    sync(draft)
    draft.replace(target)
    sync(target.parent)
    done = msgspec.structs.replace(record, bytes=target.stat().st_size, checksum=checksum(target))
    place = _place(paths, record)
    make_folders(place.parent)
    note = place.with_name(f".tmp-{os.getpid()}-{next(_numbers)}-{place.name}")
    note.write_bytes(msgspec.json.encode(done))
    sync(note)
    note.replace(place)
    sync(place.parent)
    return done


def read_derived(paths: LakePaths, table: str | None = None) -> Iterator[Derived]:
    """Yield the records, of one table or of all, in the order of table, date and key."""
    pattern = f"{table or '*'}/[0-9]*.json"
    for path in sorted(paths.derived.glob(pattern)) if paths.derived.is_dir() else ():
        yield decoded(path, Derived)


def read_months(paths: LakePaths, table: str | None = None) -> Iterator[Derived]:
    """Yield the records of months, whether or not they still stand for their days."""
    pattern = f"{table or '*'}/{MONTHS}/[0-9]*.json"
    for path in sorted(paths.derived.glob(pattern)) if paths.derived.is_dir() else ():
        yield decoded(path, Derived)


def with_months(days: Sequence[Derived], months: Sequence[Derived]) -> tuple[Derived, ...]:
    """Return the records to read: a month in the place of its days, while it is made from them."""
    found = list(days)
    for month in months:
        stood_for = [day for day in found if day.key == month.key and day.date in month.dates]
        if len(stood_for) == len(month.dates) and made_from(stood_for) == month.made_from:
            found = [day for day in found if day not in stood_for] + [month]
    return tuple(sorted(found, key=lambda record: (record.date, record.key)))


def made_from(days: Iterable[Derived]) -> str:
    """Return what a month is made from: its days' files, and how they were made."""
    told = [(day.file, day.rows, day.bytes, day.made_from, day.schema) for day in days]
    return f"{zlib.crc32(repr(told).encode()):08x}"


def _place(paths: LakePaths, record: Derived) -> Path:
    folder = paths.derived / record.table
    return (folder / MONTHS if record.dates else folder) / f"{record.date}.{record.key}.json"
