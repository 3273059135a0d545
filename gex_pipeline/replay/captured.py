"""A raw capture as tapes: its wire frames through the production decoder, numbered anew.

A capture holds what the source sent, no heartbeats: one a market second is put in, connected while
frames came in the seconds before it. It has no images either, so each start is its beginning.
"""

import datetime
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.errors import ReplayError
from gex_pipeline.feeds.capture import WireFrame, read_capture
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.hot.frame import Position
from gex_pipeline.lake.recording import KIND_TAGS, Stretch
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Event, Gap, Heartbeat, OptionQuote, tag_of
from gex_pipeline.replay.plan import Plan, Start, Track, is_read, symbols_of
from gex_pipeline.replay.source import Played
from gex_pipeline.replay.tape import Batch, cut

CALENDARS: Final[tuple[sessions.Calendar, ...]] = ("equity", "index", "cme")
SLICE_S: Final = 5
"""Market seconds that are decoded at a time."""
SILENT_S: Final = 5
_NS: Final = sessions.SECOND_NS
_DAY_NS: Final = 86_400 * _NS
_encoder: Final = msgspec.msgpack.Encoder()


class CaptureSource:
    """The capture of one root: `folder` is <root>/capture, `feed` the first half of tape names."""

    def __init__(self, folder: Path, feed: str) -> None:
        self._folder, self._feed = folder, feed

    def tracks(self, plan: Plan) -> tuple[Track, ...]:
        """Return the tapes that the capture of the date makes and the replay needs."""
        found = [self._track(calendar, plan) for calendar in CALENDARS]
        wanted = tuple(track for track in found if track is not None)
        if not any(track.symbols for track in wanted):
            raise ReplayError(str(plan.date), (), plan.symbols, "capture")
        return wanted

    def start(self, tracks: tuple[Track, ...], at_ns: int) -> Start:
        """Return the beginning, whatever the moment."""
        return Start({}, {track.tape: 0 for track in tracks})

    def open(self, tracks: tuple[Track, ...], start: Start, end_ns: int) -> Mapping[str, Played]:
        """Return the tapes, by name; they share one reading of the capture."""
        span = (min(t.first_ns for t in tracks), max(t.last_ns for t in tracks))
        shared = _Shared(read_capture(self._folder, from_ns=span[0], to_ns=span[1]), tracks)
        return {track.tape: CapturedTape(shared, track, end_ns) for track in tracks}

    def _track(self, calendar: sessions.Calendar, plan: Plan) -> Track | None:
        symbols, needed = symbols_of(plan, calendar)
        if not needed:
            return None
        noon_ns = sessions.et_ns(plan.date, 12, 0)
        first_ns = last_ns = 0
        around = read_capture(self._folder, from_ns=noon_ns - _DAY_NS, to_ns=noon_ns + _DAY_NS)
        for frame in around:
            if sessions.session_date(frame.ts_recv_ns, calendar) == plan.date:
                first_ns, last_ns = first_ns or frame.ts_recv_ns, frame.ts_recv_ns
        if not first_ns:
            return None
        return Track(
            f"{self._feed}.{calendar}",
            1,
            2**62,
            first_ns,
            last_ns,
            symbols,
            is_read(plan, calendar),
        )


class CapturedTape:
    """One tape of a capture that is being decoded."""

    def __init__(self, shared: "_Shared", track: Track, end_ns: int) -> None:
        self.track = track
        self.position: Position | None = None
        """Of the newest event handed out."""
        self._end_ns = min(end_ns, track.last_ns + _NS)
        self._shared = shared
        self._stretch: Stretch | None = None
        self._at = 0

    def stamp_at(self, ahead: int) -> int | None:
        """Return the receipt of the event so many places ahead, or of the last one known there."""
        stretch = self._load()
        if stretch is None or int(stretch.recv_ns[self._at]) > self._end_ns:
            return None
        return int(stretch.recv_ns[min(self._at + ahead, len(stretch) - 1)])

    def take(self, until_ns: int) -> list[Batch]:
        """Return the events received up to a moment, as far as they are decoded already."""
        stretch = self._load()
        if stretch is None:
            return []
        end = int(np.searchsorted(stretch.recv_ns, min(until_ns, self._end_ns), side="right"))
        batches = cut(stretch, self._at, end)
        if batches:
            self._at, self.position = end, batches[-1].position
        return batches

    def release(self) -> list[Batch]:
        """Return nothing: the last heartbeat stands behind the last frame."""
        return []

    def close(self) -> None:
        """Nothing is held."""

    def _load(self) -> Stretch | None:
        while self._stretch is None or self._at >= len(self._stretch):
            self._stretch, self._at = self._shared.next(self.track.tape), 0
            if self._stretch is None:
                return None
        return self._stretch


