"""Whole chains by REST, round after round: rows for the tape, ranks for the stream."""

import asyncio
import datetime
import logging
import time

from gex_pipeline.errors import FeedError, GexError, SignInError
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.answers import ChainPart
from gex_pipeline.feeds.schwab.rest import Missing, Rest
from gex_pipeline.market.sessions import in_session, session_date
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.connection import Wishes
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.plan import Plan, choose, rank

_CLOSED_TIMES = 10
"""How much longer a round takes while the market is closed."""
_LOOK_S = 1.0
"""So often it is looked whether the market has opened."""

log = logging.getLogger(__name__)


class ChainPoll:
    """Asks for the chain of each underlying in turn."""

    def __init__(
        self, account: Account, plan: Plan, intake: Intake, wishes: Wishes, limit: RateLimit
    ) -> None:
        self.account = account
        self.plan = plan
        self.intake = intake
        self.wishes = wishes
        self.limit = limit
        self.rounds = 0
        self.requests = 0
        self.failures = 0
        self.detail = ""
        self._rest: Rest | None = None
        self._weights: dict[str, dict[str, float]] = {symbol: {} for symbol in plan.chains}
        self._expirations: dict[str, tuple[datetime.date, tuple[datetime.date, ...]]] = {}

    async def run(self, interval_s: float) -> None:
        """Go round until cancelled; a failure costs its chain one round."""
        while True:
            started_s = time.monotonic()
            for symbol in self.plan.chains:
                await self._try(symbol)
                if not self.rounds:
                    self._wish()  # the first contracts stream before the last chain has come
            self.rounds += 1
            self._wish()
            await self._rest_of_round(started_s, interval_s)

    async def _rest_of_round(self, started_s: float, interval_s: float) -> None:
        """Wait for the next round: longer while the market is closed, but not through its open."""
        while True:
            times = 1 if self._open() else _CLOSED_TIMES
            left_s = started_s + interval_s * times - time.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, _LOOK_S))

    async def _try(self, symbol: str) -> None:
        try:
            await self._chain(symbol)
        except SignInError as error:
            await self.account.wait_for_person(error)
        except FeedError as error:
            self._failed(symbol, str(error))

    async def _chain(self, symbol: str) -> None:
        rest = await self._ready()
        weights: dict[str, float] = {}
        async for found in rest.chain(symbol, await self._listed(rest, symbol)):
            if isinstance(found, ChainPart):
                await self._take(symbol, found, weights)
            elif isinstance(found, Missing):
                self.intake.missing(symbol, found)
                self._failed(symbol, found.reason)
            else:
                self.intake.repeated(symbol, found.part)
        self.requests = rest.requests
        if weights:
            self._weights[symbol] = weights

    async def _ready(self) -> Rest:
        client = await self.account.client()
        if self._rest is None:
            self._rest = Rest(client, self.limit)
        self._rest.client = client
        return self._rest

    async def _listed(self, rest: Rest, symbol: str) -> tuple[datetime.date, ...]:
        """Return the expirations: exchanges list new ones on any day and at any hour.

        While nobody tells them, those of an earlier round of the trading date stand in.
        """
        today = session_date(self.intake.tapes.time.stamp_ns(), calendar_of(symbol))
        day, known = self._expirations.get(symbol, (today, ()))
        try:
            known = await rest.expirations(symbol, today)
        except SignInError:
            raise
        except FeedError as error:
            if day != today or not known:
                raise
            self._failed(symbol, str(error))
        self._expirations[symbol] = today, known
        return known

    async def _take(self, symbol: str, part: ChainPart, weights: dict[str, float]) -> None:
        """Put a part's rows on the tape under one stamp, and weigh its contracts."""
        stamp_ns = self.intake.chain(symbol, part)
        names, values = await asyncio.to_thread(rank, part, stamp_ns)
        weights.update(zip(names, values.tolist(), strict=True))

    def _failed(self, symbol: str, reason: str) -> None:
        self.failures += 1
        self.detail = f"{symbol}: {reason}"
        log.warning("chain of %s", self.detail)

    def _wish(self) -> None:
        """Choose the contracts to stream anew; room is kept for chains that have not come yet.

        Some more than there is room for: the stream takes as many as other services leave.
        """
        limit = min(self.plan.limit, self.wishes.learned_limit or self.plan.limit)
        room = max(0, limit - self.plan.least)
        if not self.rounds:
            come = sum(map(bool, self._weights.values()))
            room = room * come // max(1, len(self._weights))
        own = self.plan.options
        chosen = [*own, *(each for each in choose(self._weights, room) if each not in own)]
        if chosen and chosen != self.wishes.options:
            self.wishes.options = chosen

    def _open(self) -> bool:
        try:
            return in_session(self.intake.tapes.time.stamp_ns(), "index")
        except GexError:
            return False
