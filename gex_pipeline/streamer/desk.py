"""What the streamer is asked for while it runs: requests on its control stream, answered in turn.

The process that holds the vendor's sign-in answers for those that do not: a quote of a symbol that
is not streamed, a new sign-in. While the hot store is away nobody can ask, and nothing stops.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import redis

from gex_pipeline.errors import GexError
from gex_pipeline.hot import control
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.control import Reply, Request
from gex_pipeline.hot.keys import Keys

_POLL_S = 0.05
_AWAY_S = 1.0
MOST_AT_ONCE = 8
"""Requests that are worked on at a time; the stream, a thousand entries long, bounds the others."""

Answer = Callable[[str], Awaitable[str]]
"""From a request's argument to what is said; a GexError is said as a refusal."""

log = logging.getLogger(__name__)


class Desk:
    """Answers requests by their verb; one asked before the start is nobody's any more."""

    def __init__(
        self, client: redis.Redis, keys: Keys, service: str, answers: dict[str, Answer]
    ) -> None:
        self._client = client
        self._keys = keys
        self._service = service
        self._answers = answers
        self._working: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self) -> None:
        """Answer until cancelled."""
        after: str | None = None
        try:
            while True:
                try:
                    after = await self._turn(after)
                except UNREACHABLE:
                    await asyncio.sleep(_AWAY_S)
                else:
                    await asyncio.sleep(_POLL_S)
        finally:
            for task in self._working:
                task.cancel()
            await asyncio.gather(*self._working, return_exceptions=True)

    async def _turn(self, after: str | None) -> str | None:
        """Take what has been asked since; return where to go on."""
        store, keys, service = self._client, self._keys, self._service
        if after is None:
            return await asyncio.to_thread(control.newest, store, keys, service)
        found, after = await asyncio.to_thread(control.requests, store, keys, service, after)
        for request in found:
            task = asyncio.create_task(self._answer(request), name=f"request {request.verb}")
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return after

    async def _answer(self, request: Request) -> None:
        async with self._free:
            said = await self._said(request)
        try:
            await asyncio.to_thread(control.reply, self._client, self._keys, self._service, said)
        except UNREACHABLE:
            log.warning("the hot store is away; a request of %s stays unanswered", request.by)

    async def _said(self, request: Request) -> Reply:
        answer = self._answers.get(request.verb)
        if answer is None:
            known = ", ".join(self._answers)
            return Reply(request.id, ok=False, detail=f"{request.verb!r} is none of {known}.")
        try:
            return Reply(request.id, ok=True, detail=await answer(request.arg))
        except GexError as error:
            return Reply(request.id, ok=False, detail=str(error), code=error.exit_code)
        except Exception:  # a fault of ours: whoever asked is not left to wait
            log.exception("the request %s failed", request.verb)
            detail = f"{request.verb} failed by a fault of ours. See the log of {self._service}."
            return Reply(request.id, ok=False, detail=detail)
