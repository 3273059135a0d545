"""Retention: day files of old dates go, and their manifests stay.

A manifest anchors the chain, so it is written again under its name, whole or not at all: the same
range, no files, and what was let go under `retired`. Readers then name the files no more, and
clean-up removes them behind its grace. Parts, derived tables and the chain are never touched.
"""

import datetime
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.lake.durable import locked, point, sync, write_synced
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths

POINTS: Final = ("retention.noted", "retention.renamed")
"""Moments at which a crash costs nothing, in their order."""

_numbers = itertools.count(1)


class Expired(msgspec.Struct, frozen=True):
    """A finished day whose files are past their time."""

    tape: str
    date: datetime.date
    rows: int
    bytes: int
    files: tuple[str, ...]
    """Below the lake, or whole paths where day files stand elsewhere."""


def cutoff(paths: LakePaths, days: int) -> datetime.date:
    """Return the date before which files are past their time.

    It counts from the newest date that the lake holds: a lake that is only read loses nothing.

    Raises:
        LakeError: a chain is broken.
    """
    dates = [node.date for tape in paths.tapes() for node in read_chain(paths, tape).nodes]
    return max(dates) - datetime.timedelta(days=days) if dates else datetime.date.min


def expired(paths: LakePaths, before: datetime.date) -> tuple[Expired, ...]:
    """Return the finished days of dates before one that still have files, oldest first.

    Raises:
        LakeError: a chain is broken.
    """
    days = sorted(_of_dates(paths, before), key=lambda day: (day.date, day.tape))
    return tuple(_told(day) for day in days)


def retire(paths: LakePaths, before: datetime.date) -> tuple[Expired, ...] | None:
    """Let these files go and return the days; None: end of day or clean-up is at work.

    Build the catalog anew afterwards; clean-up then removes the files.
    """
    with locked(paths.days_lock, wait=False) as mine:
        if not mine:
            return None
        days = sorted(_of_dates(paths, before), key=lambda day: (day.date, day.tape))
        for day in days:
            _rewrite(paths, msgspec.structs.replace(day, files=(), retired=day.files))
        return tuple(_told(day) for day in days)


def _of_dates(paths: LakePaths, before: datetime.date) -> Iterator[Manifest]:
    for tape in paths.tapes():
        for node in read_chain(paths, tape).nodes:
            if isinstance(node, Manifest) and node.files and node.date < before:
                yield node


def _told(day: Manifest) -> Expired:
    return Expired(
        tape=day.tape,
        date=day.date,
        rows=sum(each.rows for each in day.files),
        bytes=sum(each.bytes for each in day.files),
        files=tuple(each.file for each in day.files),
    )


def _rewrite(paths: LakePaths, manifest: Manifest) -> None:
    place = _place(paths.manifests(manifest.tape).glob("[0-9]*.json"), manifest)
    draft = place.with_name(f".tmp-{os.getpid()}-{next(_numbers)}")
    try:
        write_synced(draft, msgspec.json.encode(manifest))
        point("retention.noted")
        draft.replace(place)
        point("retention.renamed")
    finally:
        draft.unlink(missing_ok=True)
    sync(place.parent)


def _place(found: Iterable[Path], manifest: Manifest) -> Path:
    """Return the manifest's file: its name is the range, however many digits that has."""
    wanted = (manifest.first, manifest.last)
    return next(
        path for path in found if tuple(int(part) for part in path.stem.split("-")) == wanted
    )
