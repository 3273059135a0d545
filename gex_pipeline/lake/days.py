"""Finished days: the parts of one session date become one sorted file a table, and a manifest.

The manifest commits them by one link; until then nobody reads them. Its name is the range of seqs,
so the same range twice is the same day, and a longer one of the same start takes its place. Day
files that no manifest names are not there and are swept before the day is written again.
"""

import datetime
import itertools
import logging
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from gex_pipeline.errors import LakeFileError, LakeRootError
from gex_pipeline.lake.damage import damaged
from gex_pipeline.lake.durable import (
    checksum,
    make_folders,
    point,
    sync,
    sync_names,
    write_synced,
)
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.merge import DisorderError, PartFile, merged, sorted_whole
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.parts import Chain, DayFile, Gap, Manifest, Part, manifests_of
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.readback import SeqsSeen, Sums, read_back
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, TABLES

POINTS: Final = (
    "day.swept",
    "day.drafted",
    "day.renamed",
    "day.read_back",
    "day.noted",
    "day.linked",
    "day.committed",
)
"""Moments at which a crash costs nothing, in their order."""

_DAY_FILE: Final = re.compile(r"(\.tmp-\d+-\d+-)?(?P<tape>.+)-\d+-\d+\.parquet")

log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Day(msgspec.Struct, frozen=True):
    """The nodes of a tape's chain that are of one session date."""

    tape: str
    date: datetime.date
    nodes: tuple[Part | Manifest, ...]

    @property
    def first(self) -> int:
        """First seq of the date."""
        return self.nodes[0].first

    @property
    def last(self) -> int:
        """Last seq of the date, as far as it is committed."""
        return self.nodes[-1].last

    @property
    def finished(self) -> bool:
        """Whether one manifest holds it all."""
        return len(self.nodes) == 1 and isinstance(self.nodes[0], Manifest)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was lost of it."""
        return tuple(gap for node in self.nodes for gap in node.gaps)


def tables_folder(root: str | None) -> Path | None:
    """Return where day files go by GEX_LAKE_ROOT; None: to the lake itself.

    Raises:
        LakeRootError: an object store, or no absolute path.
    """
    if root is None:
        return None
    if "://" in root or not Path(root).is_absolute():
        raise LakeRootError(root)
    return Path(root)


def days_of(chain: Chain) -> tuple[Day, ...]:
    """Return the days of a chain, oldest first."""
    grouped = itertools.groupby(chain.nodes, key=lambda node: node.date)
    return tuple(Day(chain.tape, date, tuple(nodes)) for date, nodes in grouped)


def compact(paths: LakePaths, day: Day, tables: Path | None = None) -> Manifest:
    """Write a day's files, read them back, commit them and return the manifest.

    The caller holds the days' lock. `tables` is where day files go; default: the lake.

    Raises:
        LakeFileError: a part is damaged, or what was read back is not what the parts hold. Nothing
            was committed, and all that is in the lake is as it was.
    """
    top = paths.lake if tables is None else tables
    sweep_day(paths, day, top)
    point("day.swept")
    written = [_write(top, day, table, files) for table, files in _inputs(paths, day).items()]
    seqs = SeqsSeen(day.first, day.last)
    for each in written:
        read_back(each.path, each.sums, seqs)
    for problem in seqs.problems(day.gaps):
        raise LakeFileError(f"day {day.date} of {day.tape}", problem)
    point("day.read_back")
    manifest = Manifest(
        tape=day.tape,
        epoch=day.nodes[-1].epoch,
        date=day.date,
        first=day.first,
        last=day.last,
        files=tuple(_named(paths, each) for each in written),
        gaps=day.gaps,
        schema=LAKE_SCHEMA_VERSION,
    )
    commit_manifest(paths, manifest)
    return manifest


def commit_manifest(paths: LakePaths, manifest: Manifest) -> bool:
    """Commit a day by one link; False: that day is committed already."""
    folder = paths.manifests(manifest.tape)
    make_folders(folder)
    draft = folder / f".tmp-{os.getpid()}-{next(_numbers)}"
    try:
        write_synced(draft, msgspec.json.encode(manifest))
        point("day.noted")
        os.link(draft, paths.manifest(manifest.tape, manifest.first, manifest.last))
        point("day.linked")
        new = True
    except FileExistsError:
        new = False
    finally:
        draft.unlink(missing_ok=True)
    sync_names(folder)
    point("day.committed")
    return new


def sweep_day(paths: LakePaths, day: Day, top: Path) -> None:
    """Remove the day files of a tape and date that no manifest names: nobody ever read them."""
    named = {name for each in manifests_of(paths, day.tape) for name in _names(paths, each)}
    for table in TABLES:
        folder = top / table / f"date={day.date}"
        for path in folder.glob(f"*{day.tape}-*") if folder.is_dir() else ():
            ours = _DAY_FILE.fullmatch(path.name)
            if ours and ours["tape"] == day.tape and str(path.absolute()) not in named:
                path.unlink(missing_ok=True)


class _Written(NamedTuple):
    table: str
    path: Path
    sums: Sums


def _inputs(paths: LakePaths, day: Day) -> dict[str, list[PartFile]]:
    """Return the files of each table, in the order of their seqs, none of them damaged."""
    found: dict[str, list[PartFile]] = {}
    for node in day.nodes:
        files = files_of_node(paths, node)
        for damage in damaged(files):
            raise LakeFileError(str(damage.path), damage.problem)
        for each in files:
            found.setdefault(each.table, []).append(PartFile(each.path, each.schema))
    return found


def _write(top: Path, day: Day, table: str, files: Sequence[PartFile]) -> _Written:
    """Write one table's file of the day and give it its name."""
    folder = top / table / f"date={day.date}"
    make_folders(folder)
    draft = (
        folder / f".tmp-{os.getpid()}-{next(_numbers)}-{day.tape}-{day.first}-{day.last}.parquet"
    )
    try:
        sums = _fill(draft, day, table, files)
        sync(draft)
        point("day.drafted")
        path = folder / f"{day.tape}-{day.first}-{day.last}.parquet"
        draft.replace(path)
        point("day.renamed")
        sync(folder)
    finally:
        draft.unlink(missing_ok=True)
    return _Written(table, path, sums)


