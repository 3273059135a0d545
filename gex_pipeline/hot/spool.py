"""Spool of one tape: every event is in this append-only file before anybody else hears of it.

The spool numbers the events and is the queue of the sender, so memory is bounded. What is appended
survives the end of the process at once and a power cut after `fsync_ms`. While the disk takes
nothing, frames wait in a reserve in memory, which the sender reads like the file, and go to disk
when it recovers; what was sent before that is named in `state()`.
"""

import datetime
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gex_pipeline.errors import SpoolError, SpoolFullError, SpoolHeldError
from gex_pipeline.hot.frame import Frame, Position, encode_frame, read_header
from gex_pipeline.hot.segment import (
    Segment,
    SegmentReader,
    list_segments,
    recover,
    segment_path,
)
from gex_pipeline.market.events import Event

SEGMENT_BYTES = 64 * 1024 * 1024
RESERVE_BYTES = 64 * 1024 * 1024
"""Frames in memory while the disk takes nothing; more than that is an error of the caller."""
RETRY_S = 0.5
"""Between two attempts at a disk that refused."""


class SpoolState(msgspec.Struct, frozen=True):
    """Counters of a spool, for the status of its service."""

    epoch: int
    last_seq: int
    segments: int
    size_bytes: int
    reserve_frames: int
    unspooled: int
    """Events that went on to the sender and never came to disk."""
    fsync_failures: int
    damaged_bytes: int
    """Found at the start in the newest segment, whole frames behind them."""
    cut_bytes: int
    """Of a frame that the last owner did not finish."""
    problem: str | None
    """Why the disk takes nothing now."""


