"""Segments as their owner writes them: appended whole or not at all, cut and read at the start."""

import datetime
import os
from contextlib import suppress
from pathlib import Path

from gex_pipeline.errors import SpoolError
from gex_pipeline.hot.frame import FrameHeader, Position
from gex_pipeline.hot.segment import Segment, list_segments, recover, segment_path


class Journal:
    """The segments of one tape in a folder that we own; its caller keeps threads apart."""

    def __init__(self, folder: Path, tape: str, *, segment_bytes: int, sync_each: bool) -> None:
        self.epoch = 0
        self.dirty = False
        """Something is written and not yet on disk."""
        self.damaged_bytes = 0
        """Found in the newest segment, whole frames behind them."""
        self.cut_bytes = 0
        """Of a frame that the last owner did not finish."""
        self._folder = folder
        self._tape = tape
        self._segment_bytes = segment_bytes
        self._sync_each = sync_each
        self._segments: list[Segment] = []
        self._file = -1

    @property
    def segments(self) -> list[Segment]:
        """The segments, oldest first, each as far as it is written."""
        return list(self._segments)

    def recover(self, floor: Position) -> tuple[int, datetime.date]:
        """Cut what is no frame off the end; return the last seq and its session date.

        Raises:
            SpoolError: the folder holds another tape's frames, or no spool.
        """
        self._segments = list_segments(self._folder)
        newest, last_seq = None, 0
        while self._segments and newest is None:
            newest, last_seq = self._take_newest()
            if newest is None and len(self._segments) == 1:
                break
            if newest is None:
                self._segments.pop().path.unlink()
        own = self._segments[-1].epoch if self._segments else -1
        self.epoch = own if own >= max(floor.epoch, 1) else floor.epoch + 1
        day = newest.session_date if newest else datetime.date.min
        return max(last_seq, floor.seq), day

    def write(self, data: bytes, first_seq: int) -> None:
        """Append a frame, to a new segment if this one cannot go on.

        Raises:
            OSError: the disk takes it not; then nothing of it is in a segment.
        """
        if self._file < 0 or self._segments[-1].end >= self._segment_bytes:
            self._roll(first_seq)
        segment = self._segments[-1]
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:])
            if self._sync_each:
                os.fdatasync(self._file)
        except OSError:
            self._undo(segment)
            raise
        self.dirty = not self._sync_each
        self._segments[-1] = segment._replace(end=segment.end + len(data))

    def sync(self) -> None:
        """Bring everything to disk.

        Raises:
            OSError: the disk fails; leave the file then.
        """
        if self.dirty:
            self.dirty = False
            os.fdatasync(self._file)

    def handle(self) -> int:
        """Return a handle of the file, to sync it aside and close."""
        self.dirty = False
        return os.dup(self._file)

    def leave(self) -> None:
        """Write to this file no more."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self.dirty = False

    def drop_through(self, seq: int) -> int:
        """Delete the segments that end at a seq or before, never the newest; return how many."""
        dropped = 0
        while len(self._segments) > 1 and self._segments[1].base_seq <= seq + 1:
            self._segments.pop(0).path.unlink(missing_ok=True)
            dropped += 1
        if dropped:
            _sync_folder(self._folder)
        return dropped

    def _take_newest(self) -> tuple[FrameHeader | None, int]:
        """Cut the newest segment to its frames; return the last of them and its seq."""
        segment = self._segments[-1]
        found = recover(segment)
        if found.newest is not None and found.newest.tape != self._tape:
            raise SpoolError(
                f"The spool {self._folder} holds the tape {found.newest.tape}, not {self._tape}."
                " Give each tape a folder of its own."
            )
        self.damaged_bytes += found.damaged
        self.cut_bytes += found.cut
        if found.cut:
            _truncate(segment.path, found.end)
        self._segments[-1] = segment._replace(end=found.end)
        return found.newest, found.newest.last_seq if found.newest else segment.base_seq - 1

    def _roll(self, first_seq: int) -> None:
        """Start a segment; the one before is on disk by then."""
        if self._file >= 0:
            self._finish()
        path = segment_path(self._folder, self.epoch, first_seq)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not self._segments or self._segments[-1].path != path:
            self._segments.append(Segment(path, self.epoch, first_seq, 0))
        _sync_folder(self._folder)

    def _finish(self) -> None:
        """Bring the file to disk and leave it, also when that fails."""
        try:
            os.fdatasync(self._file)
        finally:
            self.leave()

    def _undo(self, segment: Segment) -> None:
        """Take back what was written of a frame, and never trust this file again."""
        with suppress(OSError):  # readers stop at segment.end; recovery steps over the rest
            os.ftruncate(self._file, segment.end)
        self.leave()
        if segment.end == 0:
            segment.path.unlink(missing_ok=True)
            self._segments.pop()


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
