"""One step of the archive: the frames after the cursor become parts, each of one session date.

The cursor is the end of the tape's chain of parts, nothing else remembers it. A part ends before a
hole, before another session date and at a bounded number of events; the next one starts there. A
hole is filled from the spool; what the spool no longer holds is told in the part as a gap. The
session date of a row is its frame's: an event received after its tape rolled lies under that date.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from gex_pipeline.archive.rows import Origin, RawFrame, Rows
from gex_pipeline.lake.durable import locked, point
from gex_pipeline.lake.parquet import write_part
from gex_pipeline.lake.parts import (
    Gap,
    Part,
    commit_part,
    lost_in,
    read_chain,
    sweep,
    sync_chain,
)
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, TABLES

PART_EVENTS: Final = 200_000
"""About where a part ends: what one step holds in memory."""
PART_BYTES: Final = 64 * 1024 * 1024
"""Of frames, and there as well: an image of a chain is one event."""
OURS: Final = "gex"
"""Source of the tapes that we write from figures of our own."""
POINTS: Final = (
    "step.read",
    "part.drafted",
    "part.written",
    "part.noted",
    "part.synced",
    "part.renamed",
    "part.durable",
    "step.durable",
    "step.trimmed",
)
"""Moments at which a crash costs nothing, in their order."""


class Source(Protocol):
    """Where a tape's frames are."""

    def after(self, tape: str, epoch: int, seq: int) -> Iterable[RawFrame]:
        """Return the frames of the tape after a position, in order; holes are left as they are."""
        ...

    def spooled(self, tape: str, seq: int) -> Iterable[RawFrame]:
        """Return the frames of the spool after a seq, in order; none where there is no spool."""
        ...

    def sent(self, tape: str) -> int | None:
        """Return the last seq that the tape ever took; None: there is no tape."""
        ...

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Forget the tape's frames up to a seq that is committed."""
        ...


class Archived(msgspec.Struct, frozen=True):
    """What a step did for one tape."""

    tape: str
    cursor: int
    parts: int = 0
    events: int = 0
    rows: dict[str, int] = {}
    lost: int = 0
    """Seqs declared lost."""
    race_lost: bool = False
    """Another archiver was faster; it goes on from there."""


class _Draft:
    """A part that is being gathered; its first frame gives the session date."""

    def __init__(self, origin: Origin, cursor: int, frame: RawFrame) -> None:
        first = frame.header.first_seq
        self.first = cursor + 1
        self.gaps = (Gap(cursor + 1, first - 1),) if first > cursor + 1 else ()
        self.date = frame.header.session_date
        self.rows = Rows(origin, self.date)
        self.last, self.epoch = max(first - 1, cursor), frame.header.epoch
        self.newest = False
        """The tape had no more when it was gathered: the next part is the next step's."""

    def takes(self, frame: RawFrame) -> bool:
        """Return whether the frame goes on where this part is, on the same date."""
        return frame.header.first_seq <= self.last + 1 and frame.header.session_date == self.date

    def add(self, frame: RawFrame) -> None:
        """Take what is new in a frame."""
        self.rows.add(frame, self.last)
        self.epoch, self.last = frame.header.epoch, frame.header.last_seq

    def commit(self, paths: LakePaths, tape: str) -> Part | None:
        """Commit it; None: another archiver was faster."""
        tables = self.rows.tables()
        notes: dict[str, Any] = {"tape": tape, "first": self.first, "last": self.last}
        write: dict[str, Callable[[Path], None]] = {
            name: partial(write_part, TABLES[name], data, self.rows.shared, **notes)
            for name, data in tables.items()
        }
        part = Part(
            tape=tape,
            epoch=self.epoch,
            date=self.date,
            first=self.first,
            last=self.last,
            rows={name: data.num_rows for name, data in tables.items()},
            gaps=self.gaps,
            schema=LAKE_SCHEMA_VERSION,
        )
        return part if commit_part(paths, part, write) else None


