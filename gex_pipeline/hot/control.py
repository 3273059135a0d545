"""Requests to a service and their answers, on the stream `control:<service>`."""

import secrets
import time
from typing import Any, Final, cast

import msgspec
import redis

from gex_pipeline.hot.keys import DAY_S, Keys

KEPT: Final = 1_000
START: Final = "0-0"
_PAUSE_S: Final = 0.02


class Request(msgspec.Struct, frozen=True):
    """What somebody wants of a service."""

    id: str
    verb: str
    arg: str = ""
    by: str = ""
    """Who asks: an API key's id, or the command line."""
    reason: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What the service says to it."""

    answers: str
    """Id of the request."""
    ok: bool
    detail: str = ""
    code: int = 0
    """Of a refusal the exit code of its error: 2 wrong input, 3 a person is needed, 1 not now."""


def new_request(verb: str, arg: str = "", *, by: str, reason: str = "") -> Request:
    """Return a request with an id of its own."""
    return Request(secrets.token_hex(8), verb, arg, by, reason)


def newest(client: redis.Redis, keys: Keys, service: str) -> str:
    """Return the id of the newest entry: what came before it is nobody's any more."""
    entries: Any = client.xrevrange(keys.control(service), count=1)
    return entries[0][0].decode() if entries else START


def ask(client: redis.Redis, keys: Keys, service: str, request: Request) -> str:
    """Put a request on the stream; return the entry's id, behind which the reply will stand."""
    return _add(client, keys, service, msgspec.structs.asdict(request))


def reply(client: redis.Redis, keys: Keys, service: str, answer: Reply) -> None:
    """Put a reply on the stream."""
    fields = msgspec.structs.asdict(answer)
    _add(client, keys, service, fields | {"ok": "1" if answer.ok else "0"})


def requests(
    client: redis.Redis, keys: Keys, service: str, after: str
) -> tuple[list[Request], str]:
    """Return the requests behind an entry, and the id of the entry to go on from."""
    found: list[Request] = []
    for entry_id, fields in _entries(client.xrange(keys.control(service), min=f"({after}")):
        after = entry_id
        if "verb" in fields:
            known = {name: fields.get(name, "") for name in Request.__struct_fields__}
            found.append(Request(**known))
    return found, after


def await_reply(
    client: redis.Redis, keys: Keys, service: str, after: str, request: Request, within_s: float
) -> Reply | None:
    """Return the reply to a request, waiting for it; None: there was none in time."""
    deadline_s = time.monotonic() + within_s
    while True:
        if answer := find_reply(client.xrange(keys.control(service), min=f"({after}"), request):
            return answer
        if time.monotonic() > deadline_s:
            return None
        time.sleep(_PAUSE_S)


def find_reply(entries: object, request: Request) -> Reply | None:
    """Return the reply to a request among entries of the stream."""
    for _, fields in _entries(entries):
        if fields.get("answers") == request.id:
            code = fields.get("code", "")
            return Reply(
                request.id,
                fields.get("ok") == "1",
                fields.get("detail", ""),
                int(code) if code.isdigit() else 0,
            )
    return None


def _add(client: redis.Redis, keys: Keys, service: str, fields: dict[str, Any]) -> str:
    name = keys.control(service)
    with client.pipeline() as pipe:
        pipe.xadd(name, cast("Any", fields), maxlen=KEPT, approximate=True)
        pipe.expire(name, DAY_S)
        return cast("bytes", pipe.execute()[0]).decode()


def _entries(found: object) -> list[tuple[str, dict[str, str]]]:
    rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", found or [])
    return [
        (entry_id.decode(), {name.decode(): value.decode() for name, value in fields.items()})
        for entry_id, fields in rows
    ]
