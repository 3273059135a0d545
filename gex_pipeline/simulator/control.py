"""The routes under /control: what tests and people ask the simulator, and have it do."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gex_pipeline.errors import ScriptError
from gex_pipeline.market.clock import clock_to_mapping
from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.acts import VERBS, AnyAct, read_act, read_script
from gex_pipeline.simulator.connection import Floor
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.web import Answer, Request, json_answer, refusal


class Control:
    """Answers without a token."""

    def __init__(self, desk: Desk, floor: Floor, requests: Mapping[tuple[str, int], int]) -> None:
        """Take what there is; `requests` are counts by name of the path and status."""
        self._desk = desk
        self._floor = floor
        self._requests = requests
        self._script = desk.market.script
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/control/clock"): self._clock,
            ("GET", "/control/roll"): self._roll,
            ("GET", "/control/dump"): self._dump,
            ("GET", "/control/state"): self._state,
            ("POST", "/control/hold"): partial(self._hold, is_held=True),
            ("POST", "/control/release"): partial(self._hold, is_held=False),
            ("GET", "/control/script"): self._acts,
            ("POST", "/control/script"): self._play,
            **{("POST", f"/control/{verb}"): partial(self._act, verb) for verb in VERBS},
        }

    def answer(self, request: Request) -> Answer | None:
        """Return the answer of a route under /control; None: it is none."""
        route = self._routes.get((request.method, request.path))
        return None if route is None else route(request)

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
        return self._add(lambda: read_script(request.body))

    def _act(self, verb: str, request: Request) -> Answer:
        return self._add(lambda: [read_act(verb, request.body)])

    def _add(self, read: Callable[[], list[AnyAct]]) -> Answer:
        """Take acts in; of those that cannot be, the answer says why."""
        try:
            self._script.add(read(), self._desk.now_ns())
        except ScriptError as error:
            return refusal(400, "Bad Request", str(error))
        return json_answer(self._script.spans)

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
                "subscribed": self._floor.subscribed(),
                "connections": self._floor.connections,
                "logins": self._floor.logins,
                "requests": self._counted(),
                "items_sent": self._desk.log.items,
                "skipped_s": self._floor.skipped_s,
                "acts": [type(act).__name__.lower() for act in self._script.running(Act, now_ns)],
                "contracts": len(self._desk.published(now_ns).board),
            }
        )

    def _counted(self) -> dict[str, dict[str, int]]:
        """Return how many requests had which status, by name of the path."""
        counted: dict[str, dict[str, Any]] = {}
        for (name, status), count in self._requests.items():
            counted.setdefault(name, {})[str(status)] = count
        return counted
