"""The token bucket: a burst, then the rate, and a pause when the vendor refuses."""

import asyncio
import time

import pytest

from gex_pipeline.feeds.ratelimit import RateLimit


def test_a_tenth_at_once_then_the_rate() -> None:
    """120 a minute: 12 at once, then one each half second."""
    limit = RateLimit(120)

    async def take() -> None:
        for _ in range(12):
            await limit.acquire()

    asyncio.run(take())

    assert limit.wait_s(time.monotonic()) == pytest.approx(0.5, abs=0.45)
