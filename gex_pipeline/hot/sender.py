"""The sender: brings the spool to the tape in the hot store, each frame once.

It keeps no state: after every connection it asks the server for its last id and goes on from
there. Each transaction is a run of frames and all that is derived from them, whole or not at all.
A server that refuses, for want of memory or of disk, is back-pressure: the spool is the queue.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import redis

from gex_pipeline.errors import CodecError, TapeError
from gex_pipeline.hot.follow import SpoolReader
from gex_pipeline.hot.frame import FrameHeader, Position, claimed_header
from gex_pipeline.hot.holes import without
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.pressure import Pressure, is_back_pressure
from gex_pipeline.hot.projection import Command, Projection
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import RETRY_S, held_ranges, trim
from gex_pipeline.hot.tapewriter import Run, TapeWriter

WAIT_S = 0.25
"""Longest wait for a frame before `stop` is looked at."""
DRAIN_S = 2.0
"""Time that a stop gives what is spooled already."""
SQUEEZED_SHARE = 0.1
"""Of the server's memory, for the ticks and option quotes of one tape where memory is short."""
TIDY_S = 60.0
TIDY_SOON_S = 1.0
"""Between two clean-ups while the disk is nearly full."""
POINTS: Final = ("sender.resynced", "sender.sending", "sender.sent", "sender.tidied")


