"""Derived files: tables that are made from the chain's, each named by a small record of its own.

A record `_derived/<table>/<key>.json` names one Parquet file; it is replaced by one rename, so a
reader sees the old file or the new one. Whoever makes a day's figures anew writes the record again;
what it named before goes after a grace.
"""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gex_pipeline.lake.durable import make_folders, sync
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.records import decoded


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
    schema: int = 1


def commit_derived(paths: LakePaths, record: Derived, write: Callable[[Path], None]) -> Derived:
    """Write the file by `write`, then its record; return the record with the file's size."""
    target = paths.lake / record.file
    make_folders(target.parent)
    draft = target.with_name(f".tmp-{target.name}")
    write(draft)
    sync(draft)
    draft.replace(target)
    sync(target.parent)
    done = msgspec.structs.replace(record, bytes=target.stat().st_size)
    place = _place(paths, record)
    make_folders(place.parent)
    note = place.with_name(f".tmp-{place.name}")
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


def _place(paths: LakePaths, record: Derived) -> Path:
    return paths.derived / record.table / f"{record.date}.{record.key}.json"
