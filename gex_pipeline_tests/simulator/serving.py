"""A running simulator on a free port, and schwab-py pointed at it."""

import asyncio
import contextlib
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from gex_pipeline.simulator.server import SimulatedServer

CONTRACTS = 2000


@contextlib.asynccontextmanager
async def running(root: Path, **settings: Any) -> AsyncIterator[SimulatedServer]:
    """Run a small simulator on any free port; it is gone when the block ends."""
    server = SimulatedServer(0, root=root, **({"contracts": CONTRACTS} | settings))
    stop = asyncio.Event()
    task = asyncio.create_task(server.run(stop))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    try:
        if not task.done():
            yield server
    finally:
        ready.cancel()
        stop.set()
        await task


def import_schwab() -> Any:
    """Import schwab-py without its two known warnings: websockets.legacy and authlib's httpx."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import schwab.auth
        import schwab.client
        import schwab.contrib.util
        import schwab.streaming
    return schwab


class Rewrite(httpx.AsyncHTTPTransport):
    """Sends what is meant for Schwab to the simulator, and changes nothing else."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to this machine."""
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        request.headers["host"] = f"127.0.0.1:{self._port}"
        return await super().handle_async_request(request)


def schwab_client(server: SimulatedServer) -> Any:
    """Return schwab-py's own AsyncClient with the token that the simulator wrote."""
    schwab = import_schwab()
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    wrapped = json.loads((server.root / "tokens" / "schwab_token.json").read_text())
    session = AsyncOAuth2Client(
        "any-key",
        client_secret="any-secret",
        token=wrapped["token"],
        token_endpoint="https://api.schwabapi.com/v1/oauth/token",
        leeway=300,
        transport=Rewrite(server.port),
    )
    metadata = schwab.auth.TokenMetadata(
        wrapped["token"], wrapped["creation_timestamp"], lambda *_args, **_kwargs: None
    )
    return schwab.client.AsyncClient("any-key", session, token_metadata=metadata)
