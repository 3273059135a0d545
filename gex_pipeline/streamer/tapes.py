"""The tapes of one source: events wait a few milliseconds, then a frame of them is spooled.

Each tape keeps its ledger: what the socket received is added to it from outside, what is spooled
here. Its counts go on the tape behind all events that they count, so that a kill leaves the events
of some seconds uncounted at most, and never an event counted that is not there.
"""

import asyncio
import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gex_pipeline.errors import CodecError
from gex_pipeline.hot.disk import ALERT_PERCENT, STOP_PERCENT
from gex_pipeline.hot.frame import MAX_EVENTS, Position, decode_frame
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.telling import tell_holes
from gex_pipeline.market.codec import Row
from gex_pipeline.market.events import ChainHeader, Event, Gap, Heartbeat, LedgerCount
from gex_pipeline.market.sessions import Calendar, session_date
from gex_pipeline.quality.ledger import Ledger, counted, table_of
from gex_pipeline.streamer.markettime import MarketTime

CALENDARS: tuple[Calendar, ...] = ("equity", "index", "cme")
FLUSH_S = 0.005
LEDGER_NS = 10 * 1_000_000_000
"""Market time between two settlements of a ledger."""
_MINUTE_NS = 60 * 1_000_000_000
_TAIL = 4_096
"""Events read back at the start, to see when the stream last lived; more where it did not."""
_FURTHER = 8


def tape_name(calendar: Calendar) -> str:
    """Return the tape of a calendar: schwab.index."""
    return f"schwab.{calendar}"


class Tape:
    """One tape on its way to the spool: the buffer holds events of one session date."""

    def __init__(self, spool: Spool, calendar: Calendar) -> None:
        self.spool = spool
        self.calendar: Calendar = calendar
        self.ledger = Ledger()
        self.refused = 0
        """Events that no frame could hold."""
        self._waiting: list[Event | Row] = []
        self._day = datetime.date.min
        self._minute = -1
        self._settled = -1

    def put(self, event: Event) -> None:
        """Take an event; a full frame, or what is of the minute before, is spooled first."""
        self.put_all((event,), event.ts_recv_ns)

    def put_all(self, events: Iterable[Event | Row], stamp_ns: int) -> None:
        """Take events that came at once."""
        self._turn(stamp_ns)
        self._waiting.extend(events)
        while len(self._waiting) >= MAX_EVENTS:
            self._spool_frame()

    def flush(self) -> None:
        """Spool what waits."""
        if self._waiting:
            self._spool_frame()

    def _spool_frame(self) -> None:
        """Spool the oldest events that wait, as many as a frame holds."""
        events, self._waiting = self._waiting[:MAX_EVENTS], self._waiting[MAX_EVENTS:]
        try:
            self._written(self.spool.append(events, self._day).events)
        except CodecError:
            self._one_by_one(events)

    def settle(self, ts_ns: int) -> None:
        """Put the ledger's counts behind all events so far, those of another date on that date."""
        self._turn(ts_ns)
        self.flush()
        for count in self.ledger.settle(ts_ns):
            self.put(count)

    def settle_when_due(self, ts_ns: int) -> None:
        """Do so once every few seconds of market time."""
        if ts_ns // LEDGER_NS != self._settled:
            self._settled = ts_ns // LEDGER_NS
            self.settle(ts_ns)

    def tell_holes(self, ts_ns: int, *, last: bool) -> None:
        """Spool a gap for each hole of the spool that was not told."""
        tell_holes(self.spool, ts_ns, session_date(ts_ns, self.calendar), last=last)

    def last_alive_ns(self) -> int | None:
        """Return when the newest event came that shows a connection; None: the tape is new.

        Where none does, as far back as the spool goes, when the oldest came.
        """
        tail = _TAIL
        while True:
            newest_ns = oldest_ns = None
            after = max(0, self.spool.last_seq - tail)
            for data in self.spool.read_after(after):
                for event in decode_frame(data).events:
                    oldest_ns = event.ts_recv_ns if oldest_ns is None else oldest_ns
                    newest_ns = event.ts_recv_ns if _shows_stream(event) else newest_ns
            if newest_ns is not None or not after:
                return oldest_ns if newest_ns is None else newest_ns
            tail *= _FURTHER

    def last_ns(self) -> int:
        """Return the newest stamp on the tape; 0: there is none."""
        stamps = [0]
        for data in self.spool.read_after(max(0, self.spool.last_seq - MAX_EVENTS)):
            stamps.extend(event.ts_recv_ns for event in decode_frame(data).events)
        return max(stamps)

    def _turn(self, ts_ns: int) -> None:
        """Begin a minute: the counts of those before stand behind their events, on their date."""
        minute = ts_ns // _MINUTE_NS
        if minute == self._minute:
            return
        self.flush()
        over_ns = (self._minute + 1) * _MINUTE_NS - 1
        counts = self.ledger.settle(max(over_ns, 0), before_ns=minute * _MINUTE_NS)
        if counts:
            self.spool.append(counts, self._day)
        self._minute, self._day = minute, session_date(ts_ns, self.calendar)

    def _one_by_one(self, events: Iterable[Event | Row]) -> None:
        """Spool the events that can be, when one of a frame cannot."""
        for event in events:
            try:
                self._written(self.spool.append([event], self._day).events)
            except CodecError:
                self.refused += 1
                if table := table_of(event):
                    stamp_ns = self._minute * _MINUTE_NS
                    self.ledger.add("rejected", table, stamp_ns, reason="codec")

    def _written(self, events: Sequence[Event]) -> None:
        """Count what is spooled; all of it is of one minute."""
        for table, count in counted(events).items():
            self.ledger.add("written", table, events[0].ts_recv_ns, count)


