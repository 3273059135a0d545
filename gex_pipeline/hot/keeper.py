"""The keeper of a spool: a thread that syncs it, watches its disk and looks through the past."""

import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from gex_pipeline.hot.holes import Holes
from gex_pipeline.hot.segment import Segment, SegmentReader

DISK_LOOK_S: Final = 2.0
_IDLE_S: Final = 0.5
"""Between two turns where nothing was written and nothing is left to look through."""
_SURVEY_S: Final = 0.02
"""Of each turn at most, for old segments."""


class Kept(Protocol):
    """What a keeper needs of its spool."""

    tape: str
    holes: Holes

    def sync_aside(self) -> None:
        """Bring the newest frames to disk without holding the writer up."""
        ...

    def look_at_disk(self) -> None:
        """Measure the room on the disk and keep some of it."""
        ...


class Keeper:
    """One thread per spool."""

    def __init__(self, spool: Kept, sync_s: float) -> None:
        self.surveyed = False
        """Every segment that the last owner left was looked through."""
        self._spool = spool
        self._sync_s = sync_s
        self._stop, self._written = threading.Event(), threading.Event()
        self._look_at = 0.0
        self._left = SegmentReader(tuple, 0)
        self._thread = threading.Thread(target=self._keep, name=f"keep {spool.tape}", daemon=True)

    def start(self, after_seq: int, segments: Sequence[Segment]) -> None:
        """Begin; the segments are looked through behind a seq."""
        if segments:
            after_seq = max(after_seq, segments[0].base_seq - 1)
        self._left = SegmentReader(lambda: segments, after_seq)
        self._thread.start()

    def stop(self) -> bool:
        """End the thread; False: it was told before."""
        if self._stop.is_set():
            return False
        self._stop.set()
        self._written.set()
        if self._thread.is_alive():
            self._thread.join()
        self._left.close()
        return True

    def written(self) -> None:
        """Be told that something waits to be synced: it is, within the time that was set."""
        if not self._written.is_set():
            self._written.set()

    def _keep(self) -> None:
        while not self._stop.is_set():
            idle_s = _IDLE_S if self.surveyed else self._sync_s or _IDLE_S
            if self._written.wait(idle_s):
                self._stop.wait(self._sync_s)  # what follows meanwhile comes to disk with it
                self._written.clear()
            if self._sync_s:
                self._spool.sync_aside()
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + DISK_LOOK_S
                self._spool.look_at_disk()
            if not self.surveyed:
                self._survey()

    def _survey(self) -> None:
        """Look through some more of what the last owner left."""
        until = time.monotonic() + _SURVEY_S
        while not self.surveyed and time.monotonic() < until:
            self.surveyed = not self._left.read()
        for hole in self._left.holes():
            self._spool.holes.find(hole)
        if self.surveyed:
            self._left.close()
