"""Memory of the hot store as a sender feels it: it makes room, and where that fails it waits.

The tape is the one that waits: `gex:`, `chain:` and all else keep writing.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import redis

TRIM_ABOVE = 0.6
"""Share of the server's memory above which the tape is trimmed behind its readers."""
HOLD_ABOVE = 0.8
"""Share of the server's memory above which the tape waits in the spool."""
CHECK_S = 1.0
CHECK_SHARE: Final = 0.02
"""Of the server's memory, sent since the last look: then it is time for another."""
_NO_LIMIT: Final = 1 << 62
_REFUSALS: Final = ("OOM ", "MISCONF", "NOREPLICAS", "BUSY ", "TRYAGAIN", "CLUSTERDOWN")


class Pressure:
    """Looks at the server once a second, and after every two percent of its memory sent."""

    def __init__(self, client: redis.Redis, make_room: Callable[[int], None]) -> None:
        """Prepare it; `make_room` is told the server's memory in bytes."""
        self.held = False
        self._client = client
        self._make_room = make_room
        self._look_at = 0.0
        self._sent_bytes = 0
        self._check_bytes = 0
        self._most = 0

    def note(self, sent_bytes: int) -> None:
        """Take note of what was sent."""
        self._sent_bytes += sent_bytes

    def rises(self) -> bool:
        """Return whether the tape has to wait."""
        now_s = time.monotonic()
        if now_s >= self._look_at or self._sent_bytes > self._check_bytes:
            self._look_at, self._sent_bytes = now_s + CHECK_S, 0
            if self._share() > TRIM_ABOVE:
                self._make_room(self._most)
                self.held = self._share() > HOLD_ABOVE
            else:
                self.held = False
        return self.held

    def _share(self) -> float:
        info: Any = self._client.info("memory")
        most = self._most = int(info.get("maxmemory") or 0)
        self._check_bytes = int(most * CHECK_SHARE) if most else _NO_LIMIT
        return info["used_memory"] / most if most else 0.0


def is_back_pressure(error: Exception) -> bool:
    """Return whether a server that lives refuses for now: memory, disk, a script that runs."""
    refused = isinstance(error, redis.ResponseError)
    text = str(error)
    return refused and (
        isinstance(error, redis.exceptions.OutOfMemoryError)
        or any(word in text for word in _REFUSALS)
    )
