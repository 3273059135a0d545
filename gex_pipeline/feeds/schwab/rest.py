"""Schwab's REST API: chains in windows of dates that its gateway lets through, and quotes."""

import asyncio
import datetime
import email.utils
import itertools
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from gex_pipeline.errors import ChainFileError, FeedError, SignInError
from gex_pipeline.feeds.breaker import Breaker
from gex_pipeline.feeds.cachecount import CacheCount
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.answers import ChainPart, read_expirations, read_part
from gex_pipeline.feeds.schwab.client import renew, told
from gex_pipeline.feeds.schwab.journal import ATTEMPT
from gex_pipeline.feeds.schwab.requests import ChainRequest, ExpirationsRequest, QuotesRequest

_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY = 200, 400, 401, 403, 429
_TOO_BIG = frozenset({413, 500, 502, 504})
_BUFFER_OVERFLOW = b"TooBigBody"
_SERVER = 500
_LOOK_S = 0.25
_IMPATIENT_S = 2.0
"""So long an impatient question waits for its turn under the rate limit."""

Window = tuple[datetime.date, ...]
"""Expirations that are asked for together, in order."""


class TooBigError(FeedError):
    """The gateway cut the answer."""


class RefusedError(FeedError):
    """The vendor wants no requests for now, or our rate limit has no room: nothing was sent."""


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


class _Request(Protocol):
    """One of feeds/schwab/requests.py."""

    async def send(self, client: Any) -> Any:
        """Ask by schwab-py's client; return its response."""


