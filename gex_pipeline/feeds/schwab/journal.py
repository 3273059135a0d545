"""Every request to Schwab: logged and counted, with nothing in it that is secret.

A query, a body and headers are never looked at: tokens and codes stand there.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import msgspec

ATTEMPT: ContextVar[int] = ContextVar("schwab_attempt", default=1)
"""Which try of one question a request is; whoever asks again sets it."""
_MOST_PATHS = 32
_OTHER = "other"
_BAD = 400

log = logging.getLogger(__name__)


class PathCount(msgspec.Struct):
    """Requests of one method and path."""

    by_status: dict[str, int] = {}
    """2xx, 4xx, …; "failed": no answer came."""
    ms: float = 0.0
    """Real milliseconds of all of them together."""


class Journal:
    """Counts by method and path; a path beyond the first 32 counts as another."""

    def __init__(self) -> None:
        self.paths: dict[str, PathCount] = {}

    async def send(self, request: Any, send: Callable[[], Awaitable[Any]]) -> Any:
        """Send a request and note what came of it."""
        began_s = time.monotonic()
        status: int | None = None
        try:
            response = await send()
            status = response.status_code
            return response
        finally:
            self._note(request.method, request.url.path, status, time.monotonic() - began_s)

    def _note(self, method: str, path: str, status: int | None, took_s: float) -> None:
        name = f"{method} {path}"
        if name not in self.paths and len(self.paths) >= _MOST_PATHS:
            name = _OTHER
        count = self.paths.setdefault(name, PathCount())
        kind = "failed" if status is None else f"{status // 100}xx"
        count.by_status[kind] = count.by_status.get(kind, 0) + 1
        count.ms = round(count.ms + took_s * 1000, 1)
        level = logging.INFO if status is None or status >= _BAD else logging.DEBUG
        said = "no answer" if status is None else status
        log.log(
            level,
            "%s %s: %s in %.0f ms, attempt %d",
            method,
            path,
            said,
            took_s * 1000,
            ATTEMPT.get(),
        )
