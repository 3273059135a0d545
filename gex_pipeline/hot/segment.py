"""Spool segments: files of frames one after the other, and what of them can still be read.

A segment is named `<epoch>-<first seq>.seg`. Seqs never go back from frame to frame; where they
jump, or where bytes are damaged, the reader sees it by the seqs and nothing is skipped in silence.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gex_pipeline.errors import SpoolError
from gex_pipeline.hot.frame import HEADER_SIZE, MAGIC, MAX_PAYLOAD, FrameHeader, read_header

BLOCK = 1 << 17
_WHOLE_BLOCK = MAX_PAYLOAD + HEADER_SIZE + 256
"""Holds any frame."""


class Segment(NamedTuple):
    """A file of frames, as far as it is written."""

    path: Path
    epoch: int
    base_seq: int
    """Seq of its first event, there yet or not."""
    end: int
    """Bytes that are whole frames."""


class Recovered(NamedTuple):
    """What the newest segment still holds."""

    end: int
    newest: FrameHeader | None
    tape: str | None
    damaged: int
    """Bytes that no frame claims, whole frames behind them."""
    cut: int
    """Bytes behind the last whole frame."""


def segment_path(folder: Path, epoch: int, base_seq: int) -> Path:
    """Return the file that starts at a seq; names sort as the frames do."""
    return folder / f"{epoch:010d}-{base_seq:020d}.seg"


def list_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments, oldest first, each as long as its file.

    Raises:
        SpoolError: a file that is no segment is named like one.
    """
    found = []
    for path in folder.glob("*.seg"):
        epoch, _, base = path.stem.partition("-")
        if not (epoch.isdigit() and base.isdigit()):
            raise SpoolError(f"{path} is no segment of a spool. Move it out of the folder.")
        found.append(Segment(path, int(epoch), int(base), _size(path)))
    return sorted(found, key=lambda segment: (segment.base_seq, segment.epoch))


def recover(segment: Segment) -> Recovered:
    """Read a segment to its end and say where its last whole frame ends."""
    data = segment.path.read_bytes()
    newest, tape, end, damaged = None, None, 0, 0
    for start, header in scan(data, segment.base_seq - 1):
        damaged += start - end
        newest, tape, end = header, tape or header.tape, start + header.size
    return Recovered(end, newest, tape, damaged, len(data) - end)


def scan(data: bytes, last_seq: int) -> Iterator[tuple[int, FrameHeader]]:
    """Yield the whole frames and where each starts; bytes that are none are stepped over."""
    start = 0
    while start >= 0:
        header = read_header(data, start)
        if header is None or header.first_seq <= last_seq:
            start = data.find(MAGIC, start + 1)
            continue
        yield start, header
        start, last_seq = start + header.size, header.last_seq


class SegmentReader:
    """Frames behind a seq, from segment to segment; it remembers where it stands."""

    def __init__(self, extent: Callable[[], Sequence[Segment]], after_seq: int) -> None:
        self.after_seq = after_seq
        self.damaged = 0
        """Bytes stepped over because no frame claims them."""
        self._extent = extent
        self._path = Path()
        self._file = -1
        self._offset = 0

    def read(self) -> list[bytes]:
        """Return the next frames, a block of them; none: everything is read."""
        while (segment := self._current()) is not None:
            if frames := self._read_block(segment):
                return frames
        return []

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file, self._offset = Path(), -1, 0

    def _current(self) -> Segment | None:
        """Return the segment that the next frame is in, None if nothing is left to read."""
        segments = self._extent()
        last = max((s.base_seq for s in segments if s.base_seq <= self.after_seq + 1), default=0)
        oldest = max(last, _base_of(self._path))
        for segment in segments:
            if segment.base_seq < oldest:
                continue
            if segment.path != self._path and not self._open(segment):
                continue
            if self._offset < segment.end:
                return segment
        return None

    def _open(self, segment: Segment) -> bool:
        self.close()
        try:
            self._file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # dropped meanwhile: archived
            return False
        self._path = segment.path
        return True

    def _read_block(self, segment: Segment) -> list[bytes]:
        data = os.pread(self._file, min(BLOCK, segment.end - self._offset), self._offset)
        frames, used = self._take(data)
        if not used and self._offset + len(data) < segment.end:  # a frame larger than the block
            data = os.pread(self._file, min(_WHOLE_BLOCK, segment.end - self._offset), self._offset)
            frames, used = self._take(data)
        if not used:  # damaged to the end of what can be seen of it
            used = self._next_magic(data)
            self.damaged += used
        self._offset += used
        return frames

    def _take(self, data: bytes) -> tuple[list[bytes], int]:
        """Return the whole frames that `data` starts with, and their size."""
        frames, used = [], 0
        while (header := read_header(data, used)) is not None:
            if header.last_seq > self.after_seq:
                frames.append(data[used : used + header.size])
                self.after_seq = header.last_seq
            used += header.size
        return frames, used

    def _next_magic(self, data: bytes) -> int:
        found = data.find(MAGIC, 1)
        return found if found > 0 else max(len(data) - len(MAGIC) + 1, 1)


def spool_frames(folder: Path, after_seq: int) -> Iterator[bytes]:
    """Yield the frames of a spool that somebody else owns, from `after_seq` on to its end now.

    It reads without a lock: of a frame that is just being written it sees nothing.
    """
    segments = list_segments(folder)
    reader = SegmentReader(lambda: segments, after_seq)
    try:
        while frames := reader.read():
            yield from frames
    finally:
        reader.close()


def _base_of(path: Path) -> int:
    return int(path.stem.partition("-")[2] or 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