def archive(
    source: Source, paths: LakePaths, tapes: Iterable[str], *, origin: Origin, now_s: float
) -> tuple[Archived, ...] | None:
    """Commit all that these tapes hold; None: another step of this root is at work.

    `now_s` is wall time: it ages what killed archivers left. Of `origin` the tape is each one's.
    """
    with locked(paths.archive_lock, wait=False) as mine:
        if not mine:
            return None
        done = []
        for tape in tapes:
            sweep(paths, tape, now_s)
            done.append(archive_tape(source, paths, of_tape(origin, tape)))
        return tuple(done)


def archive_tape(
    source: Source, paths: LakePaths, origin: Origin, *, part_events: int = PART_EVENTS
) -> Archived:
    """Commit parts up to the tape's end of this moment, then trim it behind the cursor.

    The cursor is read again after each commit: what was taken for the end of the chain may have
    become a day file's middle meanwhile, and then the part is not reached and not counted.
    """
    tape, parts, race_lost = origin.tape, [], False
    chain = read_chain(paths, tape)
    point("step.read")
    while draft := _gather(source, origin, chain.epoch, chain.cursor, part_events):
        part = draft.commit(paths, tape)
        chain = read_chain(paths, tape)
        if part is None:
            race_lost = True
            break
        parts.append(part)
        if draft.newest:
            break
    if chain.cursor and not race_lost:
        sync_chain(paths, tape)
        point("step.durable")
        source.trim(tape, chain.epoch, chain.cursor)
        point("step.trimmed")
    return _archived(tape, parts, chain.cursor, race_lost=race_lost)


def _gather(
    source: Source, origin: Origin, epoch: int, cursor: int, part_events: int
) -> _Draft | None:
    """Return the next part, or None while there is nothing to commit."""
    draft = None
    for frame in _unbroken(source, origin.tape, epoch, cursor):
        draft = draft or _Draft(origin, cursor, frame)
        if not draft.takes(frame):
            break
        draft.add(frame)
        if draft.rows.events >= part_events or draft.rows.bytes >= PART_BYTES:
            break
    else:
        if draft:
            draft.newest = True
    return draft


def _unbroken(source: Source, tape: str, epoch: int, cursor: int) -> Iterator[RawFrame]:
    """Give the frames after the cursor; where the tape has a hole, those of the spool first."""
    last = cursor
    for frame in source.after(tape, epoch, cursor):
        if frame.header.first_seq > last + 1:
            for kept in _spooled(source, tape, last, frame.header.first_seq - 1):
                yield kept
                last = kept.header.last_seq
        if frame.header.last_seq > last:
            yield frame
            last = frame.header.last_seq
    sent = source.sent(tape)
    if sent is None or sent > last:  # the tape was trimmed for want of memory, or is gone
        yield from _spooled(source, tape, last, sent)


def _spooled(source: Source, tape: str, last: int, through: int | None) -> Iterator[RawFrame]:
    """Give what the spool has of the seqs behind `last`, up to another one."""
    for kept in source.spooled(tape, last):
        if through is not None and kept.header.first_seq > through:
            return
        if kept.header.last_seq > last:
            yield kept
            last = kept.header.last_seq


def of_tape(origin: Origin, tape: str) -> Origin:
    """Return the origin of a tape's rows: the engine's own figures are nobody else's word."""
    ours = tape.startswith(f"{OURS}.")
    return Origin(source=OURS if ours else origin.source, mode=origin.mode, tape=tape)


def _archived(tape: str, parts: list[Part], cursor: int, *, race_lost: bool) -> Archived:
    rows: dict[str, int] = {}
    for part in parts:
        for table, count in part.rows.items():
            rows[table] = rows.get(table, 0) + count
    return Archived(
        tape=tape,
        cursor=cursor,
        parts=len(parts),
        events=sum(rows.values()),
        rows=rows,
        lost=sum(lost_in(part.gaps) for part in parts),
        race_lost=race_lost,
    )
