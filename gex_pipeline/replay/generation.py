"""One life of a namespace: from an image before the moment that was sought to wherever it is left.

A seek back ends it and begins another: the tape cannot be unread.
"""

import datetime
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import redis

from gex_pipeline.hot.frame import MAX_EVENTS, Frame, Position, encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.session import SESSION_TTL_S
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.lake.basis import TAPE as BASIS_TAPE
from gex_pipeline.market.events import Basis
from gex_pipeline.replay.beside import Beside
from gex_pipeline.replay.namespace import clear
from gex_pipeline.replay.plan import Plan, Start, Track
from gex_pipeline.replay.source import Source
from gex_pipeline.replay.tape import Batch
from gex_pipeline.replay.write import HOLD_ABOVE, TRIM_ABOVE, Writer

BUDGET: Final = 8_192
"""Events of one tape that one turn writes at most."""
MOST_AHEAD: Final = 60_000
"""Events that the tape may be ahead of the engine: so much of it the hot store holds."""
PASSED_ON_KEPT: Final = 10_000
"""Events that stay of a tape which no engine reads."""
OWN_KEPT: Final = 2_000
"""Frames that stay of the engine's own tapes where memory is short."""
TRIM_EVERY_S: Final = 0.25
MEMORY_EVERY_S: Final = 1.0
TIDY_EVERY_S: Final = 60.0


class Progress(Protocol):
    """How far an engine has read a tape."""

    @property
    def position(self) -> Position | None:
        """Behind the last event that it read."""
        ...

    @property
    def seen_ns(self) -> int:
        """Receipt of the newest event."""
        ...


class Computing(Protocol):
    """An engine on the namespace."""

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        ...

    def progress(self) -> Mapping[str, Progress]:
        """Return how far each tape is read."""
        ...

    @property
    def idle(self) -> bool:
        """Whether all that was read is folded."""
        ...

    def status(self) -> Mapping[str, object]:
        """Return its counters."""
        ...


Compute = Callable[[Callable[[], int]], Computing]
"""Makes an engine that takes up what the namespace holds; it is given the market time."""


