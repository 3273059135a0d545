"""One connection's conversation in Schwab's streamer protocol, without its socket.

Requests go in as text, frames come out; whoever holds the socket sends them. Codes are those of the
streamer guide; a refused ADD or SUBS is answered twice, as Schwab does.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.fields import EQUITIES, FIELD_COUNT, FUTURES, OPTIONS, SERVICES
from gex_pipeline.simulator.telling import OptionTeller, SpotTeller, Told
from gex_pipeline.simulator.tokens import Mint

SUCCESS, LOGIN_DENIED, NO_SERVICE = 0, 3, 11
TAKEN, SYMBOL_LIMIT, NO_LOGIN, BAD_FORMAT, STOPPED = 12, 19, 20, 21, 30
_FAILED: Final = {"SUBS": 22, "UNSUBS": 23, "ADD": 24, "VIEW": 25}
_ASSETS: Final = {EQUITIES: "EQUITY", OPTIONS: "OPTION", FUTURES: "FUTURE"}
_IMAGE_ITEMS: Final = 200
_SPOT_SHARE: Final = 0.2
"""Of all updates, at most so many are of underlyings and futures."""
TAKEN_TEXT: Final = (
    "This Streamer was disconnected because of another connection for this username and password."
    " Each user may only have one Streamer open at a time."
)
EMPTY_TEXT: Final = "Stop streaming due to empty subscription"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a message."""

    service: str
    command: str
    requestid: str | int = ""
    correl: str = msgspec.field(name="SchwabClientCorrelId", default="")
    parameters: dict[str, str] = {}


class _Message(msgspec.Struct, frozen=True):
    requests: list[Request]


class Frame(msgspec.Struct, frozen=True):
    """One text frame, with what it tells of which keys (for the send log)."""

    data: bytes
    ts_ns: int
    told: dict[str, Told] = {}
    last: bool = False
    """The connection closes after it."""


