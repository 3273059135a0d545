"""One connection's conversation in Schwab's streamer protocol, without its socket.

Requests go in as text, frames come out; whoever holds the socket sends them. Codes are those of the
streamer guide; a refused ADD or SUBS is answered twice, as Schwab does.
"""

from collections.abc import Iterator

import msgspec

from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.faults import Faults, refused
from gex_pipeline.simulator.frames import (
    BAD_FORMAT,
    FAILED,
    LOGIN_DENIED,
    NO_LOGIN,
    NO_SERVICE,
    SUCCEEDED,
    SUCCESS,
    SYMBOL_LIMIT,
    Frame,
    Request,
    answer_frame,
    heartbeat_frame,
)
from gex_pipeline.simulator.services import ADMIN, SERVICES
from gex_pipeline.simulator.subscriptions import Subscriptions
from gex_pipeline.simulator.tokens import Mint


class _Message(msgspec.Struct, frozen=True):
    requests: list[Request]


class Conversation:
    """Sign-in, subscriptions, images and updates of one connection."""

    def __init__(self, desk: Desk, mint: Mint, faults: Faults, symbol_limit: int) -> None:
        self.signed_in = False
        self._faults = faults
        self._desk = desk
        self._mint = mint
        self.subscriptions = Subscriptions(desk, symbol_limit)

    def answer(self, text: str) -> Iterator[Frame]:
        """Yield the frames that a message is answered with."""
        try:
            requests = msgspec.json.decode(text, type=_Message).requests
        except msgspec.MsgspecError:
            yield self._response(Request(service=ADMIN, command=""), BAD_FORMAT)
            return
        for request in requests:
            yield from self._answer_one(request)

    def updates(self, count: int, ts_ns: int) -> Frame | None:
        """Return a frame with about so many changed keys; None where nothing is new."""
        return self.subscriptions.updates(count, ts_ns)

    def heartbeat(self) -> Frame:
        """Return a heartbeat."""
        return heartbeat_frame(self._desk.now_ns())

    # --- requests ---------------------------------------------------------------------------------

    def _answer_one(self, request: Request) -> Iterator[Frame]:
        now_ns = self._desk.now_ns()
        if self._faults.loses(request, now_ns):
            return
        refusal = self._faults.refusal(request, now_ns)
        if refusal is None:
            frames = self._usual(request)
        elif refusal.code in SUCCEEDED:
            frames = self._usual(request, refusal.code)
        else:
            frames = refused(request, refusal, now_ns)
        for frame in frames:
            yield from (frame,) if frame.told else self._faults.answers(frame, now_ns)

    def _usual(self, request: Request, success: int = SUCCESS) -> Iterator[Frame]:
        if request.command == "LOGIN":
            yield self._login(request)
        elif not self.signed_in:
            yield self._response(request, NO_LOGIN)
        elif request.command == "LOGOUT":
            yield self._response(request, SUCCESS, "SUCCESS", last=True)
        elif request.service not in SERVICES:
            yield self._response(request, NO_SERVICE)
        elif request.command not in FAILED or not self._is_formed(request):
            yield self._response(request, BAD_FORMAT)
        else:
            yield from self._subscribe(request, success)

    def _login(self, request: Request) -> Frame:
        token = request.parameters.get("Authorization", "")
        denied = self._faults.denies(self._desk.now_ns())
        if denied or self._mint.claim("access", token) is None:
            return self._response(request, LOGIN_DENIED, last=True)
        self.signed_in = True
        return self._response(request, SUCCESS, "server=simulator-1;status=NP")

    def _is_formed(self, request: Request) -> bool:
        fields = request.parameters.get("fields", "0").split(",")
        needed = "fields" if request.command == "VIEW" else "keys"
        return all(map(str.isdecimal, fields)) and bool(request.parameters.get(needed))

    def _subscribe(self, request: Request, success: int) -> Iterator[Frame]:
        if not self.subscriptions.change(request):
            yield self._response(request, SYMBOL_LIMIT)
            yield self._response(request, FAILED[request.command])
            return
        yield self._response(request, success)
        if request.command in ("SUBS", "ADD"):
            yield from self.subscriptions.images(request)

    def _response(
        self, request: Request, code: int, text: str = "", *, last: bool = False
    ) -> Frame:
        return answer_frame(request, code, self._desk.now_ns(), text, last=last)
