"""Recording: each complete second of a lane as one frame on a tape of our own, exactly once.

A second is spooled before anything is published of it and before any chain that includes it is
stored. So after a restart, which goes on from the stored chains, the newest second on the tape says
which ones are there already.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import redis

from gex_pipeline.errors import LakeError
from gex_pipeline.hot.frame import MAX_EVENTS, decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import floor_of
from gex_pipeline.lake.parts import read_chain, sync_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market import sessions
from gex_pipeline.market.events import GexSecond

TAPE_SOURCE: Final = "gex"


class Recording(Protocol):
    """Where the seconds of one calendar's lanes go, each once and in order."""

    tape: str
    recorded_ns: int
    """The newest second that is there; 0: none."""

    def write(self, ts_ns: int, seconds: Sequence[GexSecond], /) -> None:
        """Keep a second, unless it is there."""
        ...

    def run(self, stop: threading.Event, /) -> None:
        """Do what keeping takes beside the engine until told to stop."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class Recorder:
    """The one owner of the tape gex.<calendar>; `run` sends what is spooled until it stops."""

    def __init__(
        self, store: redis.Redis, keys: Keys, root: Path, calendar: sessions.Calendar
    ) -> None:
        self.tape = f"{TAPE_SOURCE}.{calendar}"
        self._calendar = calendar
        newest = floor_of(store, keys, self.tape)
        self._paths = LakePaths(root)
        archived = read_chain(self._paths, self.tape)
        self._spool = Spool.open(
            root / "spool" / self.tape,
            self.tape,
            floor_seq=max(newest.seq, archived.cursor),
            floor_epoch=max(newest.epoch, archived.epoch),
        )
        self.recorded_ns = max(_newest_spooled(self._spool), _newest_sent(store, keys, self.tape))
        """The newest second on the tape; 0: none."""
        self._sender = Sender(store, keys, self._spool, publish=False, cursor=self._archived)

    def write(self, ts_ns: int, seconds: Sequence[GexSecond]) -> None:
        """Spool a second, unless it is on the tape."""
        if ts_ns <= self.recorded_ns:
            return
        day = sessions.session_date(ts_ns, self._calendar)
        for start in range(0, len(seconds), MAX_EVENTS):
            self._spool.append(seconds[start : start + MAX_EVENTS], day)
        self.recorded_ns = ts_ns

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        self._sender.run(stop)

    def _archived(self) -> int:
        """Return the last seq that is in the lake for good; 0 while the lake cannot say."""
        try:
            cursor = read_chain(self._paths, self.tape).cursor
        except LakeError:
            return 0
        sync_chain(self._paths, self.tape)  # segments go on the strength of it
        return cursor

    def close(self) -> None:
        """Bring everything to disk and give the spool back."""
        self._spool.close()


def _newest_spooled(spool: Spool) -> int:
    frames = list(spool.read_after(max(spool.last_seq - 1, 0)))
    return decode_frame(frames[-1]).events[-1].ts_recv_ns if frames else 0


def _newest_sent(store: redis.Redis, keys: Keys, tape: str) -> int:
    entries: Any = store.xrevrange(keys.tape(tape), count=1)
    return decode_frame(entries[0][1][b"f"]).events[-1].ts_recv_ns if entries else 0
