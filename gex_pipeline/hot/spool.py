"""Spool of one tape: every event is in this append-only file before anybody else hears of it.

The spool numbers the events and is the queue of the sender, so memory is bounded. What is appended
survives the end of the process at once and a power cut after `fsync_ms`. While the disk takes
nothing, frames wait in a reserve in memory, which the sender reads like the file, and go to disk
when it recovers; what was sent and never came to disk is told on the tape as a gap of the spool.
"""

import datetime
import errno
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import msgspec

from gex_pipeline.errors import SpoolFullError
from gex_pipeline.hot.batch import pack_batch
from gex_pipeline.hot.disk import ALERT_PERCENT, STOP_PERCENT, Disk
from gex_pipeline.hot.follow import SpoolReader
from gex_pipeline.hot.frame import Frame, Position, encode_packed, read_header
from gex_pipeline.hot.holes import Holes, SpoolHole
from gex_pipeline.hot.journal import Journal
from gex_pipeline.hot.keeper import Keeper
from gex_pipeline.hot.owner import hold, owned_here
from gex_pipeline.hot.reserve import Reserve
from gex_pipeline.hot.segment import Segment
from gex_pipeline.market.codec import SEQ, Row, encode_rows, row_of
from gex_pipeline.market.events import Event

SEGMENT_BYTES: Final = 64 * 1024 * 1024
RESERVE_BYTES = 64 * 1024 * 1024
"""Frames in memory while the disk takes nothing; more than that is an error of the caller."""
RETRY_S = 0.5
"""Between two attempts at a disk that refused."""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


