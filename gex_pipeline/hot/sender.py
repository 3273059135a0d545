"""The sender: brings the spool to the tape in the hot store, each frame once.

It keeps no state: after every connection it asks the server for its last id and goes on from
there. Each transaction is a run of frames and all that is derived from them, whole or not at all.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import redis

from gex_pipeline.errors import TapeError
from gex_pipeline.hot.frame import FrameHeader, Position, decode_frame, read_header
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.projection import Projection
from gex_pipeline.hot.spool import Spool, SpoolReader
from gex_pipeline.hot.tape import FIELD, RETRY_S, tape_end, trim

WAIT_S = 0.25
"""Longest wait for a frame before `stop` is looked at."""
DRAIN_S = 2.0
"""Time that a stop gives what is spooled already."""
MEMORY_CHECK_S = 1.0
TIDY_S = 60.0
TRIM_ABOVE = 0.6
HOLD_ABOVE = 0.8
"""Share of the server's memory above which the tape waits in the spool."""

Outcome = Literal["sent", "vanished"]


class SenderState(msgspec.Struct, frozen=True):
    """Counters of a sender, for the status of its service."""

    tape: str
    connected: bool
    held: bool
    """The server's memory is short: the tape waits in the spool."""
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
    """Of the spool, that no frame claims: their events are a hole of the tape."""
    projection_errors: int
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
    ) -> None:
        """Prepare a sender; it connects in `run`.

        With `publish` it keeps `last:`, `ticks:`, `options:`, `depth:` and the channels, naming
        `source` (default: of the tape's name). `cursor` gives the seq that the archive has
        committed for good: a tape that vanished starts again behind it, and segments up to it are
        deleted. `folded` gives the position that every reader has passed: where memory is short
        the tape is trimmed up to it, archived or not.
        """
        self._client = client
        self._keys = keys
        self._key = keys.tape(spool.tape)
        self._spool = spool
        self._cursor = cursor
        self._folded = folded
        self._projection = (
            Projection(
                client,
                keys,
                source or spool.tape.partition(".")[0],
                option_ticks=option_ticks,
                ticks_mb=ticks_mb,
            )
            if publish
            else None
        )
        self._reader: SpoolReader | None = None
        self._create = False
        self._connected = self._held = False
        self._problem: str | None = None
        self._sent = Position(0, 0)
        self._memory_at = self._tidy_at = 0.0
        self._turned_at = time.monotonic()
        self._frames = self._events = self._resyncs = self._repeats = 0
        self._vanished = self._damaged = self._projection_errors = 0

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set, then what is spooled by then; wait for a server that is away.

        Raises:
            TapeError: the tape is another owner's. Nothing was overwritten; restart the service.
        """
        pause_s = RETRY_S[0]
        while not stop.is_set():
            try:
                self._resync()
                pause_s = RETRY_S[0]
                self._send_until(stop)
            except (redis.RedisError, OSError) as error:
                self._lost(error)
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, RETRY_S[1])
            except TapeError as error:
                self._lost(error)
                raise
        self._close()

    def trim(self, through: Position) -> int:
        """Delete the tape's entries up to a position, none behind it; return how many."""
        return trim(self._client, self._keys, self._spool.tape, through)

    def state(self) -> SenderState:
        """Return the counters."""
        return SenderState(
            self._spool.tape,
            self._connected,
            self._held,
            str(self._sent),
            max(self._spool.last_seq - self._sent.seq, 0),
            self._frames,
            self._events,
            self._resyncs,
            self._repeats,
            self._vanished,
            self._damaged + (self._reader.damaged if self._reader else 0),
            self._projection_errors,
            round(time.monotonic() - self._turned_at, 3),
            self._problem,
        )

    # --- where to go on -----------------------------------------------------------------------

    def _resync(self) -> None:
        """Go on from the server's last id, or create the tape."""
        end = tape_end(self._client, self._key)
        self._create = end is None
        if end is None:
            after = self._cursor() if self._cursor else 0
        else:
            self._check_owner(end)
            self._check_newest(end)
            after, self._sent = end.seq, end
        self._close()
        self._reader = self._spool.reader(after)
        self._resyncs += 1
        self._connected, self._problem = True, None

    def _check_owner(self, end: Position) -> None:
        own = self._spool.position
        if end.epoch > own.epoch:
            raise TapeError(self._spool.tape, f"its last id is {end}, ours is {own}")
        if end.seq > own.seq:
            raise TapeError(self._spool.tape, f"it goes on to {end}, and our spool ends at {own}")

    def _check_newest(self, end: Position) -> None:
        """See that the tape's newest entry, where it is ours too, is what we spooled."""
        stored = self._entry(end)
        for data in self._spool.read_after(end.seq - 1):
            if stored is not None and _header(data).position == end and data != stored:
                raise TapeError(self._spool.tape, f"entry {end} is not the frame of our spool")
            return

    def _entry(self, position: Position) -> bytes | None:
        rows: Any = self._client.xrange(self._key, min=str(position), max=str(position))
        return rows[0][1].get(FIELD) if rows else None

    # --- sending ------------------------------------------------------------------------------

    def _send_until(self, stop: threading.Event) -> None:
        """Send as frames come; return after `stop`, or when the tape is gone."""
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            if stop.is_set() and deadline is None:
                deadline = time.monotonic() + DRAIN_S
            frames = self._next(wait_s=0 if deadline else WAIT_S)
            if deadline and not frames:
                return
            if frames and self._transact(frames) == "vanished":
                self._vanished += 1
                return

    def _next(self, wait_s: float) -> list[bytes]:
        """Return the next frames; none where memory is short or nothing came."""
        self._turned_at = time.monotonic()
        assert self._reader is not None  # noqa: S101 # set by _resync
        if self._short_of_memory():
            self._spool.wait(self._spool.last_seq, wait_s)
            return []
        frames = self._reader.read()
        if not frames and wait_s:
            self._tidy()
            self._spool.wait(self._reader.after_seq, wait_s)
        return frames

    def _transact(self, frames: Sequence[bytes]) -> Outcome:
        headers = [_header(data) for data in frames]
        with self._client.pipeline(transaction=True) as pipe:
            for header, data in zip(headers, frames, strict=True):
                self._xadd(pipe, header.position, data)
            if self._projection is not None:
                self._projection.add(pipe, [decode_frame(data) for data in frames])
            replies = pipe.execute(raise_on_error=False)
        for header, data, reply in zip(headers, frames, replies, strict=False):
            if reply is None:  # FLUSHALL or DEL on a living connection
                return "vanished"
            if isinstance(reply, Exception):
                self._accept(header.position, data, reply)
        self._account(headers, replies[len(headers) :])
        return "sent"

    def _xadd(self, pipe: Any, position: Position, data: bytes) -> None:
        pipe.xadd(self._key, {FIELD: data}, id=str(position), nomkstream=not self._create)
        self._create = False

    def _accept(self, position: Position, data: bytes, reply: Exception) -> None:
        """Take a refused frame for a repeat, if the server has the very same bytes."""
        if "equal or smaller" not in str(reply):
            raise reply
        stored = self._entry(position)
        if stored is None:  # trimmed meanwhile: the server's last id says where to go on
            raise redis.ConnectionError(f"The tape went on past {position} without us")
        if stored != data:
            raise TapeError(self._spool.tape, f"entry {position} is not the frame of our spool")
        self._repeats += 1

    def _account(self, headers: Sequence[FrameHeader], derived: Sequence[object]) -> None:
        newest = headers[-1]
        self._sent = newest.position
        self._frames += len(headers)
        self._events += sum(header.last_seq - header.first_seq + 1 for header in headers)
        self._projection_errors += sum(isinstance(reply, Exception) for reply in derived)
        self._spool.release_through(newest.last_seq)
        if self._projection is not None:
            self._projection.published(newest.last_seq)

    # --- housekeeping -------------------------------------------------------------------------

    def _short_of_memory(self) -> bool:
        """Look once a second; trim where memory is short, hold the tape where it is very short."""
        if time.monotonic() >= self._memory_at:
            self._memory_at = time.monotonic() + MEMORY_CHECK_S
            info: Any = self._client.info("memory")
            share = info["used_memory"] / info["maxmemory"] if info.get("maxmemory") else 0.0
            if share > TRIM_ABOVE and self._folded and (position := self._folded()) is not None:
                self.trim(position)
            self._held = share > HOLD_ABOVE
        return self._held

    def _tidy(self) -> None:
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_S
        if self._projection is not None:
            self._projection.tidy()
        if self._cursor is not None:
            self._spool.drop_through(self._cursor())

    def _lost(self, error: Exception) -> None:
        self._turned_at = time.monotonic()
        self._connected = False
        self._problem = str(error)

    def _close(self) -> None:
        if self._reader is not None:
            self._damaged += self._reader.damaged
            self._reader.close()
        self._reader = None


def _header(data: bytes) -> FrameHeader:
    header = read_header(data)
    assert header is not None  # noqa: S101 # the reader verified it
    return header
