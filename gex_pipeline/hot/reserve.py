"""Frames in memory while the disk takes nothing: bounded, and in the order of their numbers."""

from collections import deque
from collections.abc import Iterator

from gex_pipeline.hot.frame import read_header
from gex_pipeline.hot.holes import SpoolHole


class Reserve:
    """The frames of one spool that wait for its disk; its caller keeps threads apart."""

    def __init__(self) -> None:
        self.unspooled = 0
        """Events that were let go and never came to disk."""
        self.span: SpoolHole | None = None
        """The range of them that may still grow."""
        self._frames: deque[bytes] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def keep(self, data: bytes, most_bytes: int) -> bool:
        """Take a frame; False: it would be more than that."""
        if self._bytes + len(data) > most_bytes:
            return False
        self._frames.append(data)
        self._bytes += len(data)
        return True

    def first(self) -> bytes:
        """Return the oldest frame."""
        return self._frames[0]

    def drop_first(self) -> None:
        """Forget the oldest frame: it is on disk."""
        self._bytes -= len(self._frames.popleft())

    def let_go(self, through_seq: int, kept_bytes: int) -> None:
        """Forget the oldest frames up to a seq, down to a size: they were sent and not spooled."""
        while self._bytes > kept_bytes:
            header = read_header(self._frames[0])
            if header is None or header.last_seq > through_seq:
                return
            self.drop_first()
            self.unspooled += header.last_seq - header.first_seq + 1
            first = self.span.first_seq if self.span else header.first_seq
            self.span = SpoolHole(first, header.last_seq, "unspooled", header.epoch)

    def take_span(self) -> SpoolHole | None:
        """Return the range that was let go, once."""
        span, self.span = self.span, None
        return span

    def after(self, seq: int, most_bytes: int) -> Iterator[tuple[int, bytes]]:
        """Yield the last seq of each next frame and the frame, about so many bytes of them."""
        size = 0
        for data in self._frames:
            last_seq = last_of(data)
            if last_seq <= seq:
                continue
            if size >= most_bytes:
                return
            size += len(data)
            yield last_seq, data


def last_of(frame: bytes) -> int:
    """Return the last seq of a frame that we encoded."""
    header = read_header(frame)
    return header.last_seq if header else 0
