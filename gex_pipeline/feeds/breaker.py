"""A vendor that refuses or fails again and again is left alone, then tried by one request first.

closed: everything passes. open: nothing does until a pause is over. half_open: one request, the
probe, is under way; what it comes back with closes the breaker, or opens it for longer.
"""

from typing import Literal

State = Literal["closed", "open", "half_open"]

FAILURES = 5
"""In a row: then it opens by itself."""
FIRST_PAUSE_S = 15.0
REFUSED_PAUSE_S = 60.0
"""After a refusal that does not say for how long."""
LONGEST_PAUSE_S = 600.0


class Breaker:
    """Counts what requests come back with; every `now_s` is monotonic time.

    Each request that was let through is told of once: succeeded, failed, refused or dropped.
    """

    def __init__(self, failures: int = FAILURES) -> None:
        self.state: State = "closed"
        self.reason = ""
        """Why it is not closed."""
        self.opened = 0
        """Times that it opened."""
        self._most = failures
        self._in_a_row = 0
        self._until_s = 0.0
        self._pause_s = 0.0

    def take(self, now_s: float) -> bool:
        """Return whether a request may be sent now; the first one after the pause is the probe."""
        if self.state == "open" and now_s >= self._until_s:
            self.state = "half_open"
            return True
        return self.state == "closed"

    def wait_s(self, now_s: float) -> float:
        """Return how long the next request must wait at least; 0 too while the probe is out."""
        return max(0.0, self._until_s - now_s) if self.state == "open" else 0.0

    def succeeded(self) -> None:
        """Close: the vendor answers."""
        self.state, self.reason = "closed", ""
        self._in_a_row = 0
        self._pause_s = 0.0

    def failed(self, now_s: float, reason: str) -> None:
        """Count a failure; the probe's, and one too many in a row, open it."""
        self._in_a_row += 1
        if self.state == "half_open" or self._in_a_row >= self._most:
            self._open(now_s, reason, self._longer_s(FIRST_PAUSE_S))

    def refused(self, now_s: float, reason: str, pause_s: float | None) -> float:
        """Open at once for the time that the vendor asks for, if it says one; return the pause."""
        if pause_s is None:
            pause_s = self._longer_s(REFUSED_PAUSE_S)
        self._open(now_s, reason, min(max(pause_s, 1.0), LONGEST_PAUSE_S))
        return self._until_s - now_s

    def dropped(self, now_s: float) -> None:
        """Learn nothing of a request: it was given up. The next one is the probe then."""
        if self.state == "half_open":
            self.state, self._until_s = "open", now_s

    def _longer_s(self, first_s: float) -> float:
        return min(max(first_s, 2 * self._pause_s), LONGEST_PAUSE_S)

    def _open(self, now_s: float, reason: str, pause_s: float) -> None:
        if self.state == "closed":
            self.opened += 1
        self.state, self.reason = "open", reason
        self._until_s = max(self._until_s, now_s + pause_s)
        self._pause_s = pause_s
