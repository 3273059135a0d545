"""Repair: a damaged part is built again from the spool, where that still holds its events.

The damaged folder is put aside under `.bad-<first>-…` and never removed. Between that and the new
one's rename the chain ends before it: a crash there leaves a hole that the next repair fills.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from gex_pipeline.archive.rows import Origin, RawFrame, Rows
from gex_pipeline.archive.step import of_tape
from gex_pipeline.errors import LakeError
from gex_pipeline.lake.damage import Damage, damaged
from gex_pipeline.lake.durable import locked, point
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parquet import write_part
from gex_pipeline.lake.parts import PART_FILE, Part, commit_part, put_aside, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.records import decoded
from gex_pipeline.market.tables import TABLES

POINTS: Final = ("repair.aside",)
"""Moments at which a crash costs nothing, in their order."""
_ASIDE: Final = re.compile(r"\.bad-(?P<first>\d+)-.*")

log = logging.getLogger(__name__)


class Spooled(Protocol):
    """Where a tape's frames still are."""

    def spooled(self, tape: str, seq: int) -> Iterable[RawFrame]:
        """Return the frames of the spool after a seq, in order."""
        ...


class Repaired(msgspec.Struct, frozen=True):
    """What became of one damaged part."""

    tape: str
    first: int
    last: int
    problems: tuple[str, ...]
    rebuilt: bool
    """False: the spool does not hold all of its events any more; the part is as it was."""


def damaged_parts(paths: LakePaths) -> tuple[tuple[Part, tuple[Damage, ...]], ...]:
    """Read every byte of every part and return those that are damaged.

    Raises:
        LakeError: a chain is broken; `repair` may fill the hole.
    """
    return tuple(
        (node, damage)
        for tape in paths.tapes()
        for node in read_chain(paths, tape).nodes
        if isinstance(node, Part) and (damage := damaged(files_of_node(paths, node)))
    )


def repair(source: Spooled, paths: LakePaths, origin: Origin) -> tuple[Repaired, ...] | None:
    """Build the damaged parts again; None: an archive step of this root is at work.

    Of `origin` the tape is each part's.

    Raises:
        LakeError: a chain is broken otherwise than by a repair that was cut short.
    """
    with locked(paths.archive_lock, wait=False) as mine:
        if not mine:
            return None
        done = [_fill(source, paths, origin, part) for part in _left_open(paths)]
        for part, damage in damaged_parts(paths):
            problems = tuple(str(each) for each in damage)
            rebuilt = _rebuild(source, paths, origin, part)
            done.append(Repaired(part.tape, part.first, part.last, problems, rebuilt))
        return tuple(done)


def _left_open(paths: LakePaths) -> Iterator[Part]:
    """Yield the parts that a repair put aside and did not build again."""
    for tape in paths.tapes():
        folder = paths.tape(tape)
        for aside in sorted(folder.glob(".bad-*")) if folder.is_dir() else ():
            match = _ASIDE.fullmatch(aside.name)
            if match and not paths.part(tape, int(match["first"])).exists():
                part = decoded(aside / PART_FILE, Part)
                if _is_hole(paths, part):
                    yield part


def _is_hole(paths: LakePaths, part: Part) -> bool:
    """Return whether nothing else holds the part's range."""
    try:
        return read_chain(paths, part.tape).cursor < part.first
    except LakeError:
        return True


def _fill(source: Spooled, paths: LakePaths, origin: Origin, part: Part) -> Repaired:
    rows = _from_spool(source, of_tape(origin, part.tape), part)
    rebuilt = rows is not None and commit_part(paths, part, _writers(part, rows))
    return Repaired(part.tape, part.first, part.last, ("it was put aside",), rebuilt)


def _rebuild(source: Spooled, paths: LakePaths, origin: Origin, part: Part) -> bool:
    rows = _from_spool(source, of_tape(origin, part.tape), part)
    if rows is None:
        return False
    put_aside(paths, part)
    point("repair.aside")
    log.warning("part %s of %s was damaged and is built again", part.first, part.tape)
    return commit_part(paths, part, _writers(part, rows))


def _from_spool(source: Spooled, origin: Origin, part: Part) -> Rows | None:
    """Return the part's rows; None: the spool does not hold them all."""
    rows, last = Rows(origin, part.date), part.first - 1
    lost = {gap.first: gap.last for gap in part.gaps}
    for frame in source.spooled(part.tape, last):
        if last + 1 in lost and frame.header.first_seq > last + 1:
            last = lost[last + 1]
        if frame.header.first_seq > last + 1 or frame.header.last_seq > part.last:
            return None
        rows.add(frame, last)
        last = frame.header.last_seq
        if last == part.last:
            counts = {name: data.num_rows for name, data in rows.tables().items()}
            return rows if counts == part.rows else None
    return None


def _writers(part: Part, rows: Rows) -> dict[str, Callable[[Path], None]]:
    notes: dict[str, Any] = {"tape": part.tape, "first": part.first, "last": part.last}
    return {
        name: partial(write_part, TABLES[name], data, rows.shared, **notes)
        for name, data in rows.tables().items()
    }