class Rest:
    """Asks by a schwab-py client under rate limit and breaker; its refusals become our errors."""

    def __init__(
        self, client: Callable[[], Awaitable[Any]], limit: RateLimit, breaker: Breaker
    ) -> None:
        """Prepare; `client` returns the signed-in client, its token fresh."""
        self.limit = limit
        self.breaker = breaker
        self.requests = 0
        self.learned = CacheCount()
        """Of the cuts below."""
        self._client = client
        self._cuts: dict[str, set[datetime.date]] = {}
        """Expirations at which a window starts, by symbol: learned, and kept for the next time.

        Windows do not grow back: a cut goes with its expiration, so the near windows melt into
        their neighbours within weeks, and a longer try each round would cost a refused 10 MB.
        """

    async def expirations(self, symbol: str, today: datetime.date) -> tuple[datetime.date, ...]:
        """Return the listed expirations of a symbol from `today` on: earlier ones are refused."""
        data = await self._get(ExpirationsRequest(symbol))
        try:
            return tuple(day for day in read_expirations(data) if day >= today)
        except ChainFileError as error:
            raise UnreadableError(str(error), data) from error

    async def quotes(self, symbols: Sequence[str]) -> bytes:
        """Return the answer of /quotes for some canonical symbols; it waits for no long pause.

        Raises:
            RefusedError: it would have to wait; nothing was sent.
            FeedError: Schwab did not answer.
        """
        return await self._get(QuotesRequest(tuple(symbols)), patient=False)

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
                self.learned.evictions += len(self._cuts.get(symbol, set()) - known)
                self._cuts[symbol] = set(known)
                yield Missing(window, fact)

    def windows(self, symbol: str, expirations: Sequence[datetime.date]) -> list[Window]:
        """Return the windows that cover the expirations, cut where it was learned to."""
        if not expirations:
            return []
        self._forget_before(symbol, expirations[0])
        cuts = sorted({bisect_left(expirations, day) for day in self._cuts.get(symbol, ())})
        edges = [0, *(cut for cut in cuts if 0 < cut < len(expirations)), len(expirations)]
        pairs = itertools.pairwise(edges)
        return [tuple(expirations[start:stop]) for start, stop in pairs]

    def _forget_before(self, symbol: str, first: datetime.date) -> None:
        """Let the cuts of expirations go that are over."""
        cuts = self._cuts.get(symbol)
        if not cuts:
            self.learned.misses += 1
            return
        self.learned.hits += 1
        over = {day for day in cuts if day < first}
        cuts -= over
        self.learned.evictions += len(over)

    def _halve(self, symbol: str, window: Window) -> list[Window]:
        middle = len(window) // 2
        self._cuts.setdefault(symbol, set()).add(window[middle])
        self.learned.fills += 1
        return [window[:middle], window[middle:]]

    async def _part(self, symbol: str, window: Window) -> ChainPart:
        first, last = window[0], window[-1]
        data = await self._get(ChainRequest(symbol, first, last))
        try:
            return await asyncio.to_thread(read_part, data, first, last)
        except ChainFileError as error:
            raise UnreadableError(str(error), data) from error

    # --- one question -------------------------------------------------------------------------

    async def _get(self, request: _Request, *, patient: bool = True) -> bytes:
        """Return the body of the answer; with a 401 the access token is renewed and asked again."""
        response = await self._ask(request, patient=patient)
        if response.status_code == _UNAUTHORIZED:
            async with told():
                await renew(await self._client(), force=True)
            attempt = ATTEMPT.set(2)
            try:
                response = await self._ask(request, patient=patient)
            finally:
                ATTEMPT.reset(attempt)
        if response.status_code == _OK:
            return bytes(response.content)
        raise self._refusal(response)

    async def _ask(self, request: _Request, *, patient: bool) -> Any:
        """Send a request once it may be, and tell the breaker what it came back with."""
        client = await self._client()
        await self._pass(patient=patient)
        try:
            self.requests += 1
            async with told():
                response = await request.send(client)
        except SignInError:
            self.breaker.dropped(time.monotonic())
            raise
        except FeedError as error:
            self.breaker.failed(time.monotonic(), str(error))
            raise
        except BaseException:
            self.breaker.dropped(time.monotonic())
            raise
        self._judge(response)
        return response

    async def _pass(self, *, patient: bool) -> None:
        """Wait until breaker and rate limit let a request through; the impatient are told."""
        while not self.breaker.take(time.monotonic()):
            wait_s = self.breaker.wait_s(time.monotonic())
            if not patient:
                raise RefusedError(
                    f"Schwab is left alone for {wait_s:.0f} s more: {self.breaker.reason}"
                )
            await asyncio.sleep(min(max(wait_s, 0.01), _LOOK_S))
        try:
            wait_s = self.limit.wait_s(time.monotonic())
            if wait_s > _IMPATIENT_S and not patient:
                raise RefusedError(
                    f"The rate limit of {self.limit.per_minute} requests a minute is used up",
                    "Ask again in some seconds, or raise SCHWAB_REQUESTS_PER_MINUTE.",
                )
            await self.limit.acquire()
        except BaseException:
            self.breaker.dropped(time.monotonic())
            raise

    def _judge(self, response: Any) -> None:
        status, now_s = response.status_code, time.monotonic()
        if status in (_TOO_MANY, _FORBIDDEN):
            self.breaker.refused(now_s, f"Schwab refused a request ({status})", _pause_s(response))
        elif status >= _SERVER and _BUFFER_OVERFLOW not in response.content:
            self.breaker.failed(now_s, f"Schwab answered with status {status}")
        elif status == _UNAUTHORIZED:
            self.breaker.dropped(now_s)
        else:
            self.breaker.succeeded()

    def _refusal(self, response: Any) -> FeedError:
        status = response.status_code
        if status in (_TOO_MANY, _FORBIDDEN):
            pause_s = self.breaker.wait_s(time.monotonic())
            return RefusedError(
                f"Schwab refused a request ({status}); none is sent for {pause_s:.0f} s"
            )
        if status == _UNAUTHORIZED:
            return SignInError("Schwab refuses even a new access token (401)")
        if status in _TOO_BIG:
            return TooBigError(f"Schwab's gateway did not let an answer through ({status})")
        if status == _BAD_REQUEST:
            return FeedError("Schwab found a parameter wrong (400)", "Please report it.")
        return FeedError(f"Schwab answered a request with status {status}")


def _pause_s(response: Any) -> float | None:
    """Return what Retry-After asks for, in seconds or until a date by the answer's own clock."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        until = email.utils.parsedate_to_datetime(said)
        sent = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError):  # no such date, or one without a zone beside one with
        return None
