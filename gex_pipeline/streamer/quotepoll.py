"""Quotes by REST while the stream is down: shares, indexes and futures, so that the spot moves."""

import asyncio
import logging
import time
from collections.abc import Callable

from gex_pipeline.errors import FeedError, GexError
from gex_pipeline.feeds.schwab.requests import MOST_QUOTES
from gex_pipeline.feeds.schwab.rest import Rest
from gex_pipeline.market.sessions import in_session
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.plan import Plan

GRACE_S = 5.0
"""A stream that is down for a shorter time is not stood in for."""
_SHARE = 0.2
"""Of the rate limit."""
_EACH_S = 2.0
_CLOSED_EACH_S = 60.0
_LOOK_S = 0.5
_ROUNDS_MISSED = 3

log = logging.getLogger(__name__)


class QuotePoll:
    """Stands in for the stream; what it brings says of itself that it was not streamed."""

    def __init__(
        self, rest: Rest, plan: Plan, intake: Intake, connected: Callable[[], bool]
    ) -> None:
        self.polls = 0
        self._rest = rest
        self._symbols = (*plan.equities, *plan.futures)
        self._intake = intake
        self._connected = connected
        self._calendars = {calendar_of(symbol) for symbol in self._symbols}
        self._streamed_s = self._asked_s = time.monotonic()
        self._answered_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether quotes come by REST now, in the place of the stream."""
        if self._connected() or self._answered_s is None:
            return False
        return time.monotonic() - self._answered_s < _ROUNDS_MISSED * self._each_s() + _LOOK_S

    async def run(self) -> None:
        """Look whether the stream is down, and ask while it is, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s = time.monotonic()
            if self._connected():
                self._streamed_s, self._answered_s = now_s, None
            elif now_s - self._streamed_s > GRACE_S and now_s - self._asked_s > self._each_s():
                self._asked_s = now_s
                await self._ask()

    async def _ask(self) -> None:
        try:
            for first in range(0, len(self._symbols), MOST_QUOTES):
                batch = self._symbols[first : first + MOST_QUOTES]
                data = await self._rest.quotes(batch)
                if not self._connected():  # else what the stream has said meanwhile is newer
                    self._intake.quotes(batch, data)
        except FeedError as error:
            log.info("quotes in the place of the stream: %s", error)
            return
        self.polls += 1
        self._answered_s = time.monotonic()

    def _each_s(self) -> float:
        batches = -(-len(self._symbols) // MOST_QUOTES)
        each_s = max(_EACH_S, 60.0 * batches / (_SHARE * self._rest.limit.per_minute))
        return each_s if self._open() else max(each_s, _CLOSED_EACH_S)

    def _open(self) -> bool:
        now_ns = self._intake.tapes.time.stamp_ns()
        try:
            return any(in_session(now_ns, calendar) for calendar in self._calendars)
        except GexError:
            return False
