"""Text frames of the streamer's protocol: answers, notices, heartbeats and data."""

from collections.abc import Mapping
from typing import Final

import msgspec

from gex_pipeline.simulator.services import ADMIN, ASSETS

SUCCESS, LOGIN_DENIED, UNKNOWN, NO_SERVICE = 0, 3, 9, 11
TAKEN, SYMBOL_LIMIT, NO_LOGIN, BAD_FORMAT, STOPPED = 12, 19, 20, 21, 30
FAILED: Final = {"SUBS": 22, "UNSUBS": 23, "ADD": 24, "VIEW": 25}
SUCCEEDED: Final = range(26, 30)
TEXT: Final = {
    LOGIN_DENIED: "Login Denied.: token is invalid or has expired.",
    UNKNOWN: "Unknown failure",
    NO_SERVICE: "Service not available or temporary down.",
    TAKEN: "This Streamer was disconnected because of another connection for this username and"
    " password. Each user may only have one Streamer open at a time.",
    SYMBOL_LIMIT: "Reached symbol limit",
    NO_LOGIN: "Stream connection not found",
    BAD_FORMAT: "Bad command formatting",
    STOPPED: "Stop streaming due to empty subscription",
}

Item = dict[str, object]
Told = list[tuple[str, Item]]
"""Keys with the fields that are new to the connection, by number."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a message."""

    service: str
    command: str
    requestid: str | int = ""
    correl: str = msgspec.field(name="SchwabClientCorrelId", default="")
    parameters: dict[str, str] = {}


class Frame(msgspec.Struct, frozen=True):
    """One text frame, with what it tells of which keys (for the send log)."""

    data: bytes
    ts_ns: int
    told: dict[str, Told] = {}
    last: bool = False
    """The connection closes after it."""
    fault: str = ""
    """What was done to it on its way, for the send log."""


def text_of(code: int, command: str = "") -> str:
    """Return what Schwab says beside a code."""
    outcome = "failed" if code in FAILED.values() else "succeeded"
    return TEXT.get(code, f"{command} command {outcome}" if command else f"code {code}")


def answer_frame(
    request: Request, code: int, ts_ns: int, text: str = "", *, last: bool = False
) -> Frame:
    """Return the answer to a request."""
    answer = {
        "service": request.service,
        "command": request.command,
        "requestid": str(request.requestid),
        "SchwabClientCorrelId": request.correl,
        "timestamp": ts_ns // 1_000_000,
        "content": {"code": code, "msg": text or text_of(code, request.command)},
    }
    return Frame(msgspec.json.encode({"response": [answer]}), ts_ns, last=last)


def notice_frame(code: int, ts_ns: int, text: str = "") -> Frame:
    """Return the notice that ends a connection."""
    notice = {
        "service": ADMIN,
        "timestamp": ts_ns // 1_000_000,
        "content": {"code": code, "msg": text or text_of(code)},
    }
    return Frame(msgspec.json.encode({"notify": [notice]}), ts_ns, last=True)


def heartbeat_frame(ts_ns: int) -> Frame:
    """Return a heartbeat."""
    beat = {"notify": [{"heartbeat": str(ts_ns // 1_000_000)}]}
    return Frame(msgspec.json.encode(beat), ts_ns)


def data_frame(told: Mapping[str, Told], command: str, ts_ns: int) -> Frame:
    """Return what is new of each service."""
    data = [
        {
            "service": service,
            "timestamp": ts_ns // 1_000_000,
            "command": command,
            "content": [_item(service, key, item) for key, item in items],
        }
        for service, items in told.items()
    ]
    return Frame(msgspec.json.encode({"data": data}), ts_ns, dict(told))


def _item(service: str, key: str, item: Item) -> Item:
    asset = ASSETS.get(service)
    if asset is None:
        return item | {"key": key}
    return item | {"key": key, "delayed": False, "assetMainType": asset}
