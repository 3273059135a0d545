"""A token endpoint that answers as a test tells it, over a real socket, and counts its calls."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

GOOD = {
    "expires_in": 1800,
    "token_type": "Bearer",
    "scope": "api",
    "refresh_token": "r",
    "access_token": "new",
}
DEAD = {
    "error": "unsupported_token_type",
    "error_description": '400 Bad Request: "{"error_description":"Exception while authenticating'
    ' refresh token","error":"refresh_token_authentication_error"}"',
}


class Said(msgspec.Struct, frozen=True):
    """One answer of the endpoint."""

    status: int
    body: str
    headers: dict[str, str] = {}


Script = Callable[[int], Said | None]
"""From the number of the call, counted from 0, to its answer; None: there is none."""


class Endpoint:
    """What was asked of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.at_s: list[float] = []
        self.forms: list[str] = []

    @property
    def calls(self) -> int:
        """Requests so far."""
        return len(self.at_s)


def ok(**changes: object) -> Said:
    """A token."""
    return Said(200, json.dumps(GOOD | changes))


@asynccontextmanager
async def endpoint(script: Script) -> AsyncIterator[Endpoint]:
    """Serve any path by the script until the block ends."""
    stop = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1])
            for line in head.lower().splitlines()
            if line.startswith("content-length:")
        )
        seen.forms.append((await reader.readexactly(length)).decode())
        seen.at_s.append(time.monotonic())
        said = script(seen.calls - 1)
        if said is None:
            await stop.wait()
        else:
            fields = {"Content-Length": len(said.body), "Connection": "close"} | said.headers
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {said.status} x\r\n{lines}\r\n{said.body}".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    seen = Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        try:
            yield seen
        finally:
            stop.set()
