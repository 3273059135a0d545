"""Keeping one service alive, a look at a time: adopt what runs, start what does not.

Any number of guards may watch a service, in any process: the service's own claim lets one start
succeed, and all others see what runs and adopt it.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gex_pipeline.supervision.service import Running, Service, find, last_words, start, stop

STEADY_S: Final = 30.0
"""Life after which an end counts as the first one again."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0

Kind = Literal["started", "restarted", "adopted", "ended", "hung", "waiting"]


class Episode(msgspec.Struct, frozen=True):
    """Something that happened to the service."""

    kind: Kind
    words: str
    pid: int | None = None


def never(running: Running | None = None) -> bool:
    """Return that nobody else holds the lease, and that no process hangs."""
    return False


class Guard:
    """One watcher of one service."""

    def __init__(
        self,
        service: Service,
        *,
        by: str,
        leased: Callable[[], bool] = never,
        hung: Callable[[Running], bool] = never,
        patience_s: float = 0.0,
    ) -> None:
        self.service = service
        self.running: Running | None = None
        self.restarts = 0
        self._by, self._leased, self._hung = by, leased, hung
        self._patience_s = patience_s
        self._seen_s = self._ended_s = float("-inf")
        self._early = 0
        self._waiting = False

    def look(self, now_s: float) -> tuple[Episode, ...]:
        """Look once, at a monotonic time, and return what happened."""
        running = find(self.service)
        if running is None:
            return self._nobody(now_s)
        if self.running is None or self.running.pid != running.pid:
            return self._adopt(running, now_s)
        if self._hung(running):
            stop(self.service)
            words = f"{self.service.name} no longer showed signs of life and was ended"
            return (Episode("hung", words, running.pid), *self._nobody(now_s))
        return ()

    def _adopt(self, running: Running, now_s: float) -> tuple[Episode, ...]:
        self.running, self._seen_s, self._waiting = running, now_s, False
        words = (
            f"adopted {self.service.name}, process {running.pid}, started by {running.started_by}"
        )
        return (Episode("adopted", words, running.pid),)

    def _nobody(self, now_s: float) -> tuple[Episode, ...]:
        told = self._tell_end(now_s)
        if now_s - self._ended_s < self._patience_s + self._pause_s():
            return told
        if self.restarts == 0 and not told and self._leased():
            return (*told, *self._wait())
        running = start(self.service, by=self._by)
        if running is None:
            return told
        again = self._ended_s > float("-inf")
        self.restarts += again
        self.running, self._seen_s, self._waiting = running, now_s, False
        kind: Kind = "restarted" if again else "started"
        return (
            *told,
            Episode(kind, f"{kind} {self.service.name}, process {running.pid}", running.pid),
        )

    def _tell_end(self, now_s: float) -> tuple[Episode, ...]:
        if self.running is None:
            return ()
        pid, self.running, self._ended_s = self.running.pid, None, now_s
        self._early = 0 if now_s - self._seen_s > STEADY_S else self._early + 1
        words = f"{self.service.name}, process {pid}, ended; its last words: {_tail(self.service)}"
        return (Episode("ended", words, pid),)

    def _wait(self) -> tuple[Episode, ...]:
        if self._waiting:
            return ()
        self._waiting = True
        return (Episode("waiting", f"another process holds the lease of {self.service.name}"),)

    def _pause_s(self) -> float:
        """Return the back-off: none after the first end, then longer."""
        if self._early <= 1:
            return 0.0
        return min(FIRST_PAUSE_S * 2.0 ** (self._early - 2), LONGEST_PAUSE_S)


def _tail(service: Service) -> str:
    return last_words(service, 1) or "none"