class _Shared:
    """One reading of a capture for all of its tapes: a slice of market time is decoded at once."""

    def __init__(self, frames: Iterator[WireFrame], tracks: tuple[Track, ...]) -> None:
        self._tape_of = {track.tape.partition(".")[2]: track.tape for track in tracks}
        self._ready: dict[str, deque[Stretch]] = {track.tape: deque() for track in tracks}
        self._seqs = dict.fromkeys(self._ready, 0)
        self._noted: list[tuple[int, int]] = []
        self._came = 0
        self._last: WireFrame | None = None
        self._events = _Ordered(replay_capture(self._watched(frames)))
        self._slice_end_ns = 0

    def next(self, tape: str) -> Stretch | None:
        """Return a tape's next stretch, None behind the last."""
        while not self._ready[tape]:
            if not self._decode_slice():
                return None
        return self._ready[tape].popleft()

    def _decode_slice(self) -> bool:
        """Decode the next seconds in which something came; False: nothing is left."""
        first = self._events.peek()
        if first is None:
            return False
        begin_ns = self._slice_end_ns or first // _NS * _NS
        end_ns = (max(first, begin_ns) // _NS + SLICE_S) * _NS
        told: dict[str, list[Event]] = {tape: [] for tape in self._ready}
        for calendar, event in self._events.until(end_ns):
            if tape := self._tape_of.get(calendar):
                told[tape].append(event)
        extra = [*self._beats(begin_ns, end_ns), *self._gaps()]
        for tape, events in told.items():
            self._finish(tape, sorted([*events, *extra], key=lambda event: event.ts_recv_ns))
        self._slice_end_ns = end_ns
        return True

    def _finish(self, tape: str, events: list[Event]) -> None:
        calendar: sessions.Calendar = tape.partition(".")[2]  # type: ignore[assignment] # one of them
        by_date: dict[datetime.date, list[Event]] = {}
        for event in events:
            by_date.setdefault(sessions.session_date(event.ts_recv_ns, calendar), []).append(event)
        for date, own in by_date.items():
            self._ready[tape].append(stretch_of(tape, date, own, self._seqs[tape] + 1))
            self._seqs[tape] += len(own)

    def _watched(self, frames: Iterator[WireFrame]) -> Iterator[WireFrame]:
        """Pass frames on, noting how many came and where some are missing."""
        for frame in frames:
            last = self._last
            if last and last.run == frame.run and frame.number != last.number + 1:
                self._noted.append((last.ts_recv_ns, frame.ts_recv_ns))
            self._came, self._last = self._came + 1, frame
            yield frame

    def _gaps(self) -> list[Event]:
        noted, self._noted = self._noted, []
        return [
            Gap("", to_ns, to_ns, ts_from_ns=from_ns, ts_to_ns=to_ns, cause="capture")
            for from_ns, to_ns in noted
        ]

    def _beats(self, begin_ns: int, end_ns: int) -> list[Event]:
        """Return a heartbeat for the end of each second of a slice."""
        newest_ns = self._events.newest_ns
        stamps = range(begin_ns + _NS, end_ns + 1, _NS)
        return [
            Heartbeat(
                "",
                stamp_ns,
                stamp_ns,
                received=self._came,
                connected=stamp_ns - newest_ns <= SILENT_S * _NS,
            )
            for stamp_ns in stamps
        ]


class _Ordered:
    """Events with a look ahead."""

    def __init__(self, events: Iterator[tuple[sessions.Calendar, Event]]) -> None:
        self.newest_ns = 0
        """Receipt of the newest event taken."""
        self._events = events
        self._next = next(events, None)

    def peek(self) -> int | None:
        """Return the receipt of the next event, None behind the last."""
        return self._next[1].ts_recv_ns if self._next else None

    def until(self, end_ns: int) -> Iterator[tuple[sessions.Calendar, Event]]:
        """Yield the events up to a moment."""
        while self._next is not None and self._next[1].ts_recv_ns <= end_ns:
            found, self._next = self._next, next(self._events, None)
            self.newest_ns = max(self.newest_ns, found[1].ts_recv_ns)
            yield found


def stretch_of(tape: str, date: datetime.date, events: list[Event], first_seq: int) -> Stretch:
    """Return events of one tape as columns, numbered from a seq on."""
    numbered = [
        msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(events, first_seq)
    ]
    rows = [_encoder.encode(event) for event in numbered]
    subjects = [e.underlying if isinstance(e, OptionQuote) else e.symbol for e in numbered]
    names = tuple(dict.fromkeys(subjects))
    code = {name: at for at, name in enumerate(names)}
    kinds = {tag: at for at, tag in enumerate(KIND_TAGS)}
    return Stretch(
        tape,
        1,
        date,
        seq=np.arange(first_seq, first_seq + len(numbered)),
        recv_ns=np.array([event.ts_recv_ns for event in numbered], dtype=np.int64),
        kind=np.array([kinds[tag_of(event)] for event in numbered], dtype=np.int64),
        subject=np.array([code[subject] for subject in subjects], dtype=np.int64),
        names=names,
        data=b"".join(rows),
        ends=np.cumsum([len(row) for row in rows]),
    )
