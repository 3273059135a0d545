"""One connection's conversation in Schwab's streamer protocol, without its socket.

Requests go in as text, frames come out; whoever holds the socket sends them. Codes are those of the
streamer guide; a refused ADD or SUBS is answered twice, as Schwab does.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

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
    Told,
    answer_frame,
    data_frame,
    heartbeat_frame,
)
from gex_pipeline.simulator.services import ADMIN, EQUITIES, FIELD_COUNT, FUTURES, OPTIONS
from gex_pipeline.simulator.telling import OptionTeller, SpotTeller
from gex_pipeline.simulator.tokens import Mint

_IMAGE_ITEMS: Final = 200
_SPOT_SHARE: Final = 0.2
"""Of all updates, at most so many are of underlyings and futures."""


class _Message(msgspec.Struct, frozen=True):
    requests: list[Request]


class Conversation:
    """Sign-in, subscriptions, images and updates of one connection."""

    def __init__(self, desk: Desk, mint: Mint, faults: Faults, symbol_limit: int) -> None:
        self.signed_in = False
        self._faults = faults
        self._desk = desk
        self._mint = mint
        self._limit = symbol_limit
        self._tellers: dict[str, SpotTeller | OptionTeller] = {
            EQUITIES: SpotTeller(desk, EQUITIES),
            FUTURES: SpotTeller(desk, FUTURES),
            OPTIONS: OptionTeller(desk),
        }
        self._keys: dict[str, dict[str, None]] = {service: {} for service in self._tellers}
        self._fields = {name: frozenset(range(FIELD_COUNT[name])) for name in self._tellers}
        self._turn = 0

    @property
    def symbols(self) -> int:
        """Return how many keys are subscribed."""
        return sum(map(len, self._keys.values()))

    def subscribed(self) -> dict[str, list[str]]:
        """Return the keys of each service that has some."""
        return {service: list(keys) for service, keys in self._keys.items() if keys}

    def answer(self, text: str) -> Iterator[Frame]:
        """Yield the frames that a message is answered with."""
        try:
            requests = msgspec.json.decode(text, type=_Message).requests
        except msgspec.MsgspecError:
            yield self._response(Request(service=ADMIN, command=""), BAD_FORMAT)
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
        return data_frame(told, "SUBS", ts_ns) if told else None

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
        elif request.service not in self._tellers:
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
        needs_keys = request.command != "VIEW"
        return all(map(str.isdecimal, fields)) and (
            bool(request.parameters.get("keys")) or not needs_keys
        )

    def _subscribe(self, request: Request, success: int) -> Iterator[Frame]:
        service, command = request.service, request.command
        keys = _listed(request)
        known = self._keys[service]
        after = {"SUBS": dict.fromkeys(keys), "ADD": known | dict.fromkeys(keys)}.get(
            command, known
        )
        if self.symbols - len(known) + len(after) > self._limit:
            yield self._response(request, SYMBOL_LIMIT)
            yield self._response(request, FAILED[command])
            return
        if command == "UNSUBS":
            after = {key: None for key in known if key not in keys}
        self._keys[service] = after
        if "fields" in request.parameters and command != "UNSUBS":
            self._fields[service] = frozenset(map(int, request.parameters["fields"].split(",")))
        yield self._response(request, success)
        if command in ("SUBS", "ADD"):
            yield from self._image(service, command, [key for key in keys if key in after])

    def _image(self, service: str, command: str, keys: list[str]) -> Iterator[Frame]:
        ts_ns = self._desk.now_ns()
        self._tellers[service].forget(keys)
        told = self._tellers[service].tell(keys, self._fields[service], ts_ns)
        for first in range(0, len(told), _IMAGE_ITEMS):
            part = told[first : first + _IMAGE_ITEMS]
            yield data_frame({service: part}, command, ts_ns)

    def _response(
        self, request: Request, code: int, text: str = "", *, last: bool = False
    ) -> Frame:
        return answer_frame(request, code, self._desk.now_ns(), text, last=last)


def _listed(request: Request) -> list[str]:
    return [key.rstrip() for key in request.parameters.get("keys", "").split(",") if key.strip()]