class SenderState(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a sender, for the status of its service."""

    tape: str
    connected: bool
    held: bool
    """The server's memory is short, or it refuses: the tape waits in the spool."""
    sent_position: str
    unsent: int
    """Events spooled and not sent."""
    sent_frames: int
    sent_events: int
    resyncs: int
    repeats: int
    """Frames that the server had already, byte for byte."""
    vanished: int
    """Times that the tape was gone from a living server."""
    damaged_bytes: int
    """Of the spool, that no frame claims: `holes` of the spool names their events."""
    trimmed: int
    """Entries that went for want of memory, behind every reader."""
    projection_errors: int
    unpublished: int
    """Messages that were too old to publish when their turn came."""
    turn_age_s: float
    """Since the loop last turned: more than a few seconds, and it hangs."""
    problem: str | None


class Sender:
    """Follows one spool; `run` is its loop, in a thread of its own."""

    def __init__(  # noqa: PLR0913 # three stores, and a keyword per rule of the caller
        self,
        client: redis.Redis,
        keys: Keys,
        spool: Spool,
        *,
        publish: bool = True,
        source: str | None = None,
        option_ticks: bool = False,
        ticks_mb: int = 512,
        cursor: Callable[[], int] | None = None,
        folded: Callable[[], Position | None] | None = None,
        retention_days: int | None = None,
    ) -> None:
        """Prepare a sender; it connects in `run` or `pump`.

        With `publish` it keeps `last:`, `ticks:`, `options:`, `depth:` and the channels, naming
        `source` (default: of the tape's name). `cursor` gives the seq that the archive has
        committed for good: a tape that vanished starts again behind it, and segments up to it are
        deleted. `folded` gives the position that every reader has passed: where memory is short
        the tape is trimmed up to it, archived or not. Segments more than `retention_days` older
        than the tape go in any case.
        """
        self._client = client
        self._keys = keys
        self._key = keys.tape(spool.tape)
        self._spool = spool
        self._tape = TapeWriter(client, self._key, spool.tape)
        self._cursor = cursor
        self._retention_days = retention_days
        self._pressure = Pressure(client, self._room_maker(folded))
        source = source or spool.tape.partition(".")[0]
        self._projection = (
            Projection(client, keys, source, option_ticks=option_ticks, ticks_mb=ticks_mb)
            if publish
            else None
        )
        self._reader: SpoolReader | None = None
        self._next: Run | None = None
        self._connected = False
        self._problem: str | None = None
        self._refusal: str | None = None
        self._sent = Position(0, 0)
        self._tidy_at = 0.0
        self._turned_at = time.monotonic()
        self._frames = self._events = self._resyncs = 0
        self._vanished = self._damaged = self._trimmed = self._unreadable = 0

    @property
    def position(self) -> Position:
        """After the newest event that the server has."""
        return self._sent

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set, then what is spooled by then; wait for a server that is away.

        Raises:
            TapeError: the tape is another owner's. Nothing was overwritten; restart the service.
        """
        pause_s = RETRY_S[0]
        while not stop.is_set():
            try:
                if not self._turn():
                    self._wait(stop)
                pause_s = RETRY_S[0]
            except (redis.RedisError, OSError):
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, RETRY_S[1])
        self._drain()
        self._close()

    def pump(self) -> int:
        """Send all that can go now, after a connection if there is none; return the events sent.

        Raises:
            redis.RedisError, OSError: the server is away or refuses; the next call asks it anew.
            TapeError: the tape is another owner's.
        """
        before = self._events
        while self._turn():
            pass
        return self._events - before

    def trim(self, through: Position) -> int:
        """Delete the tape's entries up to a position, none behind it; return how many."""
        return trim(self._client, self._keys, self._spool.tape, through)

    def state(self) -> SenderState:
        """Return the counters."""
        projection = self._projection
        return SenderState(
            tape=self._spool.tape,
            connected=self._connected,
            held=self._pressure.held or self._refusal is not None,
            sent_position=str(self._sent),
            unsent=max(self._spool.last_seq - self._sent.seq, 0),
            sent_frames=self._frames,
            sent_events=self._events,
            resyncs=self._resyncs,
            repeats=self._tape.repeats,
            vanished=self._vanished,
            damaged_bytes=self._damaged + (self._reader.damaged if self._reader else 0),
            trimmed=self._trimmed,
            projection_errors=self._unreadable
            + self._tape.errors
            + (projection.errors if projection else 0),
            unpublished=projection.unpublished if projection else 0,
            turn_age_s=round(time.monotonic() - self._turned_at, 3),
            problem=self._problem or self._refusal,
        )

    # --- the loop -----------------------------------------------------------------------------

    def _turn(self) -> bool:
        """Send the next frames; False: nothing can go now."""
        self._turned_at = time.monotonic()
        try:
            if self._reader is None:
                self._reader = self._resync()
            self._tidy()
            if self._pressure.rises():
                return False
            self._prepare()
            run, self._next = self._next, None
            if run is None:
                return False
            if self._tape.write(run, self._prepare):
                self._account(run)
            else:
                self._vanished += 1
                self._close()
            return True
        except (redis.RedisError, OSError, TapeError) as error:
            self._lost(error)
            raise

    def _wait(self, stop: threading.Event) -> None:
        """Wait for a frame, or for memory."""
        if self._pressure.held or self._reader is None:
            stop.wait(WAIT_S)
        else:
            self._spool.wait(self._reader.after_seq, WAIT_S)

    def _drain(self) -> None:
        """Send what is spooled by now, if the server takes it in time."""
        deadline = time.monotonic() + DRAIN_S
        try:
            while self._turn() and time.monotonic() < deadline:
                pass
        except (redis.RedisError, OSError):  # told in the state; the next start sends it
            return

    def _lost(self, error: Exception) -> None:
        self._close()
        if is_back_pressure(error):
            self._refusal = str(error)
        else:
            self._connected, self._problem = False, str(error)

    def _close(self) -> None:
        if self._reader is not None:
            self._damaged += self._reader.damaged
            self._reader.close()
        self._tape.close()
        self._reader = self._next = None

    # --- where to go on -----------------------------------------------------------------------

    def _resync(self) -> SpoolReader:
        """Go on from the server's last id, or create the tape."""
        end = self._tape.connect()
        if end is None:
            after = self._archived()
        else:
            self._check_owner(end)
            self._check_newest(end)
            after, self._sent = end.seq, end
        self._resyncs += 1
        self._tidy_at = 0.0
        if self._projection is not None:
            self._projection.reconnected()
        self._connected, self._problem = True, None
        sys.audit("gex.point", "sender.resynced")
        return self._spool.reader(after)

    def _check_owner(self, end: Position) -> None:
        own = self._spool.position
        if end.epoch > own.epoch:
            raise TapeError(self._spool.tape, f"its last id is {end}, ours is {own}")
        if end.seq > own.seq:
            raise TapeError(self._spool.tape, f"it goes on to {end}, and our spool ends at {own}")

    def _check_newest(self, end: Position) -> None:
        """See that the tape's newest entry, where it is ours too, is what we spooled."""
        stored = self._tape.entry(end)
        for data in self._spool.read_after(end.seq - 1):
            if stored is not None and _header(data).position == end and data != stored:
                raise TapeError(self._spool.tape, f"entry {end} is not the frame of our spool")
            return

    # --- sending ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Have the next run at hand, if there is one."""
        if self._next is None and self._reader is not None:
            frames = [(_header(data), data) for data in self._reader.read()]
            for hole in self._reader.holes():
                self._spool.holes.find(hole)
            self._next = Run(frames, self._derived(frames)) if frames else None

    def _derived(self, frames: Sequence[tuple[FrameHeader, bytes]]) -> list[Command]:
        if self._projection is None:
            return []
        try:
            return self._projection.commands(frames, self._spool.newest_ns)
        except CodecError:  # the tape carries it all the same; its readers say what is wrong
            self._unreadable += 1
            return []

    def _account(self, run: Run) -> None:
        newest = run.frames[-1][0]
        self._sent, self._refusal = newest.position, None
        self._frames += len(run.frames)
        self._events += run.events
        self._pressure.note(run.size)
        self._spool.release_through(newest.last_seq)
        if self._projection is not None:
            self._projection.published(newest.last_seq)

    # --- housekeeping -------------------------------------------------------------------------

    def _room_maker(self, folded: Callable[[], Position | None] | None) -> Callable[[int], None]:
        """Return what makes room: the tape behind its readers goes, streams beside it shrink."""

        def make_room(memory_bytes: int) -> None:
            if folded is not None and (position := folded()) is not None:
                self._trimmed += self.trim(position)
            if self._projection is not None:
                self._projection.squeeze(int(memory_bytes * SQUEEZED_SHARE))

        return make_room

    def _tidy(self) -> None:
        soon = self._spool.disk_is_short
        if time.monotonic() < self._tidy_at - (TIDY_S - TIDY_SOON_S if soon else 0):
            return
        self._tidy_at = time.monotonic() + TIDY_S
        archived = self._archived()
        self._settle_holes(archived)
        if self._projection is not None:
            self._projection.tidy()
        if archived:
            self._spool.drop_through(archived)
        if self._retention_days is not None:
            self._spool.expire(self._retention_days, archived)
        sys.audit("gex.point", "sender.tidied")

    def _settle_holes(self, archived: int) -> None:
        """Look whether the lake or the tape holds what the spool does not."""
        for hole in self._spool.holes.open:
            taken = held_ranges(self._client, self._key, hole)
            span = hole.first_seq, hole.last_seq
            self._spool.holes.settle(hole, list(without(span, [(0, archived), *taken])))

    def _archived(self) -> int:
        return self._cursor() if self._cursor else 0


def _header(data: bytes) -> FrameHeader:
    header = claimed_header(data)
    assert header is not None  # noqa: S101 # the reader verified it
    return header
