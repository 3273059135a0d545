"""The gateway through a death of the store: old figures with their age, then new ones."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from gex_pipeline.errors import UnavailableError
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline_tests.gateway.market import fill, live_bytes, make_gateway, publish, snapshots
from gex_pipeline_tests.gateway.running import until
from gex_pipeline_tests.serving.process import free_port


async def follow(gateway: Gateway, first: EmbeddedServer, root: Path, port: int) -> None:
    """Kill the store under a gateway that follows it, and start it again."""
    loop = asyncio.create_task(gateway.run())
    assert await gateway.begun(20)
    before = await gateway.gex("SPX", "all")

    os.kill(int((root / "hot" / "server.pid").read_text()), signal.SIGKILL)
    await until(lambda: not gateway.connected and not first.alive())
    during = await gateway.gex("SPX", "all")
    assert during.image is before.image
    with pytest.raises(UnavailableError, match="gex up"):
        await gateway.gex("SPX", "0dte")  # never read so far

    second = EmbeddedServer()
    with connect(await asyncio.to_thread(second.start, root, port, 64)) as store:
        await until(lambda: gateway.connected)
        publish(store, spot=6010.0)
    after = live_bytes(snapshots(6010.0)["all"])
    entry = await gateway.entry("SPX", "all")
    await until(lambda: entry.value == after)
    assert (await gateway.gex("SPX", "all")).image.value == after
    loop.cancel()
    await gateway.store.aclose()
    await asyncio.to_thread(second.stop)


def test_the_store_dies_and_comes_back(tmp_path: Path) -> None:
    """Nobody acts: what was read stays, what was not says why, and the next publish arrives."""
    port = free_port()
    server = EmbeddedServer()
    url = server.start(tmp_path, port, 64)
    with connect(url) as store:
        fill(store)

    asyncio.run(follow(make_gateway(url, tmp_path), server, tmp_path, port))
