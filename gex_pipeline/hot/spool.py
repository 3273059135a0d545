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
from pathlib import Path

import msgspec

from gex_pipeline.errors import SpoolFullError, SpoolHeldError
from gex_pipeline.hot.frame import Frame, Position, encode_frame, read_header
from gex_pipeline.hot.journal import Journal
from gex_pipeline.hot.segment import Segment, SegmentReader
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
        self.last_seq = 0
        self._session_date = datetime.date.min
        self._journal = Journal(folder, tape, segment_bytes=segment_bytes, sync_each=fsync_ms == 0)
        self._changed = threading.Condition(threading.RLock())
        self._reserve: deque[bytes] = deque()
        self._reserve_bytes = 0
        self._retry_at = 0.0
        self._problem: str | None = None
        self._unspooled = self._fsync_failures = 0
        self._closed = threading.Event()
        self._lock = _hold(folder)
        self._syncer = threading.Thread(
            target=self._sync_until_closed,
            args=(fsync_ms / 1000,),
            name=f"fsync {tape}",
            daemon=True,
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
            floor = Position(floor_epoch, floor_seq)
            spool.last_seq, spool._session_date = spool._journal.recover(floor)
        except BaseException:
            os.close(spool._lock)
            raise
        if fsync_ms:
            spool._syncer.start()
        return spool

    @property
    def epoch(self) -> int:
        """Our number as the tape's owner."""
        return self._journal.epoch

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
        with self._changed:
            return self._journal.drop_through(seq)

    def state(self) -> SpoolState:
        """Return the counters."""
        with self._changed:
            segments = self._journal.segments
            return SpoolState(
                self.epoch,
                self.last_seq,
                len(segments),
                sum(segment.end for segment in segments),
                len(self._reserve),
                self._unspooled,
                self._fsync_failures,
                self._journal.damaged_bytes,
                self._journal.cut_bytes,
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
            try:
                self._journal.sync()
            except OSError as error:
                self._distrust(error)
            self._journal.leave()
            os.close(self._lock)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing ------------------------------------------------------------------------------

    def _store(self, data: bytes, first_seq: int) -> None:
        if self._reserve:
            self._spare(data)
            if time.monotonic() >= self._retry_at:
                self._flush_reserve()
            return
        try:
            self._journal.write(data, first_seq)
            self._problem = None
        except OSError as error:
            self._refused(error)
            self._spare(data)

    def _spare(self, data: bytes) -> None:
        if self._reserve_bytes + len(data) > RESERVE_BYTES:
            raise SpoolFullError(str(self.folder), self._problem or "unknown")
        self._reserve.append(data)
        self._reserve_bytes += len(data)

    def _flush_reserve(self) -> None:
        """Write the reserve to disk, as far as it takes it."""
        try:
            while self._reserve:
                header = read_header(self._reserve[0])
                self._journal.write(self._reserve[0], header.first_seq if header else 0)
                self._reserve_bytes -= len(self._reserve.popleft())
                self._problem = None
        except OSError as error:
            self._refused(error)

    def _refused(self, error: OSError) -> None:
        self._problem = error.strerror or str(error)
        self._retry_at = time.monotonic() + RETRY_S

    def _sync_until_closed(self, every_s: float) -> None:
        while not self._closed.wait(every_s):
            self._sync_aside()

    def _sync_aside(self) -> None:
        """Bring the newest frames to disk without holding the writer up."""
        with self._changed:
            if self._reserve and time.monotonic() >= self._retry_at:
                self._flush_reserve()
            if not self._journal.dirty:
                return
            handle = self._journal.handle()
        try:
            os.fdatasync(handle)
        except OSError as error:
            self._distrust(error)
        finally:
            os.close(handle)

    def _distrust(self, error: OSError) -> None:
        """After a failed fsync the kernel may have forgotten the data: go on in another file."""
        with self._changed:
            self._fsync_failures += 1
            self._refused(error)
            self._journal.leave()


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
        """Return the next frames, a block of them; none: everything is read."""
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
            return self._spool._journal.segments


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


def _last_seq(frame: bytes) -> int:
    header = read_header(frame)
    return header.last_seq if header else 0


def _count(frame: bytes) -> int:
    header = read_header(frame)
    return header.last_seq - header.first_seq + 1 if header else 0
