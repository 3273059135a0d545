"""Whether Dagster still evaluates its sensor: without a code server the daemon lives and does not.

Nothing inside Dagster starts a dead code server again, so this is looked at from outside.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gex_pipeline.supervision.service import Running

SILENT_S: Final = 45.0
"""Without an evaluation, which comes every five seconds, for so long the daemon is started anew."""

LOADING_S: Final = 240.0
"""Time that a new daemon has until its first: on a busy machine it loads for a minute."""


class Ticks:
    """The evaluations as the time of a file tells them."""

    def __init__(self, path: Path, mono_s: Callable[[], float] = time.monotonic) -> None:
        self._path, self._mono_s = path, mono_s
        self._pid, self._seen_ns, self._since_s = 0, 0, 0.0
        self._limit_s = LOADING_S

    def hung(self, running: Running) -> bool:
        """Return whether the daemon of this process has evaluated nothing for too long."""
        now_s, newest_ns = self._mono_s(), self._newest_ns()
        if running.pid != self._pid or newest_ns != self._seen_ns:
            self._limit_s = SILENT_S if running.pid == self._pid else LOADING_S
            self._pid, self._seen_ns, self._since_s = running.pid, newest_ns, now_s
        return now_s - self._since_s > self._limit_s

    def _newest_ns(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
