"""Schwab's REST API: chains in windows of dates that its gateway lets through."""

import asyncio
import datetime
import itertools
import logging
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from gex_pipeline.errors import ChainFileError, FeedError, SignInError
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.answers import ChainPart, read_expirations, read_part
from gex_pipeline.feeds.schwab.client import renew, told
from gex_pipeline.market.symbology import to_schwab

_OK, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY = 200, 401, 403, 429
_TOO_BIG = frozenset({413, 500, 502, 504})
_PAUSE_S = 60.0
_LONGEST_PAUSE_S = 600.0

Window = tuple[datetime.date, ...]
"""Expirations that are asked for together, in order."""

log = logging.getLogger(__name__)


class TooBigError(FeedError):
    """The gateway cut the answer."""


class UnreadableError(FeedError):
    """The answer is no chain; it is kept as it came."""

    def __init__(self, reason: str, answer: bytes) -> None:
        super().__init__(f"Schwab's answer cannot be read: {reason}")
        self.answer = answer


class Missing(msgspec.Struct, frozen=True):
    """A window of a chain that could not be had."""

    window: Window
    reason: str
    answer: bytes = b""
    """What came and cannot be read, if anything."""


class Repeated(msgspec.Struct, frozen=True):
    """A part that Schwab cut short: it is asked for again in two halves."""

    part: ChainPart


class Rest:
    """A schwab-py client under a rate limit, its refusals turned into our errors."""

    def __init__(self, client: Any, limit: RateLimit) -> None:
        self.client = client
        self.limit = limit
        self.requests = 0
        self._cuts: dict[str, set[datetime.date]] = {}
        """Expirations at which a window starts, by symbol: learned, and kept for the next time."""

    async def expirations(self, symbol: str, today: datetime.date) -> tuple[datetime.date, ...]:
        """Return the listed expirations of a symbol from `today` on: earlier ones are refused."""
        name = to_schwab(symbol)
        data = await self._get(lambda: self.client.get_option_expiration_chain(name))
        try:
            return tuple(day for day in read_expirations(data) if day >= today)
        except ChainFileError as error:
            raise UnreadableError(str(error), data) from error

    async def chain(
        self, symbol: str, expirations: Sequence[datetime.date]
    ) -> AsyncIterator[ChainPart | Repeated | Missing]:
        """Yield a chain part by part; where one cannot be had, its window and the reason.

        A part that the gateway refuses as too big, or that Schwab cut short, is asked for again in
        two halves, and so from then on. If not even one expiration passes, size was not the reason,
        and what was learned from this chain is forgotten.
        """
        known = frozenset(self._cuts.get(symbol, ()))
        waiting = self.windows(symbol, expirations)
        while waiting:
            window = waiting.pop(0)
            try:
                part = await self._part(symbol, window)
            except TooBigError as error:
                part = None
                fact = str(error)
            except FeedError as error:
                if isinstance(error, SignInError):
                    raise
                yield Missing(window, str(error), getattr(error, "answer", b""))
                continue
            if part is not None and (part.complete or len(window) == 1):
                yield part
            elif len(window) > 1:
                waiting[:0] = self._halve(symbol, window)
                if part is not None:
                    yield Repeated(part)
            else:
                self._cuts[symbol] = set(known)
                yield Missing(window, fact)

    def windows(self, symbol: str, expirations: Sequence[datetime.date]) -> list[Window]:
        """Return the windows that cover the expirations, cut where it was learned to."""
        if not expirations:
            return []
        cuts = sorted({bisect_left(expirations, day) for day in self._cuts.get(symbol, ())})
        edges = [0, *(cut for cut in cuts if 0 < cut < len(expirations)), len(expirations)]
        pairs = itertools.pairwise(edges)
        return [tuple(expirations[start:stop]) for start, stop in pairs]

    def _halve(self, symbol: str, window: Window) -> list[Window]:
        middle = len(window) // 2
        self._cuts.setdefault(symbol, set()).add(window[middle])
        return [window[:middle], window[middle:]]

    async def _part(self, symbol: str, window: Window) -> ChainPart:
        first, last = window[0], window[-1]
        data = await self._get(
            lambda: self.client.get_option_chain(
                to_schwab(symbol), from_date=first, to_date=last, include_underlying_quote=True
            )
        )
        try:
            return await asyncio.to_thread(read_part, data, first, last)
        except ChainFileError as error:
            raise UnreadableError(str(error), data) from error

    async def _get(self, ask: Any) -> bytes:
        response = await self._ask(ask)
        if response.status_code == _UNAUTHORIZED:
            async with told():
                await renew(self.client, force=True)
            response = await self._ask(ask)
        if response.status_code == _OK:
            return bytes(response.content)
        raise self._refusal(response)

    async def _ask(self, ask: Any) -> Any:
        await self.limit.acquire()
        self.requests += 1
        async with told():
            return await ask()

    def _refusal(self, response: Any) -> FeedError:
        status = response.status_code
        if status in (_TOO_MANY, _FORBIDDEN):
            pause_s = _pause_s(response.headers.get("Retry-After", ""))
            self.limit.close_for(pause_s)
            return FeedError(f"Schwab refused a request ({status}); none is sent for {pause_s:g} s")
        if status == _UNAUTHORIZED:
            return SignInError("Schwab refuses even a new access token (401)")
        if status in _TOO_BIG:
            return TooBigError(f"Schwab's gateway did not let an answer through ({status})")
        return FeedError(f"Schwab answered a request with status {status}")


def _pause_s(retry_after: str) -> float:
    seconds = float(retry_after) if retry_after.strip().isdigit() else _PAUSE_S
    return min(max(seconds, 1.0), _LONGEST_PAUSE_S)
