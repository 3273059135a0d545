"""What a replay says of itself: a JSON object under the key `session`, on its channel too.

It carries the clock, so that whoever follows the key has the replay's market time at once.
"""

from typing import Any, Final, Literal

import msgspec
import redis

from gex_pipeline.hot.clockstore import boot_id, live_clock
from gex_pipeline.hot.keys import DAY_S, Keys
from gex_pipeline.market.clock import MarketClock

PREFIX: Final = "replay:"
SERVICE: Final = "replay"
VERBS: Final = ("pause", "resume", "seek", "step", "speed", "stop")
SESSION_TTL_S: Final = DAY_S
"""Of every key of a replay's namespace after its last moment."""
LOST_AFTER_NS: Final = 5_000_000_000
"""A replay that said nothing for so long was killed."""

State = Literal["seeking", "running", "paused", "ended", "failed"]


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A replay at one moment."""

    id: str
    date: str
    """The session date that is replayed."""
    mode: str
    """real or simulated: what was recorded."""
    source: str
    symbols: tuple[str, ...]
    tapes: tuple[str, ...]
    state: State
    speed: float | None
    """Market seconds in a second; null: as fast as it goes."""
    market_ns: int
    """Market time when this was said."""
    clock: MarketClock
    boot: str
    """Monotonic time of the clock is that of this boot."""
    start_ns: int
    end_ns: int
    """First and last moment of the replay."""
    lag_s: float
    """Market seconds that the figures are behind the market time."""
    events: int = 0
    events_per_s: float = 0.0
    positions: dict[str, str] = {}
    """The last event of each tape that is in the hot store."""
    generation: int = 1
    """Counts the times that the namespace began anew, after a seek."""
    problem: str | None = None
    ts_ns: int = 0
    """Wall time when this was said."""
    pid: int = 0

    def lost(self, wall_ns: int) -> bool:
        """Whether the process is gone without a word."""
        over = self.state in ("ended", "failed")
        return not over and wall_ns - self.ts_ns > LOST_AFTER_NS

    def now_ns(self, mono_ns: int, wall_ns: int) -> int:
        """Return the replay's market time; it stands once the replay is over or lost."""
        if self.boot != boot_id() or self.lost(wall_ns):
            return self.market_ns
        return min(self.clock.now_ns(mono_ns), max(self.end_ns, self.market_ns))


_decoder: Final = msgspec.json.Decoder(SessionInfo)


def session_keys(session: str, *channels: str) -> Keys:
    """Return the names of a replay's namespace; `channels` are those of ticks and books, if set."""
    return Keys(f"{PREFIX}{session}:", *channels)


def write_session(store: redis.Redis, keys: Keys, info: SessionInfo) -> None:
    """Set the session's key and publish the same bytes."""
    data = msgspec.json.encode(
        msgspec.structs.replace(info, ts_ns=live_clock().anchor_event_ns, boot=boot_id())
    )
    with store.pipeline(transaction=False) as pipe:
        pipe.set(keys.session(), data, ex=SESSION_TTL_S)
        pipe.publish(keys.session(), data)
        pipe.execute()


def read_session(store: redis.Redis, keys: Keys) -> SessionInfo | None:
    """Return what a replay says of itself; None: there is no such replay."""
    data: Any = store.get(keys.session())
    return decode_session(data)


def decode_session(data: bytes | None) -> SessionInfo | None:
    """Return the session of its bytes; None where another version wrote them, or nobody."""
    if not data:
        return None
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None
