"""Following a live spool: its segments, then what its disk has not taken yet."""

import threading
from collections.abc import Callable, Sequence

from gex_pipeline.hot.holes import SpoolHole
from gex_pipeline.hot.reserve import Reserve
from gex_pipeline.hot.segment import BLOCK, Segment, SegmentReader


class SpoolReader:
    """Frames of a live spool behind a seq, in the order of their numbers; close it."""

    def __init__(
        self,
        extent: Callable[[], Sequence[Segment]],
        reserve: Reserve,
        lock: threading.Condition,
        after_seq: int,
    ) -> None:
        self._reserve = reserve
        self._lock = lock
        self._files = SegmentReader(extent, after_seq)

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
        if not self._reserve and (frames := self._files.read()):
            return frames
        with self._lock:  # nothing may come to disk between the two looks
            return self._files.read() or self._read_reserve()

    def holes(self) -> list[SpoolHole]:
        """Return, once, the ranges that were not where they should have been."""
        return self._files.holes()

    def close(self) -> None:
        """Close the file that is being read."""
        self._files.close()

    def _read_reserve(self) -> list[bytes]:
        frames = []
        for last_seq, data in self._reserve.after(self._files.after_seq, BLOCK):
            frames.append(data)
            self._files.after_seq = last_seq
        return frames
