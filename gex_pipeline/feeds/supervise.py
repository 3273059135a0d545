"""How a connection is kept alive: waits between attempts, and the age of the last sign of life."""

import random
import time
from collections.abc import Callable

FIRST_S = 0.25
_GROWTH = 2.0
_JITTER = 0.5


class Backoff:
    """Waits that start at a quarter of a second and double to a limit, each shortened by chance.

    The chance keeps clients that fell together from coming back together; `reset` is for the moment
    when data flow again, because a connection that opens and dies proves nothing.
    """

    def __init__(self, limit_s: float, chance: Callable[[], float] = random.random) -> None:
        self.limit_s = limit_s
        self.attempts = 0
        self._chance = chance

    def reset(self) -> None:
        """Start again at the shortest wait."""
        self.attempts = 0

    def next_s(self) -> float:
        """Return the next wait, and count the attempt that follows it."""
        step = min(self.attempts, 32)
        self.attempts += 1
        if step == 0:
            return min(FIRST_S, self.limit_s)
        whole_s = min(self.limit_s, FIRST_S * _GROWTH**step)
        return whole_s * (1 - _JITTER * self._chance())


class Silence:
    """The age of the last frame: the only thing that finds a half-open socket."""

    def __init__(self, limit_s: float, mono_s: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._mono_s = mono_s
        self._heard_s = mono_s()

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_s = self._mono_s()

    @property
    def age_s(self) -> float:
        """Time since the last sign of life."""
        return self._mono_s() - self._heard_s

    @property
    def broken(self) -> bool:
        """Whether it has been silent for too long."""
        return self.age_s > self.limit_s
