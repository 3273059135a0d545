"""One recorded tape as it is played: read ahead from the lake, handed out by market time."""

import datetime
import queue
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from gex_pipeline.hot.frame import MAX_EVENTS, Position
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import Stretch, recorded
from gex_pipeline.replay.plan import Track

WINDOW: Final = 100_000
"""Events that are read at a time, while those before are played."""
ATTEMPTS: Final = 3
"""Lists of files that may be stale in a row: end of day replaces parts by day files."""


class Batch(NamedTuple):
    """Events of a stretch, from one place up to another: what becomes one frame."""

    stretch: Stretch
    start: int
    end: int

    @property
    def first_ns(self) -> int:
        """Receipt of its first event."""
        return int(self.stretch.recv_ns[self.start])

    @property
    def position(self) -> Position:
        """Where a reader stands that has read it."""
        return Position(self.stretch.epoch, int(self.stretch.seq[self.end - 1]))

    @property
    def session_date(self) -> datetime.date:
        """Of all its events."""
        return self.stretch.session_date


class RecordedTape:
    """Events of a tape behind a seq, in order; `close` ends the reading ahead.

    The one event behind the track's end is kept back until `release`: it tells that the last
    market second is complete.
    """

    def __init__(self, paths: LakePaths, track: Track, after_seq: int, end_ns: int) -> None:
        self.track = track
        self.position: Position | None = None
        """Of the newest event handed out."""
        self._end_ns = min(end_ns, track.last_ns)
        self._ahead = _Ahead(_stretches(paths, track.tape, after_seq, track.last_seq + 1))
        self._stretch: Stretch | None = None
        self._stamps = np.empty(0, dtype=np.int64)
        self._at = 0
        self._over = False

    def stamp_at(self, ahead: int) -> int | None:
        """Return the receipt of the event so many places ahead, or of the last one known there.

        None: no event is left that may be handed out.
        """
        if not self._load():
            return None
        if int(self._stamps[self._at]) > self._end_ns:
            return None
        return int(self._stamps[min(self._at + ahead, self._stamps.size - 1)])

    def take(self, until_ns: int) -> list[Batch]:
        """Return the events received up to a moment, as far as they are read already."""
        if not self._load():
            return []
        until_ns = min(until_ns, self._end_ns)
        end = int(np.searchsorted(self._stamps, until_ns, side="right"))
        return self._hand_out(end)

    def release(self) -> list[Batch]:
        """Return the one event behind the end, if the lake has it."""
        return self._hand_out(self._at + 1) if self._load() else []

    def close(self) -> None:
        """End the reading ahead."""
        self._ahead.close()

    def _load(self) -> bool:
        """Have a stretch with events that were not handed out; False: there is none."""
        while not self._over and self._at >= self._stamps.size:
            self._stretch = self._ahead.next()
            self._at = 0
            if self._stretch is None:
                self._over = True
                self._stamps = self._stamps[:0]
            else:  # a tape's stamps never go back; should one, its event comes with those before
                self._stamps = np.maximum.accumulate(self._stretch.recv_ns)
        return not self._over

    def _hand_out(self, end: int) -> list[Batch]:
        start, stretch = self._at, self._stretch
        if stretch is None or end <= start:
            return []
        self._at = end
        batches = cut(stretch, start, end)
        self.position = batches[-1].position
        return batches


def cut(stretch: Stretch, start: int, end: int) -> list[Batch]:
    """Return the frames that a range of events makes: none has a hole in it."""
    if end <= start:
        return []
    holes = (np.flatnonzero(np.diff(stretch.seq[start:end]) != 1) + start + 1).tolist()
    return [
        Batch(stretch, at, min(at + MAX_EVENTS, stop))
        for begin, stop in pairwise([start, *holes, end])
        for at in range(begin, stop, MAX_EVENTS)
    ]


class _Ahead:
    """A thread that is one stretch ahead of who asks for the next; a failure comes there too."""

    def __init__(self, stretches: Iterator[Stretch]) -> None:
        self._stretches = stretches
        self._ready: queue.Queue[Stretch | BaseException | None] = queue.Queue(maxsize=1)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self._thread.start()

    def next(self) -> Stretch | None:
        """Return the next stretch, None behind the last."""
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for stretch in self._stretches:
                if not self._put(stretch):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 # raised again in the thread that asks
            self._put(error)

    def _put(self, item: Stretch | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


def _stretches(paths: LakePaths, tape: str, after: int, through: int) -> Iterator[Stretch]:
    """Yield a tape's events; where end of day takes a file away, go on in what took its place."""
    failed = 0
    while True:
        chain = read_chain(paths, tape)
        try:
            for stretch in recorded(
                paths, chain, after_seq=after, through_seq=through, window=WINDOW
            ):
                yield stretch
                after, failed = int(stretch.seq[-1]), 0
        except FileNotFoundError:
            failed += 1
            if failed > ATTEMPTS:
                raise
            continue
        return
