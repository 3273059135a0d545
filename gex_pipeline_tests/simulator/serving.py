"""A running simulator on a free port, schwab-py pointed at it, and a bare streamer client."""

import asyncio
import contextlib
import importlib
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from gex_pipeline.simulator.server import SimulatedServer

CONTRACTS = 2000
TOKEN_ENDPOINT = "https://api.schwabapi.com/v1/oauth/token"  # noqa: S105 # an address
ANSWER_S = 10


@contextlib.asynccontextmanager
async def running(root: Path, **settings: Any) -> AsyncIterator[SimulatedServer]:
    """Run a small simulator on any free port; it is gone when the block ends."""
    server = SimulatedServer(0, root=root, **({"contracts": CONTRACTS} | settings))
    stop = asyncio.Event()
    task = asyncio.create_task(server.run(stop))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        await task
    try:
        yield server
    finally:
        stop.set()
        await task


def import_quietly(name: str) -> Any:
    """Import without schwab-py's two known warnings: websockets.legacy, authlib's httpx."""
    with warnings.catch_warnings():
        importlib.import_module("authlib.deprecate")  # it puts its own filter before ours
        warnings.filterwarnings("ignore", message=r"websockets\.legacy is deprecated")
        warnings.filterwarnings("ignore", message="The httpx module is deprecated")
        return importlib.import_module(name)


class Rewrite(httpx.AsyncHTTPTransport):
    """Sends what is meant for Schwab to the simulator, and changes nothing else."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.refreshes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to this machine."""
        self.refreshes += request.url.path == "/v1/oauth/token"
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        request.headers["host"] = f"127.0.0.1:{self._port}"
        return await super().handle_async_request(request)


@contextlib.asynccontextmanager
async def schwab_client(server: SimulatedServer, *, expired: bool = False) -> AsyncIterator[Any]:
    """Yield schwab-py's own AsyncClient with the token that the simulator wrote."""
    for name in ("schwab.auth", "schwab.client", "schwab.contrib.util", "schwab.streaming"):
        import_quietly(name)
    schwab = importlib.import_module("schwab")
    oauth = import_quietly("authlib.integrations.httpx_client")
    wrapped = json.loads((server.root / "tokens" / "schwab_token.json").read_text())
    if expired:
        wrapped["token"] |= {"access_token": "gone", "expires_at": 1}
    transport = Rewrite(server.port)

    async def keep(*_: object, **__: object) -> None:
        return None

    session = oauth.AsyncOAuth2Client(
        "any-key",
        client_secret="any",  # noqa: S106 # the simulator takes any
        token=wrapped["token"],
        token_endpoint=TOKEN_ENDPOINT,
        update_token=keep,
        leeway=300,
        transport=transport,
    )
    metadata = schwab.auth.TokenMetadata(
        wrapped["token"], wrapped["creation_timestamp"], lambda *_, **__: None
    )
    client = schwab.client.AsyncClient("any-key", session, token_metadata=metadata)
    client.transport = transport
    try:
        yield client
    finally:
        await client.close_async_session()


class Streamer:
    """A streamer client that keeps all frames; no library between it and the wire."""

    def __init__(self, socket: ClientConnection, token: str) -> None:
        self.socket = socket
        self.token = token
        self.data: list[dict[str, Any]] = []

    async def ask(self, service: str, command: str, **parameters: str) -> tuple[int, str]:
        """Send one request and return code and text of its first answer."""
        request = {"service": service, "command": command, "requestid": "1"}
        await self.socket.send(json.dumps({"requests": [request | {"parameters": parameters}]}))
        return await self.response()

    async def response(self) -> tuple[int, str]:
        """Return code and text of the next answer; data on the way are kept."""
        return await self._next("response")

    async def notice(self) -> tuple[int, str]:
        """Return code and text of the next notice that is no heartbeat."""
        return await self._next("notify")

    async def login(self) -> tuple[int, str]:
        """Sign in."""
        return await self.ask("ADMIN", "LOGIN", Authorization=self.token)

    async def listen(self, items: int) -> None:
        """Keep frames until so many items have come in all."""
        while len(self.items()) < items:
            await self._read()

    def items(self, service: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Return (key, fields) of all items so far."""
        named = {"key", "delayed", "assetMainType"}
        return [
            (item["key"], {name: value for name, value in item.items() if name not in named})
            for frame in self.data
            if service in ("", frame["service"])
            for item in frame["content"]
        ]

    async def _next(self, kind: str) -> tuple[int, str]:
        while True:
            for message in (await self._read()).get(kind, []):
                if "content" in message:
                    return message["content"]["code"], message["content"]["msg"]

    async def _read(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), ANSWER_S))
        self.data += frame.get("data", [])
        return frame


@contextlib.asynccontextmanager
async def streamer(server: SimulatedServer) -> AsyncIterator[Streamer]:
    """Yield a connected streamer that has not signed in."""
    wrapped = json.loads((server.root / "tokens" / "schwab_token.json").read_text())
    async with connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None) as socket:
        yield Streamer(socket, wrapped["token"]["access_token"])


async def get(server: SimulatedServer, path: str, **query: str) -> httpx.Response:
    """Return the answer to a plain GET with the simulator's access token."""
    wrapped = json.loads((server.root / "tokens" / "schwab_token.json").read_text())
    headers = {"authorization": f"Bearer {wrapped['token']['access_token']}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        return await client.get(path, params=query, headers=headers)


async def post(server: SimulatedServer, verb: str, body: object = None) -> httpx.Response:
    """Have something happen now."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        return await client.post(f"/control/{verb}", json=body or {})


def sent(server: SimulatedServer) -> list[dict[str, Any]]:
    """Return the lines of the send log."""
    paths = sorted((server.root / "simulator").glob("sendlog-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
