"""Requests and answers of the simulator's HTTP side: a few lines over ASGI."""

import html
from collections.abc import Awaitable, Callable
from http.client import TOO_MANY_REQUESTS, responses
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from gex_pipeline.simulator.mishaps import Reject

_BODY_LIMIT: Final = 64 * 1024
_DENIED: Final = "You don't have permission to access this server."
_REASONS: Final = {
    401: "Client not authorized",
    429: "Rate limit quota violation. Quota limit exceeded.",
    500: "The market data application is not ready",
}
_PAGE: Final = """<HTML><HEAD>
<TITLE>{status} Access Denied</TITLE>
</HEAD><BODY>
<H1>Access Denied</H1>
{message}<P>
Reference&#32;&#35;18&#46;simulated
</BODY>
</HTML>
"""


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


def rejection(act: Reject) -> Answer:
    """Return how a script has a request refused: by Schwab, its gateway or the host before it."""
    waits = () if act.retry_after_s is None else (("retry-after", str(act.retry_after_s)),)
    if act.html:
        page = _PAGE.format(status=act.status, message=html.escape(act.message or _DENIED))
        return Answer(act.status, page.encode(), (("content-type", "text/html"), *waits))
    title = responses.get(act.status, "Refused")
    text = act.message or _REASONS.get(act.status, title)
    answer = refusal(act.status, title, text)
    if act.status == TOO_MANY_REQUESTS:
        detail = {"errorcode": "policies.ratelimit.QuotaViolation"}
        answer = json_answer({"fault": {"faultstring": text, "detail": detail}}, act.status)
    return Answer(act.status, answer.body, (*answer.headers, *waits))


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
