"""The engine: reads the tapes, keeps every underlying up to date, has its figures published.

Threads: this loop reads and applies events, the worker folds, a sender per recorded tape sends, and
the pulse renews lease and status. All end with `stop`; the loop's silence ends the pulse.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from gex_pipeline.engine.aside import Aside
from gex_pipeline.engine.backlog import Backlog
from gex_pipeline.engine.futures import Futures, begin_futures
from gex_pipeline.engine.inlet import Inlet
from gex_pipeline.engine.pace import Pace
from gex_pipeline.engine.publish import Publisher
from gex_pipeline.engine.record import Recorder, Recording
from gex_pipeline.engine.worker import Worker
from gex_pipeline.errors import CodecError
from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.live import Image, asof_ns
from gex_pipeline.exposure.pairing import Pairing
from gex_pipeline.exposure.underlying import Underlying, figures_due
from gex_pipeline.hot.chains import decode_image, resume_position
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS, Calendar
from gex_pipeline.market.symbology import calendar_of, kind_of

SERVICE: Final = "engine"
FUTURES_CALENDAR: Final[Calendar] = "cme"
_PAUSE_S: Final = 0.025
_PAUSE_SLOWED_S: Final = 0.1
"""Between two looks at the tapes. Each costs a tenth of a millisecond a tape; whoever publishes
twice a second need not look forty times."""
_RETRY_S: Final = 0.5
_BEHIND_NS: Final = 2 * SECOND_NS
"""Further behind the market clock the tape is caught up with before anything is previewed."""
_MEASURE_S: Final = 1.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine computes, of whose data, and how much it may use."""

    symbols: tuple[str, ...]
    source: str
    """What stands in each payload: schwab, simulator."""
    mode: str
    root: Path
    feed: str = "schwab"
    """First half of the names of the tapes that feed it."""
    duty: float = 0.25
    publish_per_s: float = 10.0


class Progress(msgspec.Struct, frozen=True):
    """How far a tape has been read."""

    position: Position | None
    seen_ns: int
    """Receipt of the newest event."""


