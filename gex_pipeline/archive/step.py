"""One step of the archive: the frames after the cursor become parts, each of one session date.

The cursor is the end of the tape's chain of parts, nothing else remembers it. A part ends before a
hole, before another session date and at a bounded number of events; the next one starts there. A
hole is filled from the spool; what the spool no longer holds is told in the part as a gap.
"""

import datetime
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import msgspec

from gex_pipeline.archive.rows import Origin, Rows
from gex_pipeline.hot.frame import Frame
from gex_pipeline.lake.durable import locked
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
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION

PART_EVENTS: Final = 50_000
"""About where a part ends: what one step holds in memory."""


OURS: Final = "gex"
"""Source of the tapes that we write from figures of our own."""


class Source(Protocol):
    """Where a tape's frames are."""

    def after(self, tape: str, epoch: int, seq: int) -> Iterable[Frame]:
        """Return the frames of the tape after a position, in order; holes are left as they are."""
        ...

    def spooled(self, tape: str, seq: int) -> Iterable[Frame]:
        """Return the frames of the spool after a seq, in order; none where there is no spool."""
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


class _Draft(msgspec.Struct):
    """A part that is being gathered."""

    first: int
    rows: Rows
    date: datetime.date | None = None
    epoch: int = 0
    last: int = 0
    gaps: tuple[Gap, ...] = ()
    newest: bool = False
    """The tape had no more when it was gathered: the next part is the next step's."""

    def takes(self, frame: Frame) -> bool:
        """Return whether the frame goes on where this part is, on the same date."""
        follows = frame.first_seq <= self.last + 1
        return follows and self.date in (None, frame.session_date)

    def add(self, frame: Frame) -> None:
        """Take what is new in a frame."""
        new = [event for event in frame.events if event.seq > self.last]
        self.rows.add(new, epoch=frame.epoch, session_date=frame.session_date)
        self.date, self.epoch, self.last = frame.session_date, frame.epoch, frame.last_seq

    def part(self, tape: str) -> Part:
        """Return what part.json says."""
        if self.date is None:
            raise ValueError("a part without a frame")
        return Part(
            tape=tape,
            epoch=self.epoch,
            date=self.date,
            first=self.first,
            last=self.last,
            rows=self.rows.counts,
            gaps=self.gaps,
            schema=LAKE_SCHEMA_VERSION,
        )


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
            done.append(archive_tape(source, paths, _of_tape(origin, tape)))
        return tuple(done)


def archive_tape(
    source: Source, paths: LakePaths, origin: Origin, *, part_events: int = PART_EVENTS
) -> Archived:
    """Commit parts up to the tape's end of this moment, then trim it behind the cursor."""
    tape, parts, race_lost = origin.tape, [], False
    chain = read_chain(paths, tape)
    epoch, cursor = chain.epoch, chain.cursor
    while draft := _gather(source, origin, epoch, cursor, part_events):
        part = draft.part(tape)
        if not commit_part(paths, part, draft.rows.writers()):
            race_lost = True
            break
        parts.append(part)
        epoch, cursor = part.epoch, part.last
        if draft.newest:
            break
    if cursor and not race_lost:
        sync_chain(paths, tape)
        source.trim(tape, epoch, cursor)
    return _archived(tape, parts, cursor, race_lost=race_lost)


def _gather(
    source: Source, origin: Origin, epoch: int, cursor: int, part_events: int
) -> _Draft | None:
    """Return the next part, or None while there is nothing to commit."""
    draft = _Draft(first=cursor + 1, rows=Rows(origin), last=cursor)
    for frame in _unbroken(source, origin.tape, epoch, cursor):
        if draft.date is None and frame.first_seq > draft.last + 1:
            draft.gaps = (Gap(draft.last + 1, frame.first_seq - 1),)
            draft.last = frame.first_seq - 1
        if not draft.takes(frame):
            break
        draft.add(frame)
        if draft.rows.events >= part_events:
            break
    else:
        draft.newest = True
    return draft if draft.date is not None else None


def _unbroken(source: Source, tape: str, epoch: int, cursor: int) -> Iterator[Frame]:
    """Give the frames after the cursor; where the tape has a hole, those of the spool first."""
    last = cursor
    for frame in source.after(tape, epoch, cursor):
        if frame.first_seq > last + 1:
            for kept in source.spooled(tape, last):
                if kept.first_seq >= frame.first_seq:
                    break
                if kept.last_seq > last:
                    yield kept
                    last = kept.last_seq
        if frame.last_seq > last:
            yield frame
            last = frame.last_seq


def _of_tape(origin: Origin, tape: str) -> Origin:
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