def _fill(draft: Path, day: Day, table: str, files: Sequence[PartFile]) -> Sums:
    try:
        return _written(draft, day, table, merged(TABLES[table], files))
    except DisorderError:
        log.warning("%s of %s on %s is out of order: sorted whole", table, day.tape, day.date)
        spill = draft.with_suffix(".sort")
        try:
            return _written(draft, day, table, sorted_whole(TABLES[table], files, spill))
        finally:
            shutil.rmtree(spill, ignore_errors=True)


def _written(draft: Path, day: Day, table: str, rows: Iterable[pa.Table]) -> Sums:
    sums = Sums()
    notes: dict[str, Any] = {"tape": day.tape, "first": day.first, "last": day.last}
    with DayWriter(TABLES[table], draft, **notes) as writer:
        for each in rows:
            sums.add(each)
            writer.write(each)
    return sums


def _named(paths: LakePaths, written: _Written) -> DayFile:
    """Return what the manifest says of a file: its place below the lake, or outside of it."""
    path = written.path.absolute()
    inside = path.is_relative_to(paths.lake.absolute())
    return DayFile(
        table=written.table,
        file=str(path.relative_to(paths.lake.absolute()) if inside else path),
        rows=written.sums.rows,
        bytes=path.stat().st_size,
        checksum=checksum(path),
    )


def _names(paths: LakePaths, manifest: Manifest) -> list[str]:
    return [str((paths.lake / file.file).absolute()) for file in manifest.files]