class Spool:
    """The one owner of a spool folder; make it with `Spool.open`."""

    def __init__(self, folder: Path, tape: str, fsync_ms: int, segment_bytes: int) -> None:
        self.folder = folder
        self.tape = tape
        self.epoch = 0
        self.last_seq = 0
        self._session_date = datetime.date.min
        self._segment_bytes = segment_bytes
        self._changed = threading.Condition(threading.RLock())
        self._segments: list[Segment] = []
        self._file = -1
        self._reserve: deque[bytes] = deque()
        self._reserve_bytes = 0
        self._retry_at = 0.0
        self._problem: str | None = None
        self._unspooled = self._fsync_failures = self._damaged = self._cut = 0
        self._fsync_s = fsync_ms / 1000
        self._dirty = False
        self._closed = threading.Event()
        self._lock = _hold(folder)
        self._syncer = threading.Thread(
            target=self._sync_until_closed, name=f"fsync {tape}", daemon=True
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        tape: str,
        *,
        fsync_ms: int = 50,
        floor_seq: int = 0,
        floor_epoch: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "Spool":
        """Return the folder's spool, cut to its last whole frame.

        The floors are the highest that server and archive know: the next seq is above `floor_seq`,
        and a spool without frames, or one that another owner has overtaken, takes the epoch above
        `floor_epoch`. Read them before opening, or numbers may be given twice. With `fsync_ms` 0
        each frame is on disk before `append` returns.

        Raises:
            SpoolHeldError: another process owns the folder.
            SpoolError: the folder holds another tape's frames, or no spool.
        """
        spool = cls(folder, tape, fsync_ms, segment_bytes)
        try:
            spool._recover(Position(floor_epoch, floor_seq))
        except BaseException:
            os.close(spool._lock)
            raise
        if fsync_ms:
            spool._syncer.start()
        return spool

    @property
    def position(self) -> Position:
        """After the newest event."""
        return Position(self.epoch, self.last_seq)

    def append(self, events: Sequence[Event], session_date: datetime.date) -> Frame:
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
            numbered = tuple(
                msgspec.structs.replace(event, seq=seq)
                for seq, event in enumerate(events, first_seq)
            )
            last_seq = self.last_seq + len(numbered)
            frame = Frame(self.tape, self.epoch, first_seq, last_seq, day, numbered)
            self._store(encode_frame(frame), first_seq)
            self.last_seq, self._session_date = last_seq, day
            self._changed.notify_all()
            return frame

    def reader(self, after_seq: int) -> "SpoolReader":
        """Return a reader of the frames behind a seq; close it."""
        return SpoolReader(self, after_seq)

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
            while self._reserve_bytes > RESERVE_BYTES // 2 and _last_seq(self._reserve[0]) <= seq:
                self._unspooled += _count(self._reserve[0])
                self._reserve_bytes -= len(self._reserve.popleft())

    def drop_through(self, seq: int) -> int:
        """Delete the whole segments up to a seq that is archived for good; return how many."""
        dropped = 0
        with self._changed:
            while len(self._segments) > 1 and self._segments[1].base_seq <= seq + 1:
                self._segments.pop(0).path.unlink(missing_ok=True)
                dropped += 1
            if dropped:
                _sync_folder(self.folder)
        return dropped

    def state(self) -> SpoolState:
        """Return the counters."""
        with self._changed:
            return SpoolState(
                self.epoch,
                self.last_seq,
                len(self._segments),
                sum(segment.end for segment in self._segments),
                len(self._reserve),
                self._unspooled,
                self._fsync_failures,
                self._damaged,
                self._cut,
                self._problem,
            )

    def close(self) -> None:
        """Write everything to disk and give the folder back."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._syncer.is_alive():
            self._syncer.join()
        with self._changed:
            self._flush_reserve()
            self._sync()
            self._leave_file()
            os.close(self._lock)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- recovery -----------------------------------------------------------------------------

    def _recover(self, floor: Position) -> None:
        self._segments = list_segments(self.folder)
        while self._segments and not self._take_newest():
            self._segments.pop().path.unlink()
        if self._segments:
            own = self._segments[-1].epoch
            self.epoch = own if own >= floor.epoch else floor.epoch + 1
        else:
            self.epoch = floor.epoch + 1
        self.last_seq = max(self.last_seq, floor.seq)

    def _take_newest(self) -> bool:
        """Cut the newest segment to its frames and go on from it; False: it holds none."""
        newest = self._segments[-1]
        found = recover(newest)
        self._cut += found.cut
        if found.newest is None:
            return self._keep_empty(newest)
        if found.newest.tape != self.tape:
            raise SpoolError(
                f"The spool {self.folder} holds the tape {found.newest.tape}, not {self.tape}."
                " Give each tape a folder of its own."
            )
        self._damaged += found.damaged
        if found.cut:
            _truncate(newest.path, found.end)
        self._segments[-1] = newest._replace(end=found.end)
        self.last_seq, self._session_date = found.newest.last_seq, found.newest.session_date
        return True

    def _keep_empty(self, segment: Segment) -> bool:
        """Keep the numbers of a segment without frames if no other says how far they went."""
        if len(self._segments) > 1:
            return False
        _truncate(segment.path, 0)
        self._segments[-1] = segment._replace(end=0)
        self.last_seq = segment.base_seq - 1
        return True

    # --- writing ------------------------------------------------------------------------------

    def _store(self, data: bytes, first_seq: int) -> None:
        if self._reserve:
            self._spare(data)
            if time.monotonic() >= self._retry_at:
                self._flush_reserve()
            return
        try:
            self._write(data, first_seq)
        except OSError as error:
            self._refused(error)
            self._spare(data)

    def _write(self, data: bytes, first_seq: int) -> None:
        """Append to the segment, a new one if this cannot go on; whole or not at all."""
        if not self._goes_on():
            self._roll(first_seq)
        segment = self._segments[-1]
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:])
            if not self._fsync_s:
                os.fdatasync(self._file)
        except OSError:
            self._undo(segment)
            raise
        self._dirty, self._problem = True, None
        self._segments[-1] = segment._replace(end=segment.end + len(data))

    def _goes_on(self) -> bool:
        return self._file >= 0 and self._segments[-1].end < self._segment_bytes

    def _roll(self, first_seq: int) -> None:
        """Start a segment; the one before is on disk by then."""
        self._dirty = self._file >= 0
        self._sync()
        self._leave_file()
        path = segment_path(self.folder, self.epoch, first_seq)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not self._segments or self._segments[-1].path != path:
            self._segments.append(Segment(path, self.epoch, first_seq, 0))
        _sync_folder(self.folder)

    def _undo(self, segment: Segment) -> None:
        """Take back what was written of a frame, and never trust this file again."""
        with suppress(OSError):  # readers stop at segment.end; recovery steps over the rest
            os.ftruncate(self._file, segment.end)
        self._leave_file()
        if segment.end == 0:
            segment.path.unlink(missing_ok=True)
            self._segments.pop()

    def _leave_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._dirty = False

    def _spare(self, data: bytes) -> None:
        if self._reserve_bytes + len(data) > RESERVE_BYTES:
            raise SpoolFullError(str(self.folder), self._problem or "unknown")
        self._reserve.append(data)
        self._reserve_bytes += len(data)

    def _flush_reserve(self) -> None:
        """Write the reserve to disk, if it takes it."""
        try:
            while self._reserve:
                header = read_header(self._reserve[0])
                self._write(self._reserve[0], header.first_seq if header else 0)
                self._reserve_bytes -= len(self._reserve.popleft())
        except OSError as error:
            self._refused(error)

    def _refused(self, error: OSError) -> None:
        self._problem = error.strerror or str(error)
        self._retry_at = time.monotonic() + RETRY_S

    # --- durability ---------------------------------------------------------------------------

    def _sync_until_closed(self) -> None:
        while not self._closed.wait(self._fsync_s):
            self._sync_aside()

    def _sync_aside(self) -> None:
        """Bring the newest frames to disk without holding the writer up."""
        with self._changed:
            if self._reserve and time.monotonic() >= self._retry_at:
                self._flush_reserve()
            if not self._dirty:
                return
            self._dirty = False
            file = os.dup(self._file)
        try:
            os.fdatasync(file)
        except OSError as error:
            self._distrust(error)
        finally:
            os.close(file)

    def _sync(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        try:
            os.fdatasync(self._file)
        except OSError as error:
            self._distrust(error)

    def _distrust(self, error: OSError) -> None:
        """After a failed fsync the kernel may have forgotten the data: go on in another file."""
        with self._changed:
            self._fsync_failures += 1
            self._refused(error)
            self._leave_file()


class SpoolReader:
    """Frames of a live spool behind a seq: of its segments, then of its reserve."""

    def __init__(self, spool: Spool, after_seq: int) -> None:
        self._spool = spool
        self._files = SegmentReader(self._extent, after_seq)

    @property
    def after_seq(self) -> int:
        """Seq of the newest event read."""
        return self._files.after_seq

    @property
    def damaged(self) -> int:
        """Bytes stepped over because no frame claims them."""
        return self._files.damaged

    def read(self) -> list[bytes]:
        """Return the next frames, about a megabyte of them; none: everything is read."""
        if not self._spool._reserve and (frames := self._files.read()):
            return frames
        with self._spool._changed:  # nothing may come to disk between the two looks
            if frames := self._files.read():
                return frames
            kept = [f for f in self._spool._reserve if _last_seq(f) > self._files.after_seq]
        if kept:
            self._files.after_seq = _last_seq(kept[-1])
        return kept

    def close(self) -> None:
        """Close the file that is being read."""
        self._files.close()

    def _extent(self) -> list[Segment]:
        with self._spool._changed:
            return list(self._spool._segments)


def _hold(folder: Path) -> int:
    """Make the folder and take it; the lock goes with the process."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SpoolHeldError(str(folder)) from error
    return lock


def _truncate(path: Path, size: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(file, size)
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_seq(frame: bytes) -> int:
    header = read_header(frame)
    return header.last_seq if header else 0


def _count(frame: bytes) -> int:
    header = read_header(frame)
    return header.last_seq - header.first_seq + 1 if header else 0
