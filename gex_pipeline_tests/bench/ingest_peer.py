"""The peer of the ingest bench: schwab-py's own handlers with orjson, one awaited XADD an event."""

import asyncio
import os
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any, Final

import orjson
import redis.asyncio

from gex_pipeline.feeds.schwab.library import StreamClient, StreamJsonDecoder
from gex_pipeline_tests.bench.ingest_wire import PATHS, preferences
from gex_pipeline_tests.bench.processes import last_core

STREAM: Final = "peer"


class _Orjson(StreamJsonDecoder):  # type: ignore[misc] # schwab-py has no types
    def decode_json_string(self, raw: str) -> Any:
        """Return what orjson makes of a frame."""
        return orjson.loads(raw)


def stream(link: Connection, url: str, port: int) -> None:
    """Sign in, give the pid, and add each item of each frame to a stream, for ever."""
    last_core()
    asyncio.run(_stream(link, url, port))


async def _stream(link: Connection, url: str, port: int) -> None:
    """Handlers collect and the loop awaits: an async handler would cost a task a frame more."""
    client = StreamClient(_signed_in(f"ws://127.0.0.1:{port}{PATHS[1]}"))
    client.set_json_decoder(_Orjson())
    items: list[dict[str, Any]] = []
    client.add_level_one_option_handler(lambda message: items.extend(message["content"]))
    client.add_level_one_equity_handler(lambda message: items.extend(message["content"]))
    store = redis.asyncio.Redis.from_url(url)
    await client.login(websocket_connect_args={"max_size": None})
    link.send(os.getpid())
    while True:
        await client.handle_message()
        for item in items:
            await store.xadd(STREAM, {b"e": orjson.dumps(item)})
        items.clear()


def _signed_in(url: str) -> Any:
    """Return what stands for a client that has a token."""

    async def get() -> Any:
        await asyncio.sleep(0)
        return SimpleNamespace(status_code=200, json=lambda: preferences(url))

    metadata = SimpleNamespace(token={"access_token": "bench"})
    return SimpleNamespace(get_user_preferences=get, token_metadata=metadata)
