"""Parts of a tape, and the chain of them: the only truth about what the lake holds.

A part is a folder `_intraday/<tape>/<first>/` with a Parquet file per table and part.json, that one
rename commits; its name is always the seq after the cursor, so two archivers race for one name and
one of them wins. The chain starts at 0 and follows what starts at its end plus one: what it does
not reach is not there. Nobody makes the folder of a part or removes anything inside one.
"""

import datetime
import errno
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from gex_pipeline.errors import LakeError
from gex_pipeline.lake.durable import (
    check_trusted,
    checksum,
    make_folders,
    point,
    sync,
    sync_names,
    write_synced,
)
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.records import decoded

PART_FILE = "part.json"
LISTINGS = 5
LISTING_PAUSE_S = 0.01
LEFTOVER_AGE_S = 3600.0

_numbers = itertools.count(1)


class Gap(msgspec.Struct, frozen=True):
    """Seqs that neither tape nor spool holds any more, both ends in it."""

    first: int
    last: int


def lost_in(gaps: Iterable[Gap]) -> int:
    """Return how many seqs these gaps are."""
    return sum(gap.last - gap.first + 1 for gap in gaps)


class Part(msgspec.Struct, frozen=True):
    """What part.json says: the seqs of a tape from `first` to `last`, all of one session date."""

    tape: str
    epoch: int
    """Of the last frame."""
    date: datetime.date
    first: int
    last: int
    rows: dict[str, int]
    """Rows of each table."""
    checksums: dict[str, int] = {}
    """CRC-32 of each table's file; none in parts of version 1."""
    gaps: tuple[Gap, ...] = ()
    schema: int = 1
    """LAKE_SCHEMA_VERSION of its writer."""

    def __post_init__(self) -> None:
        """Refuse a part whose numbers do not close; version 1 did not keep every event."""
        known, lost = sum(self.rows.values()), lost_in(self.gaps)
        events = self.last - self.first + 1 - lost
        if known != events and (self.schema > 1 or known > events):
            raise ValueError(f"{known} events and {lost} lost in {self.first} to {self.last}")


class DayFile(msgspec.Struct, frozen=True):
    """One table of a finished day, as its manifest names it."""

    table: str
    file: str
    """Path below the lake."""
    rows: int
    bytes: int
    checksum: int = 0
    """CRC-32 of the file."""


class Manifest(msgspec.Struct, frozen=True):
    """A finished day of a tape: it takes the place of the parts in its range."""

    tape: str
    epoch: int
    date: datetime.date
    first: int
    last: int
    files: tuple[DayFile, ...]
    gaps: tuple[Gap, ...] = ()
    schema: int = 1
    """LAKE_SCHEMA_VERSION of its writer."""
    retired: tuple[DayFile, ...] = ()
    """Files that were let go after their time: the range stays committed, the rows are gone."""


class Chain(msgspec.Struct, frozen=True):
    """All that the lake holds of one tape, in order."""

    tape: str
    nodes: tuple[Part | Manifest, ...] = ()

    @property
    def cursor(self) -> int:
        """The last seq that is committed; 0 before the first."""
        return self.nodes[-1].last if self.nodes else 0

    @property
    def epoch(self) -> int:
        """Epoch of the last committed frame; 0 before the first."""
        return self.nodes[-1].epoch if self.nodes else 0


def read_chain(paths: LakePaths, tape: str) -> Chain:
    """Return the chain of a tape; every reader and writer of the lake asks here.

    Raises:
        LakeError: something lies beyond the chain's end, or cannot be read, five times over.
    """
    for attempt in range(LISTINGS):
        if attempt:
            time.sleep(LISTING_PAUSE_S)
        try:
            starts = part_starts(paths, tape)  # before the manifests: end of day removes parts
            manifests = _manifests(paths, tape)
            nodes = _walk(paths, tape, starts, manifests)
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            problem = f"a part or manifest cannot be read ({error})"
            continue
        end = nodes[-1].last if nodes else 0
        beyond = [first for first in (*starts, *manifests) if first > end + 1]
        if not beyond:
            return Chain(tape, tuple(nodes))
        problem = f"seq {min(beyond)} is there and {end + 1} is not"
    raise LakeError(tape, problem)


