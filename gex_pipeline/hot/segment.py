"""Spool segments: files of frames one after the other, and what of them can still be read.

A segment is named `<epoch>-<first seq>.seg`, with `-<n>` behind it where it is written again in
another file. Seqs never go back from frame to frame; where they jump, or where bytes are damaged,
the reader names the hole and nothing is skipped in silence.
"""

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gex_pipeline.errors import SpoolError
from gex_pipeline.hot.frame import (
    HEADER_SIZE,
    MAGIC,
    MAX_EVENTS,
    MAX_PAYLOAD,
    FrameHeader,
    claimed_header,
    read_header,
)
from gex_pipeline.hot.holes import Cause, SpoolHole

BLOCK = 1 << 17
_WHOLE_BLOCK = MAX_PAYLOAD + HEADER_SIZE + 256
"""Holds any frame."""
MOST_HOLES = 1_000
"""That one reader names."""


class Segment(NamedTuple):
    """A file of frames, as far as it is written."""

    path: Path
    epoch: int
    base_seq: int
    """Seq of its first event, there yet or not."""
    end: int
    """Bytes that are whole frames."""
    turn: int = 0
    """How often the frames from here on were written again."""


class Recovered(NamedTuple):
    """What the newest segment still holds."""

    end: int
    newest: FrameHeader | None
    last_seq: int
    """Of its frames, the last one's too where that is damaged: its numbers were given."""
    damaged: int
    """Bytes that are no whole frame, and that a frame stands behind or that say they are one."""
    cut: int
    """Bytes behind that."""


def segment_path(folder: Path, epoch: int, base_seq: int, turn: int = 0) -> Path:
    """Return the file that starts at a seq; names sort as the frames do."""
    again = f"-{turn}" if turn else ""
    return folder / f"{epoch:010d}-{base_seq:020d}{again}.seg"


def list_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments, oldest first, each as long as its file.

    Raises:
        SpoolError: a file that is no segment is named like one.
    """
    found = []
    for path in folder.glob("*.seg"):
        numbers = path.stem.split("-")
        if len(numbers) not in (2, 3) or not all(number.isdigit() for number in numbers):
            raise SpoolError(f"{path} is no segment of a spool. Move it out of the folder.")
        epoch, base, turn = (*map(int, numbers), 0)[:3]
        found.append(Segment(path, epoch, base, _size(path), turn))
    return sorted(found, key=lambda segment: (segment.base_seq, segment.epoch, segment.turn))


def recover(segment: Segment, tape: str) -> Recovered:
    """Read a segment to its end and say where its last whole frame ends."""
    data = segment.path.read_bytes()
    newest, last_seq, end, damaged = None, segment.base_seq - 1, 0, 0
    for start, header in scan(data, last_seq):
        damaged += start - end
        newest, last_seq, end = header, header.last_seq, start + header.size
    while (claim := claimed_header(data, end)) and _goes_on(claim, tape, last_seq):
        damaged, last_seq, end = damaged + claim.size, claim.last_seq, end + claim.size
    return Recovered(end, newest, last_seq, damaged, len(data) - end)


def _goes_on(claim: FrameHeader, tape: str, last_seq: int) -> bool:
    """Whether damaged bytes of full length say they are the frame after a seq.

    That one may have been sent before it was damaged: its numbers must not be given again.
    """
    count = claim.last_seq - claim.first_seq + 1
    return (claim.tape, claim.first_seq) == (tape, last_seq + 1) and count <= MAX_EVENTS


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
        self._holes: list[SpoolHole] = []
        self._extent = extent
        self._path = Path()
        self._file = -1
        self._offset = 0
        self._damaged_before = 0
        self._started = after_seq > 0

    def read(self) -> list[bytes]:
        """Return the next frames, a block of them; none: everything is read."""
        while (segment := self._current()) is not None:
            if frames := self._read_block(segment):
                return frames
        return []

    def holes(self) -> list[SpoolHole]:
        """Return, once, the ranges that were not between the frames read."""
        holes, self._holes = self._holes, []
        return holes

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file, self._offset = Path(), -1, 0

    def _current(self) -> Segment | None:
        """Return the segment that the next frame is in, None if nothing is left to read."""
        segments = self._extent()
        last = max((s.base_seq for s in segments if s.base_seq <= self.after_seq + 1), default=0)
        here = next((s for s in segments if s.path == self._path), None)
        oldest = max(last, here.base_seq if here else 0)
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
        if not self._started:  # from the oldest that there is
            self._started, self.after_seq = True, segment.base_seq - 1
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
                if header.first_seq > self.after_seq + 1:
                    self._skip_to(header)
                frames.append(data[used : used + header.size])
                self.after_seq = header.last_seq
                self._damaged_before = self.damaged
            used += header.size
        return frames, used

    def _skip_to(self, header: FrameHeader) -> None:
        cause: Cause = "damaged" if self.damaged > self._damaged_before else "unspooled"
        if len(self._holes) < MOST_HOLES:
            hole = SpoolHole(self.after_seq + 1, header.first_seq - 1, cause, header.epoch)
            self._holes.append(hole)

    def _next_magic(self, data: bytes) -> int:
        found = data.find(MAGIC, 1)
        return found if found > 0 else max(len(data) - len(MAGIC) + 1, 1)


def first_date(segment: Segment) -> datetime.date | None:
    """Return the session date of a segment's first whole frame, None if there is none near."""
    reader = SegmentReader(lambda: (segment,), 0)
    try:
        frames = reader.read()
    finally:
        reader.close()
    header = read_header(frames[0]) if frames else None
    return header.session_date if header else None


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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