class Engine:
    """One process's engine; `run` returns when told to stop, and raises what ended it."""

    def __init__(
        self,
        plan: Plan,
        store: redis.Redis,
        keys: Keys,
        market_ns: Callable[[], int],
        record: Callable[[Calendar], Recording] | None = None,
    ) -> None:
        """Open the spools and take up where the newest engine left off.

        `market_ns` tells the market time, for silence and lag; figures go by the tapes alone.
        `record` gives what keeps a calendar's seconds; without it they are spooled below the root,
        where then also lies what the hot store has trimmed of the tapes.
        """
        self.turned_s = self._began_s = time.monotonic()
        """When the loop last went round."""
        self.unreadable = 0
        """Times that the hot store did not answer."""
        self._plan, self._store, self._keys, self._market_ns = plan, store, keys, market_ns
        self._pace = Pace(plan.duty, plan.publish_per_s)
        self._lanes: dict[str, Lane] = {}
        self._index_tape = f"{plan.feed}.index"
        self._inlets: list[Inlet[Second]] = []
        self._recorders: dict[str, Recording] = {}
        for calendar, symbols in _by_calendar(plan.symbols).items():
            tape = f"{plan.feed}.{calendar}"
            backlog = None if record else Backlog(plan.root, tape)
            self._recorders[tape] = (record or partial(Recorder, store, keys, plan.root))(calendar)
            lane, known = self._lane(tape, symbols)
            self._lanes[tape] = lane
            reader = TapeReader(store, keys, tape)
            self._inlets.append(Inlet(lane, reader, backlog, whole=not known))
        self._publisher = Publisher(store, keys)
        self._futures = self._begin_futures(record)
        served = [symbol for lane in self._lanes.values() for symbol in lane.underlyings]
        self._final_ns = {symbol: self._publisher.resume(symbol, market_ns()) for symbol in served}
        fed = {tape: frozenset(lane.underlyings) for tape, lane in self._lanes.items()}
        recorders = {tape: self._recorders[tape] for tape in self._lanes}
        self._worker = Worker(recorders, fed, self._publisher, self._pace, self._futures)
        self._figures_s: dict[str, float] = {}
        """When an underlying's last figures were sent to be made."""
        self._was_silent: dict[str, bool] = {}
        self._measured = time.monotonic(), time.process_time(), 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; spools are closed on the way out.

        Raises:
            GexError: a spool or a tape is not ours, or another failure that a restart may cure.
        """
        with ExitStack() as stack:
            for recorder in self._recorders.values():
                stack.callback(recorder.close)
                stack.enter_context(Aside(recorder.run, stop, f"send {recorder.tape}"))
            stack.enter_context(Aside(self._worker.run, stop, "fold"))
            while not stop.is_set():
                self._turn(stop)

    def close(self) -> None:
        """Give the spools back of an engine that does not run."""
        for recorder in self._recorders.values():
            recorder.close()

    def progress(self) -> dict[str, Progress]:
        """Return how far each tape has been read."""
        readings: dict[str, Lane | Pairing] = {**self._lanes}
        if self._futures is not None:
            readings[self._futures.pairing.tape] = self._futures.pairing
        return {
            tape: Progress(Position(*one.position) if one.position else None, one.seen_ns)
            for tape, one in readings.items()
        }

    @property
    def idle(self) -> bool:
        """Whether every complete second that was read is folded and kept."""
        folded = self._worker.seconds == self._worker.queued
        return folded and not (self._futures and self._futures.reading)

    def status(self) -> dict[str, str | int | float]:
        """Return what the status hash says of the engine."""
        pace, worker = self._pace, self._worker
        fields: dict[str, str | int | float] = {
            "loop_age_s": round(time.monotonic() - self.turned_s, 3),
            "events": sum(lane.events for lane in self._lanes.values()),
            "seconds": worker.seconds,
            "previews": worker.previews,
            "published": self._publisher.published,
            "chains": self._publisher.chains,
            "resumed_s": self._resumed_s,
            "failed_writes": self._publisher.failed,
            "holes": sum(inlet.holes for inlet in self._inlets),
            "unreadable": self.unreadable,
            "core_share": round(pace.share, 4),
            "duty": pace.duty,
            "publish_per_s": round(pace.publish_per_s, 3),
            "slowed": int(pace.slowed),
        }
        for tape, lane in self._lanes.items():
            fields[f"position:{tape}"] = str(Position(*lane.position)) if lane.position else ""
            fields[f"seen_ns:{tape}"] = lane.seen_ns
            fields[f"heard_ns:{tape}"] = lane.heard_ns
            fields[f"recorded_ns:{tape}"] = self._recorders[tape].recorded_ns
            for symbol, underlying in lane.underlyings.items():
                fields[f"contracts:{symbol}"] = len(underlying.columns)
                fields[f"fold_ms:{symbol}"] = round(worker.fold_s.get(symbol, 0.0) * 1e3, 2)
        return fields | (self._futures.status() if self._futures else {})

    @property
    def _resumed_s(self) -> float | str:
        """Real time from the start to the first figures that went out; "" before those."""
        first_s = self._publisher.first_s
        return "" if first_s is None else round(first_s - self._began_s, 3)

    def _turn(self, stop: threading.Event) -> None:
        """Read what there is, then preview what changed."""
        self.turned_s = time.monotonic()
        try:
            more = [self._read(inlet, stop) for inlet in self._inlets]
            futures = self._read_futures(stop)
        except UNREACHABLE:
            self.unreadable += 1
            stop.wait(_RETRY_S)
            return
        for lane, behind in zip(self._lanes.values(), more, strict=True):
            self._preview(lane, read_up=not behind)
        self._measure()
        if not (futures or any(more)):
            stop.wait(_PAUSE_SLOWED_S if self._pace.slowed else _PAUSE_S)

    def _read(self, inlet: Inlet[Second], stop: threading.Event) -> bool:
        """Take in what there is of a tape, up to a limit; return whether there may be more."""
        for seconds in inlet.read(stop):
            self.turned_s = time.monotonic()
            for second in seconds:
                self._worker.put_second(inlet.lane.tape, second, stop)
                self._final_ns |= {image.symbol: second.ts_ns for image in second.images}
                self._figures_s |= {image.symbol: self.turned_s for image in second.images}
        return inlet.more

    def _read_futures(self, stop: threading.Event) -> bool:
        if self._futures is None:
            return False
        index_ns = self._lanes[self._index_tape].open_ns
        return self._futures.turn(stop, index_ns, idle=self.idle)

    def _preview(self, lane: Lane, *, read_up: bool) -> None:
        """Have the underlyings that changed previewed, as often as the pace allows.

        A tape is silent only once all of it is read: an engine that is behind is not a dead feed.
        """
        now_ns, now_s = self._market_ns(), time.monotonic()
        silent = read_up and lane.silent(now_ns)
        if silent != self._was_silent.get(lane.tape, silent):
            lane.touch()  # confidence falls and rises with the feed
        self._was_silent[lane.tape] = silent
        caught_up = now_ns - lane.seen_ns <= _BEHIND_NS
        due = figures_due(now_ns) and figures_due(lane.seen_ns or now_ns)
        if not ((silent or caught_up) and due):
            return
        for symbol, underlying in lane.underlyings.items():
            figures_s = self._figures_s.get(symbol, 0.0)
            if not (underlying.dirty and self._pace.due(symbol, now_s, figures_s)):
                continue
            if self._worker.busy(symbol) or self._closed(lane, symbol):
                continue
            self._figures_s[symbol] = now_s
            self._pace.begun(symbol)
            image = lane.preview(symbol, now_ns)
            if image is not None:
                self._worker.put_preview(image)

    def _closed(self, lane: Lane, symbol: str) -> bool:
        """Whether the figures of the close are there: what is quoted after it changes no more."""
        moment_ns = asof_ns(lane.seen_ns, symbol)
        return self._final_ns[symbol] >= moment_ns and moment_ns < lane.seen_ns

    def _measure(self) -> None:
        now = time.monotonic(), time.process_time(), self._worker.seconds / max(len(self._lanes), 1)
        wall_s, cpu_s, seconds = (new - old for new, old in zip(now, self._measured, strict=True))
        if wall_s >= _MEASURE_S:
            self._pace.measured(cpu_s, wall_s, seconds)
            self._measured = now

    def _lane(self, tape: str, symbols: tuple[str, ...]) -> tuple[Lane, bool]:
        """Return the tape's lane, and whether the chain of any of its underlyings is known.

        The hot store has the newest chain of each; else the newest is on the recorder's tape.
        """
        source, mode = self._plan.source, self._plan.mode
        lane = Lane(tape, {symbol: Underlying(symbol, source, mode) for symbol in symbols})
        recorder = self._recorders[tape]
        found = [image for symbol in symbols if (image := self._stored(symbol))]
        missing = set(symbols) - {image.symbol for image in found}
        found += recorder.newest_images(missing) if missing else []
        images = [image for image in found if tape in image.positions]
        lane.resume(images, recorder.recorded_ns)
        return lane, bool(images)

    def _begin_futures(self, record: Callable[[Calendar], Recording] | None) -> Futures | None:
        """Return what joins the indexes with their futures, where there are indexes."""
        lane = self._lanes.get(self._index_tape)
        if lane is None or not any(map(roots_of, lane.underlyings)):
            return None
        tape, root = f"{self._plan.feed}.{FUTURES_CALENDAR}", self._plan.root
        recorder = (record or partial(Recorder, self._store, self._keys, root))(FUTURES_CALENDAR)
        self._recorders[tape] = recorder
        backlog = None if record else Backlog(root, tape)
        reader = TapeReader(self._store, self._keys, tape)
        stored = resume_position(self._store, self._keys, tape)
        return begin_futures(lane, recorder, (reader, backlog, stored), self._publisher)

    def _stored(self, symbol: str) -> Image | None:
        """Return the chain in the hot store; one that cannot be read is as good as none."""
        data: Any = self._store.get(self._keys.chain(symbol))
        try:
            return decode_image(data) if data else None
        except CodecError:
            return None


def _by_calendar(symbols: tuple[str, ...]) -> dict[Calendar, tuple[str, ...]]:
    """Return the underlyings that options have, by the calendar of their tape."""
    found: dict[Calendar, tuple[str, ...]] = {}
    for symbol in dict.fromkeys(symbols):
        if kind_of(symbol) in ("share", "index"):
            calendar = calendar_of(symbol)
            found[calendar] = (*found.get(calendar, ()), symbol)
    return found
