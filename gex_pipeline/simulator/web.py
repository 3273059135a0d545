"""Requests and answers of the simulator's HTTP side: a few lines over ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

_BODY_LIMIT = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """What a handler needs of a request; parameters come from the query or the form."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    body: bytes
    headers: dict[str, str]


class Answer(msgspec.Struct, frozen=True):
    """Status, body and headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


Handler = Callable[[Request], Awaitable[Answer]]


def json_answer(value: object, status: int = 200) -> Answer:
    """Return a JSON answer."""
    return Answer(status, msgspec.json.encode(value))


def refusal(status: int, title: str, detail: str) -> Answer:
    """Return an error in the shape of Schwab's market data API."""
    return json_answer(
        {"errors": [{"id": "simulated", "status": status, "title": title, "detail": detail}]},
        status,
    )


async def read_request(
    scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]]
) -> Request:
    """Return the whole request; a body beyond 64 KiB is cut."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")[: _BODY_LIMIT - len(body)]
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=_pairs(scope["query_string"]),
        form=_pairs(body),
        body=body,
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
    )


async def send_answer(answer: Answer, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Send an answer whole."""
    headers = (*answer.headers, ("content-length", str(len(answer.body))))
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})


def _pairs(data: bytes) -> dict[str, str]:
    return dict(parse_qsl(data.decode("latin-1"), keep_blank_values=True))
