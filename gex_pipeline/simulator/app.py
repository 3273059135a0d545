"""The simulator's one address: OAuth, REST, control and streamer, as an ASGI application."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from gex_pipeline.simulator import oauth, rest
from gex_pipeline.simulator.connection import Floor
from gex_pipeline.simulator.control import Control
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.mishaps import Addressed, Cut, Reject, Stall
from gex_pipeline.simulator.paths import MARKET_DATA, NAME_OF, PATHS
from gex_pipeline.simulator.tokens import Mint
from gex_pipeline.simulator.web import (
    Answer,
    Request,
    read_request,
    refusal,
    rejection,
    send_answer,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_Kind = TypeVar("_Kind", bound=Addressed)
_STREAMER: Final = "/ws"
_MARKET: Final = {
    PATHS["userPreference"]: rest.preferences,
    PATHS["chains"]: rest.chains,
    PATHS["quotes"]: rest.quotes,
    PATHS["expirationchain"]: rest.expirations,
}
_LOOK_AGAIN_S: Final = 0.05
"""Between two looks at whether a stalled request goes on."""


class App:
    """Routes requests; market data needs an access token, control does not."""

    def __init__(self, desk: Desk, mint: Mint, floor: Floor) -> None:
        self._desk = desk
        self._script = desk.market.script
        self._mint = mint
        self._floor = floor
        self._requests: Counter[tuple[str, int]] = Counter()
        self._control = Control(desk, floor, self._requests)
        self._oauth: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/v1/oauth/authorize"): partial(oauth.authorize, mint),
            ("POST", PATHS["token"]): partial(oauth.token, mint),
        }

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(await read_request(scope, receive), receive, send)

    async def _stream(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        is_cut = self._script.runs(Cut, self._desk.now_ns())
        if scope["path"] != _STREAMER or is_cut:
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.accept"})
        await self._floor.serve(receive, send)

    async def _request(self, request: Request, receive: Receive, send: Send) -> None:
        control = self._control.answer(request)
        if control is not None:
            await send_answer(control, send)
        elif await self._is_waited_for(request, receive):
            answer = await self._answer(request)
            self._requests[NAME_OF.get(request.path, request.path), answer.status] += 1
            await send_answer(answer, send)

    async def _answer(self, request: Request) -> Answer:
        reject = self._act(Reject, request)
        if reject is not None:
            return rejection(reject)
        signing = self._oauth.get((request.method, request.path))
        if signing is not None:
            return signing(request)
        market = _MARKET.get(request.path)
        if market is None or request.method != "GET":
            return refusal(404, "Not Found", f"{request.method} {request.path} is not simulated")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._mint.claim("access", token) is None:
            return refusal(401, "Unauthorized", "Client not authorized")
        return await market(self._desk, request)

    async def _is_waited_for(self, request: Request, receive: Receive) -> bool:
        """Wait while the script stalls a request; False where the client has left meanwhile."""
        while self._act(Stall, request) is not None:
            try:
                message = await asyncio.wait_for(receive(), _LOOK_AGAIN_S)
            except TimeoutError:
                continue
            if message["type"] == "http.disconnect":
                return False
        return True

    def _act(self, kind: type[_Kind], request: Request) -> _Kind | None:
        """Return the act of a kind that meets a request."""
        name = NAME_OF.get(request.path)
        acts = self._script.running(kind, self._desk.now_ns())
        return next((act for act in acts if name and _means(act, name)), None)


def _means(act: Addressed, name: str) -> bool:
    return act.path == name or (not act.path and name in MARKET_DATA)