class Conversation:
    """Sign-in, subscriptions, images and updates of one connection."""

    def __init__(self, desk: Desk, mint: Mint, symbol_limit: int) -> None:
        self.signed_in = False
        self._desk = desk
        self._mint = mint
        self._limit = symbol_limit
        self._tellers: dict[str, SpotTeller | OptionTeller] = {
            EQUITIES: SpotTeller(desk, EQUITIES),
            FUTURES: SpotTeller(desk, FUTURES),
            OPTIONS: OptionTeller(desk),
        }
        self._keys: dict[str, dict[str, None]] = {service: {} for service in SERVICES}
        self._fields = {service: frozenset(range(FIELD_COUNT[service])) for service in SERVICES}
        self._turn = 0

    @property
    def symbols(self) -> int:
        """Return how many keys are subscribed."""
        return sum(map(len, self._keys.values()))

    def answer(self, text: str) -> Iterator[Frame]:
        """Yield the frames that a message is answered with."""
        try:
            requests = msgspec.json.decode(text, type=_Message).requests
        except msgspec.MsgspecError:
            yield self._response(
                Request(service="ADMIN", command=""), BAD_FORMAT, "Bad command formatting"
            )
            return
        for request in requests:
            yield from self._answer_one(request)

    def updates(self, count: int, ts_ns: int, seed: int) -> Frame | None:
        """Return a frame with about so many changed keys; None where nothing is new."""
        spots = [(service, key) for service in (EQUITIES, FUTURES) for key in self._keys[service]]
        told: dict[str, Told] = {}
        share = min(len(spots), max(1, round(count * _SPOT_SHARE)))
        picked = [spots[(self._turn + step) % len(spots)] for step in range(share)]
        self._turn += share
        for service in (EQUITIES, FUTURES):
            keys = [key for of, key in picked if of == service]
            told[service] = self._tellers[service].tell(keys, self._fields[service], ts_ns)
        options = list(self._keys[OPTIONS])
        some = min(len(options), max(count - share, 0))
        dice = np.random.default_rng([seed, ts_ns])
        chosen = (
            [options[place] for place in dice.choice(len(options), some, replace=False).tolist()]
            if some
            else []
        )
        told[OPTIONS] = self._tellers[OPTIONS].tell(chosen, self._fields[OPTIONS], ts_ns)
        told = {service: items for service, items in told.items() if items}
        return _data_frame(told, "SUBS", ts_ns) if told else None

    def heartbeat(self) -> Frame:
        """Return a heartbeat."""
        now_ns = self._desk.now_ns()
        beat = {"notify": [{"heartbeat": str(now_ns // 1_000_000)}]}
        return Frame(msgspec.json.encode(beat), now_ns)

    def farewell(self, code: int, text: str) -> Frame:
        """Return the notice that ends the connection."""
        now_ns = self._desk.now_ns()
        notice = {
            "service": "ADMIN",
            "timestamp": now_ns // 1_000_000,
            "content": {"code": code, "msg": text},
        }
        return Frame(msgspec.json.encode({"notify": [notice]}), now_ns, last=True)

    # --- requests ---------------------------------------------------------------------------------

    def _answer_one(self, request: Request) -> Iterator[Frame]:
        if request.command == "LOGIN":
            yield self._login(request)
        elif not self.signed_in:
            yield self._response(request, NO_LOGIN, "Stream connection not found")
        elif request.command == "LOGOUT":
            yield self._response(request, SUCCESS, "SUCCESS", last=True)
        elif request.service not in SERVICES:
            yield self._response(request, NO_SERVICE, "Service not available or temporary down.")
        elif request.command not in _FAILED or not self._is_formed(request):
            yield self._response(request, BAD_FORMAT, "Bad command formatting")
        else:
            yield from self._subscribe(request)

    def _login(self, request: Request) -> Frame:
        token = request.parameters.get("Authorization", "")
        if self._mint.claim("access", token) is None:
            text = "Login Denied.: token is invalid or has expired."
            return self._response(request, LOGIN_DENIED, text, last=True)
        self.signed_in = True
        return self._response(request, SUCCESS, "server=simulator-1;status=NP")

    def _is_formed(self, request: Request) -> bool:
        fields = request.parameters.get("fields", "0").split(",")
        needs_keys = request.command != "VIEW"
        return all(map(str.isdecimal, fields)) and (
            bool(request.parameters.get("keys")) or not needs_keys
        )

    def _subscribe(self, request: Request) -> Iterator[Frame]:
        service, command = request.service, request.command
        keys = _listed(request)
        known = self._keys[service]
        after = {"SUBS": dict.fromkeys(keys), "ADD": known | dict.fromkeys(keys)}.get(
            command, known
        )
        if self.symbols - len(known) + len(after) > self._limit:
            yield self._response(request, SYMBOL_LIMIT, "Reached symbol limit")
            yield self._response(request, _FAILED[command], f"{command} command failed")
            return
        if command == "UNSUBS":
            after = {key: None for key in known if key not in keys}
        self._keys[service] = after
        if "fields" in request.parameters and command != "UNSUBS":
            self._fields[service] = frozenset(map(int, request.parameters["fields"].split(",")))
        yield self._response(request, SUCCESS, f"{command} command succeeded")
        if command in ("SUBS", "ADD"):
            yield from self._image(service, command, [key for key in keys if key in after])

    def _image(self, service: str, command: str, keys: list[str]) -> Iterator[Frame]:
        ts_ns = self._desk.now_ns()
        self._tellers[service].forget(keys)
        told = self._tellers[service].tell(keys, self._fields[service], ts_ns)
        for first in range(0, len(told), _IMAGE_ITEMS):
            part = told[first : first + _IMAGE_ITEMS]
            yield _data_frame({service: part}, command, ts_ns)

    def _response(self, request: Request, code: int, text: str, *, last: bool = False) -> Frame:
        now_ns = self._desk.now_ns()
        response = {
            "service": request.service,
            "command": request.command,
            "requestid": str(request.requestid),
            "SchwabClientCorrelId": request.correl,
            "timestamp": now_ns // 1_000_000,
            "content": {"code": code, "msg": text},
        }
        return Frame(msgspec.json.encode({"response": [response]}), now_ns, last=last)


def _listed(request: Request) -> list[str]:
    return [key.rstrip() for key in request.parameters.get("keys", "").split(",") if key.strip()]


def _data_frame(told: dict[str, Told], command: str, ts_ns: int) -> Frame:
    data = [
        {
            "service": service,
            "timestamp": ts_ns // 1_000_000,
            "command": command,
            "content": [
                item | {"key": key, "delayed": False, "assetMainType": _ASSETS[service]}
                for key, item in items
            ],
        }
        for service, items in told.items()
    ]
    return Frame(msgspec.json.encode({"data": data}), ts_ns, told)
