"""How long the stream is down, and when a person hears of it."""

import time
from collections.abc import Callable

from gex_pipeline.errors import CalendarError
from gex_pipeline.hot.alerts import Level
from gex_pipeline.market.sessions import Calendar, in_session
from gex_pipeline.streamer.bell import Bell

CRITICAL_S = 60.0
"""An outage of a market that is open is critical after so long."""
_NAME = "stream_down"


class Outage:
    """From the moment that data stop until they flow again."""

    def __init__(
        self, bell: Bell, calendars: frozenset[Calendar], mono_s: Callable[[], float] | None = None
    ) -> None:
        self._bell = bell
        self._calendars = calendars
        self._mono_s = mono_s or time.monotonic
        self._text = ""
        self._since_s: float | None = None

    def begin(self, text: str) -> None:
        """Tell that the stream is down, and why; the time counts from the first reason."""
        self._text = text
        if self._since_s is None:
            self._since_s = self._mono_s()
        self._ring("warning")

    def end(self) -> None:
        """Tell that it is over, or that another alert stands for it."""
        self._since_s = None
        self._bell.still(_NAME)

    def look(self, market_ns: int) -> None:
        """Tell an outage that has lasted, if a market is open now."""
        if self._since_s is None or self._mono_s() - self._since_s < CRITICAL_S:
            return
        if any(_is_open(market_ns, calendar) for calendar in self._calendars):
            self._ring("critical")

    def _ring(self, level: Level) -> None:
        active = self._bell.active.get(_NAME)
        if active is not None and active.level == "critical":
            level = "critical"
        self._bell.ring(_NAME, level, self._text)


def _is_open(ts_ns: int, calendar: Calendar) -> bool:
    try:
        return in_session(ts_ns, calendar)
    except CalendarError:
        return False
