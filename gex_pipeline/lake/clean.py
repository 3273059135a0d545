"""Clean-up: parts that a finished day has taken the place of, and day files that nothing names.

What is to go gets a mark first, and goes when the mark is older than the grace: a query that was
begun before may still read it. The catalog's lock is held from the look at what it names until all
is done, so that no catalog names what is gone. Nothing is removed inside a part: its folder is
renamed first.
"""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from gex_pipeline.lake.derived import read_derived, read_months
from gex_pipeline.lake.durable import locked, point, sync
from gex_pipeline.lake.files import files_of
from gex_pipeline.lake.parts import (
    LEFTOVER_AGE_S,
    Chain,
    Manifest,
    part_starts,
    read_chain,
    sync_chain,
)
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import TABLES

GRACE_S: Final = 900.0
"""From the mark on: longer than any query and the list of files that it was begun with."""
MARK: Final = ".retired"
POINTS: Final = ("clean.marked", "clean.dead", "clean.removed")
"""Moments at which a crash costs nothing, in their order."""

_numbers = itertools.count(1)


class Cleaned(msgspec.Struct, frozen=True):
    """What one pass did."""

    marked: int = 0
    removed: int = 0
    """Parts and files."""
    bytes: int = 0
    """That were freed."""


def clean(paths: LakePaths, now_s: float, *, grace_s: float = GRACE_S) -> Cleaned | None:
    """Mark what can go, remove what was marked a grace ago; None: somebody else is at work.

    `now_s` is wall time, as files have it.

    Raises:
        LakeError: a chain is broken, or the disk did not confirm it; nothing was removed.
    """
    with locked(paths.days_lock, wait=False) as mine, locked(paths.catalog_lock):
        if not mine:
            return None
        starts = {tape: part_starts(paths, tape) for tape in paths.tapes()}  # before the chains
        chains = [read_chain(paths, tape) for tape in starts]
        named = _in_catalog(paths) | _in_lake(paths, chains)
        passed = _Pass(now_s - grace_s)
        for tape in starts:
            sync_chain(paths, tape)
        for chain in chains:
            for folder in _superseded(paths, chain, starts[chain.tape]):
                if not any(str(file) in named for file in folder.glob("*.parquet")):
                    passed.part(folder)
            _finish_dead(paths.tape(chain.tape), passed)
        for file in _day_files(paths, chains):
            passed.file(file, named=str(file.absolute()) in named)
        _sweep_drafts(paths, now_s)
        return Cleaned(passed.marked, passed.removed, passed.bytes)


class _Pass:
    """Marks and removes; counts both."""

    def __init__(self, marked_before_s: float) -> None:
        self.marked = self.removed = self.bytes = 0
        self._before_s = marked_before_s

    def part(self, folder: Path) -> None:
        """Take the next step with a part that nobody needs."""
        if not self._is_due(folder / MARK):
            return
        dead = folder.with_name(f".dead-{folder.name}-{os.getpid()}-{next(_numbers)}")
        folder.rename(dead)
        point("clean.dead")
        self.bury(dead)

    def file(self, path: Path, *, named: bool) -> None:
        """Take the next step with a day file; one that is named again loses its mark."""
        mark = path.with_name(f".{path.name}{MARK}")
        if named:
            mark.unlink(missing_ok=True)
        elif self._is_due(mark):
            self.bytes += path.stat().st_size
            self.removed += 1
            path.unlink()
            point("clean.removed")
            mark.unlink(missing_ok=True)

    def bury(self, dead: Path) -> None:
        """Remove a folder that has no name any more."""
        self.bytes += sum(file.stat().st_size for file in dead.iterdir())
        self.removed += 1
        shutil.rmtree(dead, ignore_errors=True)
        sync(dead.parent)
        point("clean.removed")

    def _is_due(self, mark: Path) -> bool:
        try:
            return mark.stat().st_mtime < self._before_s
        except FileNotFoundError:
            mark.touch()
            self.marked += 1
            point("clean.marked")
            return False


def _superseded(paths: LakePaths, chain: Chain, starts: list[int]) -> Iterator[Path]:
    """Yield the folders of parts that start inside a finished day and are not in the chain."""
    reached = {node.first for node in chain.nodes if not isinstance(node, Manifest)}
    days = [node for node in chain.nodes if isinstance(node, Manifest)]
    for first in starts:
        if first not in reached and any(day.first <= first <= day.last for day in days):
            yield paths.part(chain.tape, first)


def _finish_dead(folder: Path, passed: _Pass) -> None:
    for dead in folder.glob(".dead-*") if folder.is_dir() else ():
        passed.bury(dead)


def _in_lake(paths: LakePaths, chains: list[Chain]) -> set[str]:
    found = files_of(paths, chains, (*read_derived(paths), *read_months(paths)))
    return {str(each.path) for files in found.values() for each in files}


def _in_catalog(paths: LakePaths) -> set[str]:
    """Return what the catalog of now names: until the next one, its readers read that."""
    if not paths.catalog.exists():
        return set()
    with duckdb.connect(str(paths.catalog), read_only=True) as connection:
        return {str(path) for (path,) in connection.execute("SELECT path FROM _files").fetchall()}


def _day_files(paths: LakePaths, chains: list[Chain]) -> Iterator[Path]:
    """Yield the day files in the lake and in every folder that a manifest names."""
    folders = {folder for name in TABLES for folder in (paths.lake / name).glob("date=*")}
    for chain in chains:
        for node in chain.nodes:
            if isinstance(node, Manifest):
                named = (*node.files, *node.retired)
                folders |= {(paths.lake / each.file).parent for each in named}
    for folder in sorted(folders):
        yield from (file for file in folder.glob("*.parquet") if not file.name.startswith("."))


def _sweep_drafts(paths: LakePaths, now_s: float) -> None:
    """Remove what killed writers left an hour ago."""
    places = (paths.lake / name for name in TABLES)
    drafts = [draft for place in places for draft in place.glob("date=*/.tmp-*")]
    drafts += paths.root.glob(".cat-*")
    drafts += paths.days.glob("*/.tmp-*") if paths.days.is_dir() else ()
    for draft in drafts:
        if now_s - draft.lstat().st_mtime < LEFTOVER_AGE_S:
            continue
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
