"""One streamer at a time, on a real server."""

import asyncio

import pytest
import redis

from gex_pipeline.errors import LeaseHeldError
from gex_pipeline.hot.keys import Keys
from gex_pipeline.streamer.presence import Presence
from gex_pipeline_tests.hot.conftest import client, keys, server

__all__ = ["client", "keys", "server"]


def test_pain_8_a_second_streamer_is_refused_before_it_signs_in(
    client: redis.Redis, keys: Keys
) -> None:
    """It would evict the first at Schwab; the message says what to do. One that ended is none."""

    async def run() -> None:
        first, second = Presence(client, keys), Presence(client, keys)
        await first.acquire()
        held = asyncio.create_task(first.keep(None, lambda: {"state": "streaming"}))
        try:
            with pytest.raises(LeaseHeldError, match="Another streamer holds the lease"):
                await second.acquire()
        finally:
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)
        await first.release()
        await second.acquire()
        await second.release()

    asyncio.run(run())