class SpoolState(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a spool, for the status of its service."""

    epoch: int
    last_seq: int
    segments: int
    size_bytes: int
    reserve_frames: int
    """In memory, because the disk takes nothing."""
    suspect_frames: int
    """That a disk refused to keep, to be written again."""
    unspooled: int
    """Events that went on to the sender and never came to disk."""
    fsync_failures: int
    damaged_bytes: int
    """Found at the start in the newest segment, whole frames behind them."""
    cut_bytes: int
    """Of a frame that the last owner did not finish."""
    holes: tuple[SpoolHole, ...]
    """What the spool no longer holds and nobody else does."""
    surveyed: bool
    """Every segment that the archive has not was looked through."""
    disk: str
    """ok, alert, stop: below stop only segments behind the archive go."""
    free_percent: float
    kept_room: bool
    """The reserve file on the disk is there."""
    problem: str | None
    """Why the disk takes nothing now, or what room it has left; None: all is well."""


class Spool:
    """The one owner of a spool folder; make it with `Spool.open`."""

    def __init__(
        self, folder: Path, tape: str, disk: Disk, *, fsync_ms: int, segment_bytes: int
    ) -> None:
        self.folder = folder
        self.tape = tape
        self.last_seq = 0
        self.newest_ns = 0
        """When the newest event was received; 0: nothing was appended since the start."""
        self._session_date = datetime.date.min
        self._journal = Journal(folder, tape, segment_bytes=segment_bytes, sync_each=fsync_ms == 0)
        self._disk = disk
        self.holes = Holes(folder)
        """What the spool lost."""
        self._changed = threading.Condition(threading.RLock())
        self._reserve = Reserve()
        self._retry_at = 0.0
        self._problem: str | None = None
        self._expire_through = 0
        self._lock = hold(folder)
        self._keeper = Keeper(self, fsync_ms / 1000)

    @classmethod
    def open(  # noqa: PLR0913 # a folder, what others know, and the limits of the disk
        cls,
        folder: Path,
        tape: str,
        *,
        fsync_ms: int = 50,
        floor_seq: int = 0,
        floor_epoch: int = 0,
        archived_seq: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = SEGMENT_BYTES,
        alert_percent: float = ALERT_PERCENT,
        stop_percent: float = STOP_PERCENT,
    ) -> "Spool":
        """Return the folder's spool, cut to its last whole frame.

        The floors are the highest that server and archive know: the next seq is above `floor_seq`,
        and a spool that is new, comes from another machine or was overtaken takes the epoch above
        `floor_epoch`. Read them before opening, or numbers may be given twice. What the archive
        has up to `archived_seq` is not looked through for damage. With `fsync_ms` 0 each frame is
        on disk before `append` returns.

        Raises:
            SpoolHeldError: another process owns the folder.
            SpoolError: the folder holds another tape's frames, or no spool.
        """
        disk = Disk(
            folder,
            alert_percent=alert_percent,
            stop_percent=stop_percent,
            reserve_bytes=reserve_bytes,
        )
        spool = cls(folder, tape, disk, fsync_ms=fsync_ms, segment_bytes=segment_bytes)
        try:
            floor = Position(floor_epoch, floor_seq)
            own = owned_here(folder)
            spool.last_seq, spool._session_date = spool._journal.recover(floor, own=own)
        except BaseException:
            os.close(spool._lock)
            raise
        spool._keeper.start(archived_seq, spool._journal.segments)
        return spool

    @property
    def epoch(self) -> int:
        """Our number as the tape's owner."""
        return self._journal.epoch

    @property
    def disk_is_short(self) -> bool:
        """Whether segments that the archive has should go at once."""
        return self._disk.room.level == "stop"

    @property
    def position(self) -> Position:
        """After the newest event."""
        return Position(self.epoch, self.last_seq)

    def append(self, events: Sequence[Event | Row], session_date: datetime.date) -> Frame:
        """Number the events, write them as one frame and return it.

        A session date before the tape's last one counts as that one: a tape never goes back.

        Raises:
            FrameError: no events, or more than 256.
            CodecError: an event holds what no event may; nothing was written.
            SpoolFullError: the disk takes nothing and the reserve in memory is full.
        """
        with self._changed:
            first_seq = self.last_seq + 1
            day = max(session_date, self._session_date)
            rows = [_numbered(event, seq) for seq, event in enumerate(events, first_seq)]
            end = Position(self.epoch, self.last_seq + len(rows))
            checked, batch = encode_rows(rows)
            payload = pack_batch(batch, len(rows))
            self._store(encode_packed(self.tape, end, len(rows), day, payload), first_seq)
            if self._journal.dirty:
                self._keeper.written()
            self.last_seq, self._session_date = end.seq, day
            self.newest_ns = max(self.newest_ns, checked[-1].ts_recv_ns)
            self._changed.notify_all()
            return Frame(self.tape, self.epoch, first_seq, end.seq, day, tuple(checked))

    def reader(self, after_seq: int) -> "SpoolReader":
        """Return a reader of the frames behind a seq; close it."""
        return SpoolReader(self._extent, self._reserve, self._changed, after_seq)

    def read_after(self, seq: int) -> Iterator[bytes]:
        """Yield the frames whose last seq is above `seq`, up to the newest one now."""
        reader = self.reader(seq)
        try:
            while frames := reader.read():
                yield from frames
        finally:
            reader.close()

    def wait(self, seq: int, timeout_s: float) -> bool:
        """Wait for an event behind `seq`; False: none came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.last_seq > seq, timeout_s)

    def release_through(self, seq: int) -> None:
        """Let a reserve that is half full forget what was sent; on disk nothing changes."""
        with self._changed:
            self._reserve.let_go(seq, RESERVE_BYTES // 2)

    def drop_through(self, seq: int) -> int:
        """Delete the whole segments up to a seq that is archived for good; return how many."""
        with self._changed:
            dropped = self._journal.drop_through(seq)
            if dropped:
                with suppress(OSError):  # then it stays written that they were told
                    self.holes.forget_through(self._journal.segments[0].base_seq - 1)
            return dropped

    def expire(self, days: int, archived_seq: int) -> None:
        """Let segments go whose session date is more than `days` before the tape's.

        What of them nobody else holds is told on the tape first; a later call deletes them.
        """
        with self._changed:
            if self._expire_through and not self.holes.waits_for("expired"):
                self.drop_through(self._expire_through)
            through = self._journal.older_than(self._session_date - datetime.timedelta(days=days))
            if through <= self._expire_through:
                return
            self._expire_through = through
            first = max(self._journal.segments[0].base_seq, archived_seq + 1)
            if first <= through:
                self.holes.find(SpoolHole(first, through, "expired", self.epoch))

    def untold(self, *, last: bool = False) -> tuple[SpoolHole, ...]:
        """Return the holes that the tape must be told; `last`: one too that may still grow."""
        with self._changed:
            if self._reserve.span and (last or not self._reserve):
                self.holes.confirm(cast("SpoolHole", self._reserve.take_span()))
        return self.holes.untold

    def told(self, holes: Sequence[SpoolHole]) -> None:
        """Note that these stand on the tape as gaps."""
        try:
            self.holes.tell(holes)
        except OSError as error:
            self._refused(error)

    def state(self) -> SpoolState:
        """Return the counters."""
        with self._changed:
            segments = self._journal.segments
            room = self._disk.room
            span = (self._reserve.span,) if self._reserve.span else ()
            return SpoolState(
                epoch=self.epoch,
                last_seq=self.last_seq,
                segments=len(segments),
                size_bytes=sum(segment.end for segment in segments),
                reserve_frames=len(self._reserve),
                suspect_frames=self._journal.suspect,
                unspooled=self._reserve.unspooled,
                fsync_failures=self._journal.fsync_failures,
                damaged_bytes=self._journal.damaged_bytes,
                cut_bytes=self._journal.cut_bytes,
                holes=(*self.holes.named, *span),
                surveyed=self._keeper.surveyed,
                disk=room.level,
                free_percent=room.free_percent,
                kept_room=room.kept,
                problem=self._problem or room.problem,
            )

    def close(self) -> None:
        """Write everything to disk and give the folder back."""
        if not self._keeper.stop():
            return
        with self._changed:
            self._flush_reserve()
            try:
                self._journal.sync()
            except OSError as error:
                self._refused(error)
            self._journal.leave()
            self._disk.leave()
            os.close(self._lock)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing ------------------------------------------------------------------------------

    def _store(self, data: bytes, first_seq: int) -> None:
        if self._reserve or self._journal.suspect:
            self._spare(data)
            if time.monotonic() >= self._retry_at:
                self._flush_reserve()
            return
        try:
            self._write(data, first_seq)
        except OSError:
            self._spare(data)

    def _write(self, data: bytes, first_seq: int) -> None:
        """Write a frame, where the disk is full into the room that was kept for that."""
        try:
            self._journal.write(data, first_seq)
        except OSError as error:
            self._refused(error)
            self._leave_file()
            if error.errno not in NO_ROOM or not self._disk.release():
                raise
            sys.audit("gex.point", "spool.released")
            try:
                self._journal.write(data, first_seq)
            except OSError:
                self._leave_file()
                raise
        self._problem = None

    def _leave_file(self) -> None:
        """Go on in another file; what this one does not keep is written again."""
        with suppress(OSError):  # counted, and what it lost is suspect
            self._journal.sync()
        self._journal.leave()

    def _spare(self, data: bytes) -> None:
        if not self._reserve.keep(data, RESERVE_BYTES):
            raise SpoolFullError(str(self.folder), self._problem or "unknown")

    def _flush_reserve(self) -> None:
        """Write what waits to disk, as far as it takes it."""
        try:
            self._journal.restore()
            while self._reserve:
                data = self._reserve.first()
                header = read_header(data)
                self._write(data, header.first_seq if header else 0)
                self._reserve.drop_first()
            self._problem = None
        except OSError as error:
            self._refused(error)

    def _refused(self, error: OSError) -> None:
        self._problem = error.strerror or str(error)
        self._retry_at = time.monotonic() + RETRY_S

    # --- the keeper's -------------------------------------------------------------------------

    def sync_aside(self) -> None:
        """Bring the newest frames to disk without holding the writer up."""
        with self._changed:
            waits = self._reserve or self._journal.suspect
            if waits and time.monotonic() >= self._retry_at:
                self._flush_reserve()
            if not self._journal.dirty:
                return
            handle, written = self._journal.handle()
        try:
            self._journal.sync_handle(handle)
        except OSError as error:
            with self._changed:
                self._refused(error)
                self._journal.leave()
        else:
            with self._changed:
                self._journal.synced(written)

    def look_at_disk(self) -> None:
        """Measure the room on the disk and keep some of it."""
        with self._changed:
            self._disk.look()

    def _extent(self) -> list[Segment]:
        with self._changed:
            return self._journal.segments


def _numbered(event: Event | Row, seq: int) -> Row:
    row = event if isinstance(event, list) else row_of(event)
    row[SEQ] = seq
    return row
