"""Whole chains by REST, round after round: rows for the tape, ranks for the stream."""

import asyncio
import datetime
import logging
import time
from collections.abc import Callable

from gex_pipeline.errors import FeedError, GexError, SignInError
from gex_pipeline.feeds.cachecount import CacheCount
from gex_pipeline.feeds.schwab.answers import ChainPart
from gex_pipeline.feeds.schwab.rest import Missing, Rest
from gex_pipeline.market.sessions import in_session, session_date
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.following import Following

INCOMPLETE = "chain_incomplete"
_CLOSED_TIMES = 10
"""How much longer a round takes while the market is closed."""
_DOWN_SHARE = 0.6
"""Of the rate limit, while the stream is down; the rest is for quotes and the sign-in."""
_MINUTE_S = 60.0
_LOOK_S = 1.0
"""So often it is looked whether the market has opened, or the stream is down."""

log = logging.getLogger(__name__)


class ChainPoll:
    """Asks for the chain of each underlying in turn; faster while the stream is down."""

    def __init__(
        self,
        account: Account,
        following: Following,
        rest: Rest,
        bell: Bell,
        connected: Callable[[], bool],
    ) -> None:
        self.account = account
        self.plan = following.plan
        self.intake = following.intake
        self.following = following
        self.rest = rest
        self.bell = bell
        self.rounds = 0
        self.failures = 0
        self.detail = ""
        self.listed = CacheCount()
        """Of the expirations that stand in while nobody tells them."""
        self._connected = connected
        self._asked = 0
        """Requests of the round so far, or of the last one."""
        self._missing: dict[str, list[str]] = {}
        """Of each chain that is not whole, what of it is missing."""
        self._expirations: dict[str, tuple[datetime.date, tuple[datetime.date, ...]]] = {}

    async def run(self, interval_s: float) -> None:
        """Go round until cancelled; a failure costs its chain one round."""
        while True:
            started_s = time.monotonic()
            self._asked = 0
            for symbol in self.plan.chains:
                await self._try(symbol)
                if not self.rounds:
                    await self.following.choose()  # they stream before the last chain has come
            self.rounds += 1
            await self.following.choose()
            await self._rest_of_round(started_s, interval_s)

    def round_s(self, interval_s: float) -> float:
        """Return how long a round takes now.

        Longer while the market is closed. While it is open and the stream is down, as short as the
        rate limit allows: the chains alone keep the figures young then.
        """
        if not self._open():
            return interval_s * _CLOSED_TIMES
        if self._connected():
            return interval_s
        per_s = _DOWN_SHARE * self.rest.limit.per_minute / _MINUTE_S
        return min(interval_s, self._asked / per_s)

    async def _rest_of_round(self, started_s: float, interval_s: float) -> None:
        """Wait for the next round, but not through an open, nor through the end of the stream."""
        while True:
            left_s = started_s + self.round_s(interval_s) - time.monotonic()
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
            self._tell(symbol, [f"all of it ({error})"])

    async def _chain(self, symbol: str) -> None:
        parts: list[ChainPart] = []
        missing: list[str] = []
        async for found in self.rest.chain(symbol, await self._listed(symbol)):
            self._asked += 1
            if isinstance(found, ChainPart):
                self.intake.chain(symbol, found)
                parts.append(found)
                if not found.complete:
                    missing.append(f"{found.first} to {found.last} (Schwab cut it short)")
            elif isinstance(found, Missing):
                self.intake.missing(symbol, found)
                self._failed(symbol, found.reason)
                missing.append(f"{found.window[0]} to {found.window[-1]} ({found.reason})")
            else:
                self.intake.repeated(symbol, found.part)
        self._tell(symbol, missing)
        if parts:
            await self.following.take(symbol, parts)

    async def _listed(self, symbol: str) -> tuple[datetime.date, ...]:
        """Return the expirations: exchanges list new ones on any day and at any hour.

        While nobody tells them, those of an earlier round of the trading date stand in.
        """
        self._asked += 1
        today = session_date(self.intake.tapes.time.stamp_ns(), calendar_of(symbol))
        day, known = self._expirations.get(symbol, (today, ()))
        try:
            known = await self.rest.expirations(symbol, today)
        except SignInError:
            raise
        except FeedError as error:
            if day != today or not known:
                self.listed.misses += 1
                raise
            self.listed.hits += 1
            self._failed(symbol, str(error))
        else:
            self.listed.fills += 1
            self.listed.evictions += symbol in self._expirations and day != today
        self._expirations[symbol] = today, known
        return known

    def _failed(self, symbol: str, reason: str) -> None:
        self.failures += 1
        self.detail = f"{symbol}: {reason}"
        log.warning("chain of %s", self.detail)

    def _tell(self, symbol: str, missing: list[str]) -> None:
        """Say which chains are not whole, and once all are, that this is over."""
        if missing:
            self._missing[symbol] = missing
        elif self._missing.pop(symbol, None) is None:
            return
        if not self._missing:
            self.detail = ""
            self.bell.still(INCOMPLETE)
            return
        told = "; ".join(f"{name}: {', '.join(its)}" for name, its in self._missing.items())
        self.bell.ring(
            INCOMPLETE,
            "warning",
            f"Chains lack windows of expirations: {told}. Their figures stand on older rows there;"
            " they are asked for again in every round.",
        )

    def _open(self) -> bool:
        try:
            return in_session(self.intake.tapes.time.stamp_ns(), "index")
        except GexError:
            return False
