"""Recording without a spool: each second straight onto a tape of the hot store, for a replay.

What is replayed lies in the lake already. So nothing is written to disk, the tape keeps the newest
frames only, whole chains not at all, and it goes with the namespace.
"""

import threading
from collections.abc import Sequence, Set
from typing import Any, Final

import msgspec
import redis

from gex_pipeline.engine.record import TAPE_SOURCE
from gex_pipeline.exposure.live import Image
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, decode_frame, encode_frame
from gex_pipeline.hot.keys import DAY_S, Keys
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Basis, ChainImage, Event, GexSecond

_MOST_BEFORE: Final = 4
"""Frames that the owner of the namespace may have put there."""
FRAMES_KEPT: Final = 50_000
"""A day's seconds of two underlyings of one calendar."""
_RETRY_S: Final = 0.2


class DirectRecorder:
    """Writes the tape gex.<calendar> of a namespace that one process owns."""

    def __init__(self, store: redis.Redis, keys: Keys, calendar: sessions.Calendar) -> None:
        self.tape = f"{TAPE_SOURCE}.{calendar}"
        self._calendar: sessions.Calendar = calendar
        self._store, self._key = store, keys.tape(self.tape)
        self._before = _before(store, self._key)
        self._seq = self._before[-1].seq if self._before else 0
        self.recorded_ns = self._before[-1].ts_recv_ns if self._before else 0
        """The newest second on the tape; 0: none."""
        self._stopped = threading.Event()

    def write(self, ts_ns: int, events: Sequence[Event]) -> None:
        """Put a second on the tape, unless it is there; a lost server is waited for."""
        if ts_ns <= self.recorded_ns:
            return
        day = sessions.session_date(ts_ns, self._calendar)
        kept = [event for event in events if not isinstance(event, ChainImage)]
        for start in range(0, len(kept), MAX_EVENTS):
            numbered = tuple(
                msgspec.structs.replace(event, seq=seq)
                for seq, event in enumerate(kept[start : start + MAX_EVENTS], self._seq + 1)
            )
            frame = Frame(self.tape, 1, self._seq + 1, numbered[-1].seq, day, numbered)
            self._seq = frame.last_seq
            self._add(frame)
        self.recorded_ns = ts_ns

    def newest_rows(self, symbols: Set[str]) -> list[GexSecond]:
        """Return none: the first second has no change of level."""
        return []

    def newest_images(self, symbols: Set[str]) -> list[Image]:
        """Return none: what is replayed begins where its owner says."""
        return []

    def newest_basis(self) -> list[Basis]:
        """Return what the owner has put on the tape before anything was replayed."""
        return [row for row in self._before if isinstance(row, Basis)]

    def run(self, stop: threading.Event) -> None:
        """Nothing is to be done beside the engine."""
        stop.wait()
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held."""

    def _add(self, frame: Frame) -> None:
        data = encode_frame(frame)
        while not self._stopped.is_set():
            commands = self._store.pipeline(transaction=False)
            commands.xadd(
                self._key, {FIELD: data}, str(frame.position), maxlen=FRAMES_KEPT, approximate=True
            )
            commands.expire(self._key, DAY_S)
            try:
                replies = commands.execute(raise_on_error=False)
            except UNREACHABLE:
                self._stopped.wait(_RETRY_S)
                continue
            refused = replies[0] if isinstance(replies[0], Exception) else None
            if refused is None or "equal or smaller" in str(refused):  # it is there
                return
            self._stopped.wait(_RETRY_S)  # no memory: it may be trimmed meanwhile


def _before(store: redis.Redis, key: str) -> list[Event]:
    entries: Any = store.xrevrange(key, count=_MOST_BEFORE)
    return [event for _, entry in reversed(entries) for event in decode_frame(entry[FIELD]).events]