class Generation:
    """Tapes that are played, and the engine that reads them."""

    def __init__(  # noqa: PLR0913 # the namespace, the lake, and what of it is played
        self,
        store: redis.Redis,
        keys: Keys,
        source: Source,
        plan: Plan,
        tracks: tuple[Track, ...],
        start: Start,
        compute: Compute,
    ) -> None:
        self._store, self._keys = store, keys
        self.fed_ns = start.image_ns or min(track.first_ns for track in tracks) - 1
        """Everything received up to then is in the hot store."""
        self._begun_ns = self.fed_ns
        self.held = False
        """The server's memory is short."""
        clear(store, keys)
        with store.pipeline(transaction=False) as pipe:
            for symbol, image in start.images.items():
                pipe.set(keys.chain(symbol), image, ex=SESSION_TTL_S)
            for frame in _frames(start.rows, plan.date):
                pipe.xadd(keys.tape(BASIS_TAPE), {FIELD: encode_frame(frame)}, str(frame.position))
            pipe.execute()
        end_ns = plan.end_ns or max(track.last_ns for track in tracks)
        self.writer = Writer(store, keys, plan)
        self._pending: list[Batch] = []
        self._due_s = {"memory": 0.0, "trim": time.monotonic() + TRIM_EVERY_S, "tidy": 0.0}
        self._engine: Computing | None = None
        self._tapes = source.open(tracks, start, end_ns)
        self._computed = [track.tape for track in tracks if track.read]
        self._engine = compute(self.engine_ns)
        self._thread = Beside(self._engine.run)

    def feed(self, horizon_ns: int, *, quietly: bool, lag_ns: int | None) -> bool:
        """Write what is due up to a moment, as far as there is room; return whether it moved.

        `lag_ns` is how far the engine may stay behind; None: only as far as memory goes.
        """
        self._thread.check()
        if self._is_held() or not self._has_room(lag_ns):
            return False
        if not self._pending:
            until_ns = self._until(horizon_ns)
            self._pending = [batch for t in self._tapes.values() for batch in t.take(until_ns)]
        moved = bool(self._pending)
        if not self._write(quietly=quietly):
            return False
        nexts = [stamp - 1 for tape in self._tapes.values() if (stamp := tape.stamp_at(0))]
        before_ns, self.fed_ns = self.fed_ns, max(self.fed_ns, min([horizon_ns, *nexts]))
        self._housekeep()
        return moved or self.fed_ns > before_ns

    def release(self) -> None:
        """Write the one event behind the end of each computed tape: its last second is complete."""
        self._pending += [b for tape in self._computed for b in self._tapes[tape].release()]
        self._write(quietly=False)

    @property
    def over(self) -> bool:
        """Whether all is written that was to be played."""
        return not self._pending and all(t.stamp_at(0) is None for t in self._tapes.values())

    @property
    def caught_up(self) -> bool:
        """Whether the engine has read and folded all that is written."""
        self._thread.check()
        assert self._engine is not None  # noqa: S101 # set by the constructor
        return not self._pending and not self._lagging_ns() and self._engine.idle

    @property
    def positions(self) -> dict[str, str]:
        """The last event of each tape that is in the hot store."""
        return {name: str(tape.position) for name, tape in self._tapes.items() if tape.position}

    def engine_ns(self) -> int:
        """Return the market time that the engine goes by: all that was received then, it has.

        It may be behind what is written, so that no engine takes its own lag for a silent feed.
        """
        return min([self.fed_ns, *self._lagging_ns()])

    def status(self) -> Mapping[str, object]:
        """Return the engine's counters."""
        return self._engine.status() if self._engine else {}

    def close(self) -> None:
        """End engine and reading; the namespace stays as it is."""
        self._thread.end()
        for tape in self._tapes.values():
            tape.close()

    def _until(self, horizon_ns: int) -> int:
        """Return up to when one turn writes: no tape runs ahead of another."""
        stamps = (tape.stamp_at(BUDGET) for tape in self._tapes.values())
        return min([horizon_ns, *(stamp for stamp in stamps if stamp is not None)])

    def _write(self, *, quietly: bool) -> bool:
        if not self.writer.write(self._pending, quietly=quietly):
            self.held = True
            return False
        self._pending = []
        return True

    def _progress(self) -> Mapping[str, Progress]:
        return self._engine.progress() if self._engine else {}

    def _lagging_ns(self) -> list[int]:
        """Return the newest receipts of the tapes that the engine has not read to the end."""
        read = self._progress()
        return [
            max(read[name].seen_ns, self._begun_ns)
            for name in self._computed
            if name in read and _behind(read[name].position, self._tapes[name].position)
        ]

    def _has_room(self, lag_ns: int | None) -> bool:
        read = self._progress()
        for name in self._computed:
            written, seen = (
                self._tapes[name].position,
                read[name].position if name in read else None,
            )
            if written and seen and written.seq - seen.seq > MOST_AHEAD:
                return False
        lagging = self._lagging_ns() if lag_ns is not None else []
        return not (lagging and self.fed_ns - min(lagging) > (lag_ns or 0))

    def _is_held(self) -> bool:
        if self._is_due("memory", MEMORY_EVERY_S):
            share = self.writer.memory_share()
            if share > TRIM_ABOVE:
                self._trim()
                self._trim_own()
            self.held = share > HOLD_ABOVE
        return self.held

    def _housekeep(self) -> None:
        if self._is_due("trim", TRIM_EVERY_S):
            self._trim()
        if self._is_due("tidy", TIDY_EVERY_S):
            self.writer.tidy()

    def _trim(self) -> None:
        read = self._progress()
        for name, tape in self._tapes.items():
            through = read[name].position if name in read else None
            if name not in self._computed and tape.position:
                through = Position(tape.position.epoch, tape.position.seq - PASSED_ON_KEPT)
            if through and through.seq > 0:
                self.writer.trim(name, through)

    def _trim_own(self) -> None:
        for key in self._store.scan_iter(match=self._keys.tape("gex.*")):
            self._store.xtrim(key, maxlen=OWN_KEPT, approximate=True)

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True


def _frames(rows: Sequence[Basis], day: datetime.date) -> Iterator[Frame]:
    """Yield recorded rows as the first frames of the engine's own tape."""
    for start in range(0, len(rows), MAX_EVENTS):
        part = tuple(
            msgspec.structs.replace(row, seq=seq)
            for seq, row in enumerate(rows[start : start + MAX_EVENTS], start + 1)
        )
        yield Frame(BASIS_TAPE, 1, start + 1, start + len(part), day, part)


def _behind(read: Position | None, written: Position | None) -> bool:
    return written is not None and (read is None or read < written)
