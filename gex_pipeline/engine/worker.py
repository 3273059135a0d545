"""The worker: folds images beside the loop that reads the tape.

Complete seconds wait in a bounded queue, and while it is full the tape waits in the hot store:
none is skipped. Of previews only the newest of each underlying waits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Set
from typing import Final

from gex_pipeline.engine.futures import Futures
from gex_pipeline.engine.pace import Pace
from gex_pipeline.engine.publish import Publisher
from gex_pipeline.engine.record import Recording, chain_images
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import BY_STRIKE, EVERY, PUBLISHED, figures, second_events

SECONDS_WAITING: Final = 4
CHAIN_EVERY_S: Final = 1.0
"""Real time between two chains of an underlying in the hot store."""
CHAIN_EVERY_SLOWED_S: Final = 5.0
_IDLE_S: Final = 0.25
"""Without work the worker looks so often at what the hot store has not taken."""


class Worker:
    """Folds, records and publishes what is queued; `run` is its thread."""

    def __init__(
        self,
        recorders: Mapping[str, Recording],
        symbols: Mapping[str, Set[str]],
        publisher: Publisher,
        pace: Pace,
        futures: Futures | None = None,
    ) -> None:
        """Prepare a worker; `symbols` are those of each tape."""
        self.queued = 0
        """Complete seconds that were put; `seconds` of them are done."""
        self.seconds = 0
        self.previews = 0
        self.fold_s: dict[str, float] = {}
        """CPU time of the newest fold and publication, by underlying."""
        self._recorders, self._publisher, self._pace = recorders, publisher, pace
        self._levels = {
            tape: Levels(recorder.newest_rows(symbols[tape]))
            for tape, recorder in recorders.items()
        }
        self._futures = futures
        self._changed = threading.Condition()
        self._seconds: deque[tuple[str, Second]] = deque()
        self._previews: dict[str, Image] = {}
        self._chain_due_s: dict[str, float] = {}
        self._unstored: dict[str, Image] = {}
        """The newest chains that came too soon after another one: a market that stands still then
        has them stored."""

    def put_second(self, tape: str, second: Second, stop: threading.Event) -> None:
        """Queue a complete second of a tape; waits while the queue is full."""
        with self._changed:
            while len(self._seconds) >= SECONDS_WAITING and not stop.is_set():
                self._changed.wait(0.1)
            self._seconds.append((tape, second))
            self.queued += 1
            self._changed.notify_all()

    def put_preview(self, image: Image) -> None:
        """Queue a preview in place of one of the same underlying that still waits."""
        with self._changed:
            self._previews[image.symbol] = image
            self._changed.notify_all()

    def busy(self, symbol: str) -> bool:
        """Whether a preview of the underlying waits."""
        return symbol in self._previews or bool(self._seconds)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what waits then is left to the next start."""
        while not stop.is_set():
            work = self._next()
            if work is None:
                self._publisher.flush()
                for image in list(self._unstored.values()):
                    self._store_chain(image)
            else:
                work()

    def _next(self) -> Callable[[], None] | None:
        """Take the next piece of work, seconds first; None: there was none for a while."""
        with self._changed:
            if not (self._seconds or self._previews):
                self._changed.wait(_IDLE_S)
            if self._seconds:
                tape, second = self._seconds.popleft()
                self._changed.notify_all()
                return lambda: self._finish(tape, second)
            if self._previews:
                image = self._previews.pop(next(iter(self._previews)))
                return lambda: self._preview(image)
        return None

    def _finish(self, tape: str, second: Second) -> None:
        folded = []
        for image in second.images:
            started_s = time.thread_time()
            folded.append((image, figures(image, EVERY, final=True)))
            self.fold_s[image.symbol] = time.thread_time() - started_s
        ts_ns = second.ts_ns
        recorder = self._recorders[tape]
        new = ts_ns > recorder.recorded_ns
        figured = second_events(ts_ns, folded, self._levels[tape])
        recorder.write(ts_ns, [*figured, *chain_images(second)])
        for image, snapshots in folded:
            self._publisher.snapshots(image, snapshots)
            if new:
                self._publisher.second(ts_ns, image, snapshots)
        late = self._futures is not None and self._futures.take(tape, second, folded)
        for image in () if late else second.images:
            self._store_chain(image)
        self.seconds += 1

    def _preview(self, image: Image) -> None:
        started_s = time.thread_time()
        self._publisher.snapshots(image, figures(image, self._scopes(image), final=False))
        if image.asof_ns < image.ts_recv_ns:  # closed: no second will store it
            self._store_chain(image)
        self._pace.spent(image.symbol, time.thread_time() - started_s)
        self.previews += 1

    def _scopes(self, image: Image) -> tuple[str, ...]:
        """Return the scopes of a preview: of a market that is too large for all, the first two.

        The others then come with each complete second; where none comes, all are previewed.
        """
        closed = image.asof_ns < image.ts_recv_ns
        return PUBLISHED if closed or image.silent or not self._pace.narrow else BY_STRIKE

    def _store_chain(self, image: Image) -> None:
        now_s = time.monotonic()
        if now_s < self._chain_due_s.get(image.symbol, 0.0):
            self._unstored[image.symbol] = image
            return
        self._unstored.pop(image.symbol, None)
        every_s = CHAIN_EVERY_SLOWED_S if self._pace.slowed else CHAIN_EVERY_S
        self._chain_due_s[image.symbol] = now_s + every_s * 0.9
        self._publisher.chain(image)
