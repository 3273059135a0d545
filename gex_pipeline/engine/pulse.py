"""The pulse: renews the lease, tells the status and follows the market clock, once a second.

It stands aside from the engine's loop, so that a long fold costs no lease, and it looks at that
loop: one that hangs gets no pulse, and whoever supervises starts another process.
"""

import secrets
import threading
import time
from contextlib import suppress
from typing import Final

import redis

from gex_pipeline.engine.run import SERVICE, Engine
from gex_pipeline.errors import HotStoreError
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import Lease, Status
from gex_pipeline.market.clock import MarketClock

BEAT_S: Final = 1.0
LEASE_MS: Final = 4_000
"""So long a successor waits for an engine that died."""
HANGS_AFTER_S: Final = 30.0


class Market:
    """The namespace's market time, by the clock that was read last."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self._store, self._keys = store, keys
        self._clock: MarketClock = read_clock(store, keys)

    def refresh(self) -> None:
        """Read the clock again: a simulator moves it, a live one is anchored anew."""
        self._clock = read_clock(self._store, self._keys)

    def now_ns(self) -> int:
        """Return the market time."""
        return self._clock.now_ns(time.monotonic_ns())


class Pulse:
    """Lease and status of an engine; `lost` once another process took the lease."""

    def __init__(self, store: redis.Redis, keys: Keys, market: Market) -> None:
        self.lost = False
        self._patience_s = 2 * LEASE_MS / 1000
        self._market = market
        self._status = Status(store, keys, SERVICE)
        self._lease = Lease(store, keys, SERVICE, secrets.token_hex(8), LEASE_MS)

    def begin(self, stop: threading.Event) -> bool:
        """Take the lease, waiting for an owner that died; False: told to stop meanwhile.

        Raises:
            HotStoreError: another engine is alive.
        """
        deadline_s = time.monotonic() + self._patience_s
        while self._lease.acquire() is None:
            if time.monotonic() > deadline_s:
                raise HotStoreError(
                    "another engine of this namespace is running", "Stop it, or leave it to it."
                )
            if stop.wait(0.2):
                return False
        return True

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Beat until told to stop; then give the lease back."""
        while not stop.is_set():
            with suppress(*UNREACHABLE):  # the hot store restarts: lease and status come back
                self._beat(engine, stop)
            stop.wait(BEAT_S)
        with suppress(*UNREACHABLE):  # then it lapses by itself
            self._lease.release()

    def _beat(self, engine: Engine, stop: threading.Event) -> None:
        if time.monotonic() - engine.turned_s > HANGS_AFTER_S:
            return
        self._market.refresh()
        if not self._lease.renew():
            self.lost = True
            stop.set()
            return
        self._status.beat(engine.status())