class Tapes:
    """The tapes of the three calendars, their heartbeats and gaps."""

    def __init__(self, spools: dict[Calendar, Spool], time: MarketTime) -> None:
        self.time = time
        self.by_calendar = {calendar: Tape(spool, calendar) for calendar, spool in spools.items()}
        self._waiting = asyncio.Event()
        for tape in self.by_calendar.values():
            time.not_before(tape.last_ns())

    def put(self, calendar: Calendar, event: Event) -> None:
        """Take an event; it is spooled within milliseconds."""
        self.by_calendar[calendar].put(event)
        self._waiting.set()

    def put_all(self, calendar: Calendar, events: Iterable[Event | Row], stamp_ns: int) -> None:
        """Take events of one tape that came at once."""
        self.by_calendar[calendar].put_all(events, stamp_ns)
        self._waiting.set()

    def flush(self) -> None:
        """Spool all that waits."""
        self._waiting.clear()
        for tape in self.by_calendar.values():
            tape.flush()

    async def keep_flushing(self) -> None:
        """Spool what waits, at most 5 ms after it came."""
        while True:
            await self._waiting.wait()
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def beat(self, connected: Mapping[Calendar, bool]) -> None:
        """Close the market second on every tape: later events have later stamps."""
        ts_ns = self.time.close_second_ns()
        for calendar, tape in self.by_calendar.items():
            tape.settle_when_due(ts_ns)
            received = tape.ledger.received
            flows = connected.get(calendar, False)
            tape.put(Heartbeat("", ts_ns, ts_ns, received=received, connected=flows))
        self.flush()
        self.tell_holes()

    def tell_holes(self, *, last: bool = False) -> None:
        """Say what the spools lost and nobody else has; `last`: they are about to be closed."""
        for tape in self.by_calendar.values():
            if tape.spool.untold(last=last):
                tape.tell_holes(self.time.stamp_ns(), last=last)

    def settle(self) -> None:
        """Spool all that waits, and the counts of it."""
        ts_ns = self.time.stamp_ns()
        for tape in self.by_calendar.values():
            tape.settle(ts_ns)
        self.flush()

    def note_gap(self, from_ns: int, to_ns: int, cause: str) -> None:
        """Say on every tape that nothing was seen from then until then."""
        for calendar in self.by_calendar:
            self.note_gap_of(calendar, from_ns, to_ns, cause)

    def note_gap_of(self, calendar: Calendar, from_ns: int, to_ns: int, cause: str) -> None:
        """Say so on one tape."""
        tape = self.by_calendar[calendar]
        tape.put(_gap(min(from_ns, to_ns), to_ns, cause))
        tape.flush()

    def note_restart(self) -> int | None:
        """Say on every tape how long its owner was away, until the stamp that is returned.

        None: all tapes are new.
        """
        ts_ns = self.time.stamp_ns()
        known = False
        for tape in self.by_calendar.values():
            from_ns = tape.last_alive_ns()
            if from_ns is not None:
                known = True
                tape.put(_gap(min(from_ns, ts_ns), ts_ns, "restart"))
        self.flush()
        return ts_ns if known else None

    def close(self) -> None:
        """Spool what waits and give the folders back."""
        self.settle()
        for tape in self.by_calendar.values():
            tape.spool.close()


def open_spools(
    root: Path,
    floors: Mapping[str, Position],
    *,
    fsync_ms: int,
    archived: Mapping[str, int] | None = None,
    alert_percent: float = ALERT_PERCENT,
    stop_percent: float = STOP_PERCENT,
) -> dict[Calendar, Spool]:
    """Return the open spools of the three tapes; `floors` is what others know of them, by tape.

    Up to the seqs of `archived` they are not looked through for damage.

    Raises:
        SpoolHeldError: another process streams into this root.
    """
    spools: dict[Calendar, Spool] = {}
    try:
        for calendar in CALENDARS:
            name = tape_name(calendar)
            floor = floors.get(name, Position(0, 0))
            spools[calendar] = Spool.open(
                root / "spool" / name,
                name,
                fsync_ms=fsync_ms,
                floor_seq=floor.seq,
                floor_epoch=floor.epoch,
                archived_seq=(archived or {}).get(name, 0),
                alert_percent=alert_percent,
                stop_percent=stop_percent,
            )
    except BaseException:
        for spool in spools.values():
            spool.close()
        raise
    return spools


def _shows_stream(event: Event) -> bool:
    """Whether an event says that the stream lived: what was asked for does not."""
    if isinstance(event, Heartbeat):
        return event.connected
    asked = isinstance(event, ChainHeader) or not getattr(event, "streamed", True)
    return not asked and not isinstance(event, LedgerCount)


def _gap(from_ns: int, to_ns: int, cause: str) -> Gap:
    return Gap("", to_ns, to_ns, ts_from_ns=from_ns, ts_to_ns=to_ns, cause=cause)
