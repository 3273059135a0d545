"""A streamer socket that answers as a test tells it, for schwab-py itself to talk to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Answers = list[dict[str, Any] | None]
"""Frames to send for one request; None closes the socket."""
Script = Callable[[dict[str, Any]], Answers]


TOKEN = "a-secret-access-token"  # noqa: S105 # it opens nothing
CUSTOMER = "a-customer-of-schwab-0815"


class Torn(dict[str, Any]):
    """A frame whose text ends in the middle."""


def response(request: dict[str, Any], code: int, msg: str = "") -> dict[str, Any]:
    """The answer to a request."""
    named = {name: request[name] for name in ("service", "command", "requestid")}
    return {"response": [named | {"content": {"code": code, "msg": msg}}]}


def notice(code: int) -> dict[str, Any]:
    """A notice that ends the stream."""
    return {"notify": [{"service": "ADMIN", "timestamp": 1, "content": {"code": code, "msg": "m"}}]}


def data(service: str, *items: dict[str, Any]) -> dict[str, Any]:
    """A data frame."""
    return {"data": [{"service": service, "timestamp": 5, "command": "SUBS", "content": items}]}


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[Any, list[dict[str, Any]]]]:
    """Yield what stands for a signed-in client, and the requests that come in."""
    seen: list[dict[str, Any]] = []

    async def talk(socket: ServerConnection) -> None:
        try:
            async for text in socket:
                for request in json.loads(text)["requests"]:
                    seen.append(request | {"size": len(text)})
                    for frame in script(request):
                        await (socket.close() if frame is None else socket.send(_text(frame)))
        except ConnectionClosed:
            return

    async with serve(talk, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        yield _client(f"ws://127.0.0.1:{port}/ws"), seen


def _text(frame: dict[str, Any]) -> str:
    text = json.dumps(frame)
    return text[: len(text) // 2] if isinstance(frame, Torn) else text


def _client(url: str) -> Any:
    info = {
        "streamerSocketUrl": url,
        "schwabClientCustomerId": CUSTOMER,
        "schwabClientCorrelId": "i",
        "schwabClientChannel": "N9",
        "schwabClientFunctionId": "APIAPP",
    }

    async def preferences() -> Any:
        await asyncio.sleep(0)
        return SimpleNamespace(status_code=200, json=lambda: {"streamerInfo": [info]})

    metadata = SimpleNamespace(token={"access_token": TOKEN})
    return SimpleNamespace(get_user_preferences=preferences, token_metadata=metadata)
