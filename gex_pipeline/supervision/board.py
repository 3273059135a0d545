"""What the hot store says of services: who holds a lease, who beats, what is wanted.

When the store does not answer, nothing is concluded from it: no lease, no sign that a service
hangs, and all is wanted as before.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import redis

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.supervision.service import Running

SILENT_S: Final = 30.0
"""Without a beat for so long a service counts as hung."""
_WANTED: Final = "run"


class Board:
    """The services' entries of one namespace."""

    def __init__(self, url: str, prefix: str) -> None:
        self._store = connect(url)
        self._keys = Keys(prefix)
        self._beats: dict[str, tuple[int, Any, float]] = {}
        self._wanted: dict[str, bool] = {}

    def close(self) -> None:
        """Close the connection."""
        self._store.close()

    def answers(self) -> bool:
        """Return whether the store answers."""
        try:
            return bool(self._store.ping())
        except (redis.RedisError, OSError):
            return False

    def mark(self, mode: str) -> str:
        """Write down the mode of a store that has none, and return the one it has."""
        self._store.set(self._keys.mode(), mode, nx=True)
        found: Any = self._store.get(self._keys.mode())
        return bytes(found or b"").decode()

    def leased(self, service: str) -> bool:
        """Return whether somebody holds the lease of a service."""
        return bool(self._ask(lambda: self._store.exists(self._keys.lease(service)), 0))

    def want(self, service: str, *, run: bool) -> None:
        """Write down whether a service should run."""
        self._wanted[service] = run
        self._ask(
            lambda: self._store.hset(self._keys.wanted(service), _WANTED, "1" if run else "0"), None
        )

    def wanted(self, service: str) -> bool:
        """Return whether a service should run; one that nobody wrote of should."""
        kept = self._wanted.get(service, True)
        found = self._ask(
            lambda: self._store.hget(self._keys.wanted(service), _WANTED) != b"0", kept
        )
        self._wanted[service] = bool(found)
        return bool(found)

    def hung(self, running: Running, service: str) -> bool:
        """Return whether the process lives and its beat has stood still for too long."""
        now_s = time.monotonic()
        beat = self._ask(lambda: self._store.hgetall(self._keys.status(service)), None)
        pid, known, since_s = self._beats.get(service, (0, None, now_s))
        if not beat or pid != running.pid or beat != known:
            self._beats[service] = (running.pid, beat, now_s)
            return False
        return now_s - since_s > SILENT_S

    def _ask(self, question: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return question()
        except (redis.RedisError, OSError):
            return otherwise
