"""Silence of a connected feed: in session, a calendar whose symbols all stand still is in doubt."""

from time import monotonic

from gex_pipeline.errors import CalendarError
from gex_pipeline.market.sessions import SECOND_NS, Calendar, in_session
from gex_pipeline.streamer.tapes import Tapes


class Quiet:
    """Watches the calendars that the stream holds symbols of; each silence ends as a gap.

    A calendar is silent when nothing of it came for the limit in market time and in real time:
    a market that stands still is not silent, and a fast one has time to speak.
    """

    def __init__(self, tapes: Tapes, calendars: frozenset[Calendar], limit_s: float) -> None:
        self.tapes = tapes
        self._calendars = calendars
        self._limit_s = limit_s
        self._heard: dict[Calendar, tuple[int, float]] = {}
        self._silent: dict[Calendar, int] = {}
        """Since when."""

    def heard(self, calendar: Calendar, ts_ns: int) -> None:
        """Note data of a calendar; they end its silence."""
        self._heard[calendar] = ts_ns, monotonic()
        self._end(calendar, ts_ns)

    def look(self, *, connected: bool) -> dict[Calendar, bool]:
        """Return where data flow now."""
        if not connected:
            self._heard.clear()
            return dict.fromkeys(self._calendars, False)
        now_ns, now_s = self.tapes.time.stamp_ns(), monotonic()
        for calendar in self._calendars:
            self._look_at(calendar, now_ns, now_s)
        others = dict.fromkeys(self.tapes.by_calendar, True)
        return others | dict.fromkeys(self._silent, False)

    def close(self) -> None:
        """Tell the silences that nothing ended."""
        for calendar in list(self._silent):
            self._end(calendar, self.tapes.time.stamp_ns())

    def _look_at(self, calendar: Calendar, now_ns: int, now_s: float) -> None:
        if not _in_session(now_ns, calendar):
            self._heard.pop(calendar, None)
            self._end(calendar, now_ns)
            return
        ts_ns, mono_s = self._heard.setdefault(calendar, (now_ns, now_s))
        market_s = (now_ns - ts_ns) / SECOND_NS
        if min(market_s, now_s - mono_s) > self._limit_s:
            self._silent.setdefault(calendar, ts_ns)

    def _end(self, calendar: Calendar, ts_ns: int) -> None:
        since_ns = self._silent.pop(calendar, None)
        if since_ns is not None:
            self.tapes.note_gap_of(calendar, since_ns, ts_ns, "silence")


def _in_session(ts_ns: int, calendar: Calendar) -> bool:
    try:
        return in_session(ts_ns, calendar)
    except CalendarError:
        return False