def commit_part(paths: LakePaths, part: Part, write: Mapping[str, Callable[[Path], None]]) -> bool:
    """Commit a part whose `first` is the cursor plus one; False: another one was faster.

    `write` holds, by table, what writes its file to a path.
    """
    folder = paths.tape(part.tape)
    make_folders(folder)
    draft = folder / f".tmp-{os.getpid()}-{next(_numbers)}"
    try:
        _fill(draft, part, write)
        draft.rename(paths.part(part.tape, part.first))
        point("part.renamed")
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            return False
        raise
    sync_names(folder)
    point("part.durable")
    return True


def put_aside(paths: LakePaths, part: Part) -> Path:
    """Take a damaged part out of the chain, under a name that nobody reads; return the folder."""
    folder = paths.part(part.tape, part.first)
    aside = folder.with_name(f".bad-{part.first:020d}-{os.getpid()}-{next(_numbers)}")
    folder.rename(aside)
    sync_names(folder.parent)
    return aside


def sync_chain(paths: LakePaths, tape: str) -> None:
    """Make the chain durable, whoever wrote it: before anything is deleted on its strength.

    Raises:
        LakeDiskError: an fsync of it failed since the machine was started.
    """
    for lowest in (paths.tape(tape), paths.manifests(tape)):
        check_trusted(lowest)
        for folder in (lowest, *lowest.parents[:3]):  # who made them may have died before its fsync
            if folder.is_dir():
                sync(folder)


def sweep(paths: LakePaths, tape: str, now_s: float) -> int:
    """Remove the drafts that a killed archiver left an hour ago; return how many."""
    folder = paths.tape(tape)
    old = [
        draft
        for draft in (folder.glob(".tmp-*") if folder.is_dir() else ())
        if now_s - draft.stat().st_mtime > LEFTOVER_AGE_S
    ]
    for draft in old:
        shutil.rmtree(draft, ignore_errors=True)
    return len(old)


def _fill(draft: Path, part: Part, write: Mapping[str, Callable[[Path], None]]) -> None:
    draft.mkdir()
    point("part.drafted")
    checks = {}
    for table, writer in write.items():
        path = draft / f"{table}.parquet"
        writer(path)
        sync(path)
        checks[table] = checksum(path)
        point("part.written")
    noted = msgspec.structs.replace(part, checksums=checks)
    write_synced(draft / PART_FILE, msgspec.json.encode(noted))
    point("part.noted")
    sync(draft)
    point("part.synced")


def part_starts(paths: LakePaths, tape: str) -> list[int]:
    """Return where the parts of a tape start, reached by the chain or not."""
    folder = paths.tape(tape)
    if not folder.is_dir():
        return []
    return [int(found.name) for found in folder.iterdir() if found.name.isdigit()]


def manifests_of(paths: LakePaths, tape: str) -> list[Manifest]:
    """Return all manifests of a tape, those too that a longer one has taken the place of."""
    folder = paths.manifests(tape)
    listed = sorted(folder.glob("[0-9]*.json")) if folder.is_dir() else []
    return [decoded(path, Manifest) for path in listed]


def _manifests(paths: LakePaths, tape: str) -> dict[int, Manifest]:
    """Return the manifests by their first seq, of two that share it the longer one."""
    found: dict[int, Manifest] = {}
    for manifest in manifests_of(paths, tape):
        known = found.get(manifest.first)
        if known is None or manifest.last > known.last:
            found[manifest.first] = manifest
    return found


def _walk(
    paths: LakePaths, tape: str, starts: list[int], manifests: Mapping[int, Manifest]
) -> list[Part | Manifest]:
    nodes: list[Part | Manifest] = []
    known, following = set(starts), 1
    while following in manifests or following in known:
        node: Part | Manifest
        if following in manifests:
            node = manifests[following]
        else:
            node = decoded(paths.part(tape, following) / PART_FILE, Part)
        if node.first != following or node.last < following:
            raise ValueError(f"{node.first} to {node.last} stands where {following} starts")
        nodes.append(node)
        following = node.last + 1
    return nodes
