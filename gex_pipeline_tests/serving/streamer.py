"""A streamer's desk beside the API under test: it answers what the test says, on a real store."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from gex_pipeline.gateway.streamer import STREAMER
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.streamer.desk import Answer, Desk
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.synthetic import ASOF_NS

NOW_S = ASOF_NS // SECOND_NS
"""Wall clock of the API under test."""


def beat(store: redis.Redis, ago_s: float = 0.5, now_ns: int = ASOF_NS, **fields: object) -> None:
    """Write a streamer's status, as told so long ago."""
    said: Any = {"state": "streaming", "detail": "", "sign_in": ""} | fields
    said["ts_ns"] = str(now_ns - round(ago_s * SECOND_NS))
    store.delete(KEYS.status(STREAMER))
    store.hset(KEYS.status(STREAMER), mapping=said)


@contextmanager
def desk(store: redis.Redis, answers: dict[str, Answer]) -> Iterator[None]:
    """Answer requests until the block ends."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await Ready(store, KEYS, STREAMER, answers, ready).run()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        loop.close()


class Ready(Desk):
    """A desk that says when it has seen where the stream of requests ends."""

    def __init__(self, *arguments: Any) -> None:
        *others, self._ready = arguments
        super().__init__(*others)

    async def _turn(self, after: str | None) -> str | None:
        found = await super()._turn(after)
        self._ready.set()
        return found


def begun(**fields: object) -> str:
    """What a streamer says to a sign-in that has begun."""
    said = {
        "id": "5f3a",
        "url": "https://vendor.example/v1/oauth/authorize?state=s",
        "expires_in_s": 600,
        "redirect_uri": "https://127.0.0.1:8182",
        "listening": True,
        "problem": None,
    }
    return msgspec.json.encode(said | fields).decode()
