"""Segments as their owner writes them: appended whole or not at all, cut and read at the start.

After a failed fsync a file is not trusted again, and what it was not known to have brought to disk
is written again elsewhere before anything else.
"""

import datetime
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Final

from gex_pipeline.errors import SpoolError
from gex_pipeline.hot.frame import FrameHeader, Position, read_header
from gex_pipeline.hot.segment import Segment, first_date, list_segments, recover, segment_path

POINTS: Final = (
    "spool.cut",
    "spool.rolled",
    "spool.written",
    "spool.synced",
    "spool.drafted",
    "spool.rewritten",
    "spool.dropped",
)
UNSYNCED_BYTES: Final = 64 * 1024 * 1024
"""Most that may wait for an fsync; then the writer waits too."""


class Journal:
    """The segments of one tape in a folder that we own; its caller keeps threads apart."""

    def __init__(self, folder: Path, tape: str, *, segment_bytes: int, sync_each: bool) -> None:
        self.epoch = 0
        self.damaged_bytes = 0
        """Found in the newest segment, whole frames behind them."""
        self.cut_bytes = 0
        """Of a frame that the last owner did not finish."""
        self.fsync_failures = 0
        self._folder = folder
        self._tape = tape
        self._segment_bytes = segment_bytes
        self._sync_each = sync_each
        self._segments: list[Segment] = []
        self._file = -1
        self._written = 0
        self._unsynced: deque[bytes] = deque()
        self._unsynced_bytes = 0
        self._suspect: list[bytes] = []
        self._syncing = threading.Lock()
        self._sync_error: OSError | None = None

    @property
    def segments(self) -> list[Segment]:
        """The segments, oldest first, each as far as it is written."""
        return list(self._segments)

    @property
    def dirty(self) -> bool:
        """Something is written and not known to be on disk."""
        return bool(self._unsynced)

    @property
    def suspect(self) -> int:
        """Frames that a disk has refused to keep and that wait to be written again."""
        return len(self._suspect)

    # --- start --------------------------------------------------------------------------------

    def recover(self, floor: Position, *, own: bool) -> tuple[int, datetime.date]:
        """Cut what is no frame off the end; return the last seq and its session date.

        Raises:
            SpoolError: the folder holds another tape's frames, or no spool.
        """
        self._segments = self._without_superseded(list_segments(self._folder))
        newest, last_seq = None, 0
        while self._segments:
            newest, found = self._take_newest()
            last_seq = max(last_seq, found)
            if self._segments[-1].end or len(self._segments) == 1:
                break
            self._segments.pop().path.unlink()
        self._take_epoch(floor.epoch, own=own)
        day = newest.session_date if newest else self._newest_day()
        return max(last_seq, floor.seq), day

    def _take_epoch(self, floor: int, *, own: bool) -> None:
        """Keep our number, unless the spool is new, from elsewhere, or was overtaken."""
        last = self._segments[-1].epoch if self._segments else 0
        keeps = own and last >= max(floor, 1)
        self.epoch = last if keeps else max(last, floor) + 1

    def _take_newest(self) -> tuple[FrameHeader | None, int]:
        """Cut the newest segment to its frames; return the last of them and the last seq given."""
        segment = self._segments[-1]
        found = recover(segment, self._tape)
        if found.newest is not None and found.newest.tape != self._tape:
            raise SpoolError(
                f"The spool {self._folder} holds the tape {found.newest.tape}, not {self._tape}."
                " Give each tape a folder of its own."
            )
        self.damaged_bytes += found.damaged
        self.cut_bytes += found.cut
        if found.cut:
            _truncate(segment.path, found.end)
            sys.audit("gex.point", "spool.cut")
        self._segments[-1] = segment._replace(end=found.end)
        return found.newest, found.last_seq

    def _newest_day(self) -> datetime.date:
        """Return the session date of the newest frame behind a damaged end."""
        for segment in reversed(self._segments[:-1]):
            if newest := recover(segment, self._tape).newest:
                return newest.session_date
        return datetime.date.min

    def _without_superseded(self, segments: Sequence[Segment]) -> list[Segment]:
        """Delete the segments of which each frame was written again, and return the others."""
        kept = []
        for segment, after in zip_longest(segments, segments[1:]):
            if after is not None and after.turn and after.base_seq == segment.base_seq:
                segment.path.unlink(missing_ok=True)
            else:
                kept.append(segment)
        for draft in self._folder.glob("*.draft"):
            draft.unlink(missing_ok=True)
        return kept

    # --- writing ------------------------------------------------------------------------------

    def write(self, data: bytes, first_seq: int) -> None:
        """Append a frame, to a new segment if this one cannot go on.

        Raises:
            OSError: the disk takes it not; then nothing of it is in a segment. `leave` then.
        """
        self.restore()
        if self._unsynced_bytes > UNSYNCED_BYTES:
            self.sync()
        if self._file < 0 or self._segments[-1].end >= self._segment_bytes:
            self._roll(first_seq)
        segment = self._segments[-1]
        try:
            _write_all(self._file, data)
            if self._sync_each:
                self._fdatasync(self._file)
        except OSError:
            with suppress(OSError):  # readers stop at segment.end; recovery cuts the rest
                os.ftruncate(self._file, segment.end)
            raise
        sys.audit("gex.point", "spool.written")
        self._segments[-1] = segment._replace(end=segment.end + len(data))
        if not self._sync_each:
            self._written += 1
            self._unsynced.append(data)
            self._unsynced_bytes += len(data)

    def sync(self) -> None:
        """Bring everything to disk.

        Raises:
            OSError: the disk fails, or did in `sync_handle`; `leave` then.
        """
        if self.dirty:
            self._fdatasync(self._file)
            self.synced(self._written)

    def handle(self) -> tuple[int, int]:
        """Return a handle of the file for `sync_handle`, and what to tell `synced` after it."""
        return os.dup(self._file), self._written

    def sync_handle(self, handle: int) -> None:
        """Sync a handle and close it, beside the one who writes.

        Raises:
            OSError: the disk fails; `leave` then.
        """
        try:
            self._fdatasync(handle)
        finally:
            os.close(handle)

    def _fdatasync(self, file: int) -> None:
        """Sync a file that was never refused: a kernel tells of lost data once, and only once."""
        with self._syncing:
            if self._sync_error is not None:
                raise self._sync_error
            try:
                os.fdatasync(file)
            except OSError as error:
                self.fsync_failures += 1
                self._sync_error = error
                raise

    def synced(self, written: int) -> None:
        """Note that the first frames ever written here, so many, are on disk."""
        while self._unsynced and self._written - len(self._unsynced) < written:
            self._unsynced_bytes -= len(self._unsynced.popleft())
        sys.audit("gex.point", "spool.synced")

    def leave(self) -> None:
        """Write to this file no more; what is not known to be on disk is written again."""
        self._suspect += self._unsynced
        self._unsynced.clear()
        self._unsynced_bytes = 0
        if self._file >= 0:
            os.close(self._file)
        self._file, self._sync_error = -1, None
        if self._segments and not self._segments[-1].end:
            with suppress(OSError):
                self._segments.pop().path.unlink(missing_ok=True)

    def restore(self) -> None:
        """Write again what a disk refused to keep.

        Raises:
            OSError: it still does.
        """
        if self._suspect:
            self._rewrite()

    def drop_through(self, seq: int) -> int:
        """Delete the segments that end at a seq or before, never the newest; return how many."""
        dropped = 0
        while len(self._segments) > 1 and self._segments[1].base_seq <= seq + 1:
            self._segments.pop(0).path.unlink(missing_ok=True)
            sys.audit("gex.point", "spool.dropped")
            dropped += 1
        if dropped:
            _sync_folder(self._folder)
        return dropped

    def older_than(self, day: datetime.date) -> int:
        """Return the last seq of the segments before one that begins on an earlier date; or 0."""
        through = 0
        for _, after in pairwise(self._segments):
            date = first_date(after)
            if date is None or date >= day:
                break
            through = after.base_seq - 1
        return through

    def _roll(self, first_seq: int) -> None:
        """Start a segment; the one before is on disk by then."""
        if self._file >= 0:
            self.sync()
            self.leave()
        path = segment_path(self._folder, self.epoch, first_seq)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not self._segments or self._segments[-1].path != path:
            self._segments.append(Segment(path, self.epoch, first_seq, 0))
        _sync_folder(self._folder)
        sys.audit("gex.point", "spool.rolled")

    def _rewrite(self) -> None:
        """Put the suspect frames into a file of their own, whole or not at all, and go on there."""
        data = b"".join(self._suspect)
        header = read_header(self._suspect[0])
        assert header is not None  # noqa: S101 # we encoded it
        turn = 1 + max((segment.turn for segment in self._segments), default=0)
        path = segment_path(self._folder, header.epoch, header.first_seq, turn)
        draft = path.with_suffix(".draft")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.fchmod(file, 0o600)
            _write_all(file, data)
            os.fdatasync(file)
            sys.audit("gex.point", "spool.drafted")
            draft.rename(path)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        self._file = file
        self._supersede(len(data))
        self._segments.append(Segment(path, header.epoch, header.first_seq, len(data), turn))
        self._suspect.clear()
        sys.audit("gex.point", "spool.rewritten")

    def _supersede(self, size: int) -> None:
        """Take the frames that were written again off the segment that had them."""
        while size and self._segments:
            segment = self._segments.pop()
            taken = min(size, segment.end)
            size -= taken
            if segment.end > taken:
                self._segments.append(segment._replace(end=segment.end - taken))
            else:
                segment.path.unlink(missing_ok=True)


def _write_all(file: int, data: bytes) -> None:
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, memoryview(data)[written:])


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
