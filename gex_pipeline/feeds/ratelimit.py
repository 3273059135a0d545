"""Requests to a vendor, kept under its rate: a token bucket."""

import asyncio
import time

_MINUTE_S = 60.0
_BURST_SHARE = 0.1


class RateLimit:
    """At most so many requests a minute, a tenth of them at once.

    Waiters go in turn; the queue is as long as the number of tasks that ask.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._burst = max(1.0, per_minute * _BURST_SHARE)
        self._left = self._burst
        self._filled_s = time.monotonic()
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until one more request is allowed, and count it."""
        async with self._turn:
            while (wait_s := self.wait_s(time.monotonic())) > 0:  # noqa: ASYNC110 # it waits for time
                await asyncio.sleep(wait_s)
            self._left -= 1

    def wait_s(self, now_s: float) -> float:
        """Return how long from now the next request must wait."""
        per_s = self.per_minute / _MINUTE_S
        gained = max(0.0, now_s - self._filled_s) * per_s
        self._left = min(self._burst, self._left + gained)
        self._filled_s = max(now_s, self._filled_s)
        return 0.0 if self._left >= 1 else (1 - self._left) / per_s
