"""Live push as Server-Sent Events: each change of a figure, at the reader's own pace.

A reader that is slower than the figures gets the newest, never a queue of old ones. Between changes
an `age` event each second says how old the figure is; an address that reads nothing for a second
and a half has lost us. A key that is revoked ends the stream.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gex_pipeline.errors import UnavailableError
from gex_pipeline.gateway.read import Gateway, Snapshot
from serving.errors import make_problem, problem_of

BEAT_S: Final = 1.0
MOST_STREAMS: Final = 200
_RETRY: Final = b"retry: 1500\n\n"


class Streams:
    """How many readers there are; one too many is refused."""

    def __init__(self) -> None:
        self.open = 0

    def check(self) -> None:
        """Refuse a reader too many.

        Raises:
            UnavailableError: there are as many as one process serves.
        """
        if self.open >= MOST_STREAMS:
            raise UnavailableError(
                "streams", f"{MOST_STREAMS} streams are open.", "Close some, or try again later."
            )


async def snapshots(
    gateway: Gateway,
    streams: Streams,
    valid: Callable[[], Awaitable[bool]],
    subject: tuple[str, str],
    per_s: float,
) -> AsyncIterator[bytes]:
    """Yield the events of a symbol and scope until the reader, the key or the server goes."""
    streams.open += 1
    try:
        yield _RETRY
        sent: bytes | None = None
        while not gateway.closing:
            if not await _still(valid):
                yield _event("problem", _REVOKED)
                return
            change, event, sent = await _next_event(gateway, subject, sent)
            yield event
            await change(per_s)
    finally:
        streams.open -= 1


async def _next_event(
    gateway: Gateway, subject: tuple[str, str], sent: bytes | None
) -> tuple[Callable[[float], Awaitable[None]], bytes, bytes | None]:
    """Return how to wait for the next event, this one, and which snapshot the reader has now."""
    try:
        entry = await gateway.changes(*subject)
        version = entry.version

        async def change(per_s: float) -> None:
            pause_s = min(1 / per_s, BEAT_S)
            await asyncio.sleep(pause_s)
            await entry.wait(version, BEAT_S - pause_s)

        snapshot = await gateway.gex(*subject)
    except UnavailableError as error:
        return _beat, _event("problem", msgspec.json.encode(problem_of(error))), None
    if snapshot.image.value is sent:
        return change, _event("age", msgspec.json.encode(_age(snapshot))), sent
    return change, _event("gex", snapshot.encode()), snapshot.image.value


async def _beat(_: float) -> None:
    await asyncio.sleep(BEAT_S)


def _age(snapshot: Snapshot) -> dict[str, Any]:
    return snapshot.stamped


async def _still(valid: Callable[[], Awaitable[bool]]) -> bool:
    """Whether the key holds; a store that does not answer revokes nothing."""
    try:
        return await valid()
    except UnavailableError:
        return True


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


_REVOKED: Final = msgspec.json.encode(
    make_problem(HTTPStatus.UNAUTHORIZED, "The key was revoked. Open a new link: gex open", "key")
)
