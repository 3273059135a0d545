"""The simulator's one address: OAuth, REST, control and streamer, as an ASGI application."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from gex_pipeline.errors import ScriptError
from gex_pipeline.market.clock import clock_to_mapping
from gex_pipeline.simulator import oauth, rest
from gex_pipeline.simulator.acts import VERBS, Act, AnyAct, Cut, read_act, read_script
from gex_pipeline.simulator.connection import Floor
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.tokens import Mint
from gex_pipeline.simulator.web import (
    Answer,
    Request,
    json_answer,
    read_request,
    refusal,
    send_answer,
)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_STREAMER: Final = "/ws"
_MARKET: Final = {
    "/trader/v1/userPreference": rest.preferences,
    "/marketdata/v1/chains": rest.chains,
    "/marketdata/v1/quotes": rest.quotes,
    "/marketdata/v1/expirationchain": rest.expirations,
}


class App:
    """Routes requests; market data needs an access token, control does not."""

    def __init__(self, desk: Desk, mint: Mint, floor: Floor) -> None:
        self._desk = desk
        self._script = desk.market.script
        self._mint = mint
        self._floor = floor
        self._control: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/control/clock"): self._clock,
            ("GET", "/control/roll"): self._roll,
            ("GET", "/control/dump"): self._dump,
            ("GET", "/control/state"): self._state,
            ("POST", "/control/hold"): partial(self._hold, is_held=True),
            ("POST", "/control/release"): partial(self._hold, is_held=False),
            ("GET", "/control/script"): self._acts,
            ("POST", "/control/script"): self._play,
            **{("POST", f"/control/{verb}"): partial(self._act, verb) for verb in VERBS},
            ("GET", "/v1/oauth/authorize"): partial(oauth.authorize, mint),
            ("POST", "/v1/oauth/token"): partial(oauth.token, mint),
        }

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        elif scope["type"] == "http":
            await send_answer(await self._answer(await read_request(scope, receive)), send)

    async def _stream(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        is_cut = self._script.runs(Cut, self._desk.now_ns())
        if scope["path"] != _STREAMER or is_cut:
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "websocket.accept"})
        await self._floor.serve(receive, send)

    async def _answer(self, request: Request) -> Answer:
        control = self._control.get((request.method, request.path))
        if control is not None:
            return control(request)
        market = _MARKET.get(request.path)
        if market is None or request.method != "GET":
            return refusal(404, "Not Found", f"{request.method} {request.path} is not simulated")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._mint.claim("access", token) is None:
            return refusal(401, "Unauthorized", "Client not authorized")
        return await market(self._desk, request)

    def _clock(self, request: Request) -> Answer:
        return json_answer(clock_to_mapping(self._desk.clock()))

    def _roll(self, request: Request) -> Answer:
        """Answer with the clock that follows at the next close: anchor_mono_ns says when."""
        self._desk.clock()
        after = self._desk.timeline.roll()
        return json_answer(None if after is None else clock_to_mapping(after))

    def _dump(self, request: Request) -> Answer:
        symbol = request.query.get("symbol", "").lstrip("$").upper()
        view = request.query.get("view", "told")
        if symbol not in OPTIONABLE or view not in ("told", "now"):
            return refusal(400, "Bad Request", f"symbol is one of {OPTIONABLE}, view told or now")
        return Answer(200, self._desk.dump(symbol, told=view == "told"))

    def _hold(self, request: Request, *, is_held: bool) -> Answer:
        self._desk.is_held = is_held
        return self._state(request)

    def _play(self, request: Request) -> Answer:
        return self._add(request, lambda: read_script(request.body))

    def _act(self, verb: str, request: Request) -> Answer:
        return self._add(request, lambda: [read_act(verb, request.body)])

    def _add(self, request: Request, read: Callable[[], list[AnyAct]]) -> Answer:
        """Take acts in; of those that cannot be, the answer says why."""
        try:
            self._script.add(read(), self._desk.now_ns())
        except ScriptError as error:
            return refusal(400, "Bad Request", str(error))
        return self._acts(request)

    def _acts(self, request: Request) -> Answer:
        """Answer with all acts and when they run, UTC nanoseconds."""
        return json_answer(self._script.spans)

    def _state(self, request: Request) -> Answer:
        now_ns = self._desk.now_ns()
        return json_answer(
            {
                "market_ns": now_ns,
                "held": self._desk.is_held,
                "streaming": self._floor.served is not None,
                "connections": self._floor.connections,
                "items_sent": self._desk.log.items,
                "skipped_s": self._floor.skipped_s,
                "acts": [type(act).__name__.lower() for act in self._script.running(Act, now_ns)],
                "contracts": len(self._desk.published(now_ns).board),
            }
        )
