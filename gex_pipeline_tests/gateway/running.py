"""A gateway that runs, to be asked."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gex_pipeline.gateway.read import Gateway
from gex_pipeline_tests.gateway.market import make_gateway

Answer = TypeVar("Answer")


async def until(happened: Callable[[], bool]) -> None:
    """Return once it happened."""
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 # what it waits for has no event
            await asyncio.sleep(0.05)


def ask(url: str, root: Path, question: Callable[[Gateway], Awaitable[Answer]]) -> Answer:
    """Return what a running gateway on a store answers."""

    async def asked() -> Answer:
        gateway = make_gateway(url, root)
        loop = asyncio.create_task(gateway.run())
        try:
            assert await gateway.begun(20)
            return await question(gateway)
        finally:
            loop.cancel()
            await asyncio.wait({loop})
            await gateway.store.aclose()

    return asyncio.run(asked())
