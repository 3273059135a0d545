"""A stream against the simulator in one process: real sockets, schwab-py, spools; no hot store.

Everything between the socket and the spool is the streamer's own; what stands outside of it here,
sender and hot store, has its own tests.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from gex_pipeline.feeds.schwab.client import open_client
from gex_pipeline.feeds.supervise import Backoff
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.market.events import Event, Gap
from gex_pipeline.market.sessions import Calendar, et_ns
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.server import SimulatedServer
from gex_pipeline.streamer.account import Access, Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.connection import Connection, Wishes
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.plan import make_plan
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.simclock import SimulatedTime
from gex_pipeline.streamer.symbollimit import SymbolLimit
from gex_pipeline.streamer.tapes import Tapes, open_spools
from gex_pipeline_tests.simulator.serving import get, post, running
from gex_pipeline_tests.simulator.test_script import FRIDAY
from gex_pipeline_tests.streamer.reckoning import Reckoning, reckon

WAIT_S: Final = 60.0
"""A limit for what comes within a second on an idle machine."""
TIMEOUT_S: Final = 2.0
"""Of a request; short, so that tests of unanswered ones end."""
SILENCE_S: Final = 2.5
RECONNECT_S: Final = 0.5
BEAT_S: Final = 0.5
IN_SESSION_NS: Final = et_ns(FRIDAY, 11, 0)
_CHAIN = "/marketdata/v1/chains"


class Live:
    """One stream and the simulator before it."""

    def __init__(self, server: SimulatedServer, folder: Path, port: int, symbols: int) -> None:
        self.server = server
        self.bell = Bell("streamer")
        self.time = MarketTime()
        self.url = f"http://127.0.0.1:{port}"
        spools = open_spools(folder, {}, fsync_ms=50)
        self.tapes = Tapes(spools, self.time)
        self.store = TokenStore(server.root / "tokens")
        nobody: Any = None
        access = Access(self.store, self.open_client, nobody, 6.0)
        self.account = Account(access, self.bell, look_s=0.1)
        self.plan = make_plan(("SPX", "SPY"), ("/MES",), symbols)[0]
        self.wishes = Wishes(SymbolLimit(symbols, folder / "symbol_limit.json"))
        self.quarantine = Quarantine(folder / "quarantine")
        quiet = Quiet(self.tapes, frozenset(), SILENCE_S)
        self.intake = Intake(self.tapes, self.quarantine, quiet)
        self.connection = Connection(self.account, self.plan, self.intake, self.wishes, self.bell)
        self.spare: list[str] = []
        """Contracts that are not wanted yet."""
        self._tasks: list[asyncio.Task[None]] = []

    def open_client(self) -> Any:
        """Return a signed-in client."""
        return open_client(self.store, "key", "secret", base_url=self.url, timeout_s=5.0)

    @property
    def taken(self) -> int:
        """Items that became events."""
        return self.intake.decoder.tally.taken

    @property
    def rung(self) -> set[str]:
        """Alerts that are active now."""
        return set(self.bell.active)

    async def begun(self, but: tuple[str, ...] = ()) -> None:
        """Start, and wait for all subscriptions and some data."""
        began_s = self.start()
        say(f"ready and subscribed after {await self.full(but) - began_s:.2f} s")
        await self.more()

    def start(self) -> float:
        """Begin to stream; return when."""
        loops = (
            self.tapes.keep_flushing(),
            self.connection.run(Backoff(RECONNECT_S), SILENCE_S, TIMEOUT_S),
        )
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        return time.monotonic()

    async def stop(self) -> None:
        """End the stream; its failure is the test's."""
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.account.close()
        self.tapes.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def play(self, verb: str, **fields: object) -> None:
        """Have something happen at the vendor now."""
        answer = await post(self.server, verb, fields)
        assert answer.status_code == 200, answer.text

    async def state(self) -> dict[str, Any]:
        """What the simulator says of itself."""
        answer: dict[str, Any] = (await get(self.server, "/control/state")).json()
        return answer

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(WAIT_S):
            while not holds():  # many states
                self._assert_alive(what)
                await asyncio.sleep(0.02)

    async def full(self, but: tuple[str, ...] = ()) -> float:
        """Wait until data flow and every wanted key is subscribed; return the time, seconds.

        `but`: services that are not to be had.
        """
        keys = self.plan.keys(self.wishes.options)
        wanted = {name: set(them) for name, them in keys.items() if them and name not in but}
        async with asyncio.timeout(WAIT_S):
            while True:
                has = {name: set(them) for name, them in (await self.state())["subscribed"].items()}
                if self.connection.connected and has == wanted:
                    return time.monotonic()
                self._assert_alive("all subscribed")
                await asyncio.sleep(0.02)

    async def over(self, verb: str) -> None:
        """Wait until an act has ended."""
        async with asyncio.timeout(WAIT_S):
            while verb in (await self.state())["acts"]:  # noqa: ASYNC110 # another clock's end
                await asyncio.sleep(0.05)

    async def subscribed(self, service: str, keys: list[str]) -> None:
        """Wait until these are what is subscribed of a service."""
        async with asyncio.timeout(WAIT_S):
            while set(await self._held(service)) != set(keys):  # noqa: ASYNC110 # a vendor's state
                await asyncio.sleep(0.05)  # another process's state

    async def _held(self, service: str) -> list[str]:
        held: list[str] = (await self.state())["subscribed"].get(service, [])
        return held

    async def more(self, items: int = 100) -> None:
        """Wait until so many more items have become events."""
        until = self.taken + items
        await self.until(lambda: self.taken >= until, f"{items} more items")

    async def recovered(self, since_s: float, what: str) -> None:
        """Wait until all is subscribed and flows again, and print how long it took."""
        took_s = await self.full() - since_s
        say(f"{what}: data and all subscriptions after {took_s:.2f} s")
        await self.more()

    async def reckoned(self) -> Reckoning:
        """Let the simulator send no more, and compare its log with the tapes once all has come."""
        await self.play("hold")
        until_s = time.monotonic() + WAIT_S
        while True:
            try:
                return reckon(self.server.root, self.events())
            except AssertionError:
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(0.2)

    def _assert_alive(self, what: str) -> None:
        assert not any(task.done() for task in self._tasks), f"the stream ended before: {what}"

    def events(self) -> dict[Calendar, list[Event]]:
        """What is on the tapes."""
        self.tapes.flush()
        return {
            calendar: [
                event for frame in tape.spool.read_after(0) for event in decode_frame(frame).events
            ]
            for calendar, tape in self.tapes.by_calendar.items()
        }

    def gaps(self) -> list[Gap]:
        """The gaps of the index tape; all tapes have the same."""
        return [event for event in self.events()["index"] if isinstance(event, Gap)]


def say(what: str) -> None:
    """Print a figure that no machine is judged by."""
    print(what)  # noqa: T201 # for whoever runs it by hand


@asynccontextmanager
async def live(
    folder: Path,
    *,
    contracts: int = 24,
    symbols: int = 200,
    pace: Pace | None = None,
    start: int = IN_SESSION_NS,
    through: Callable[[int], int] | None = None,
    **simulator: Any,
) -> AsyncIterator[Live]:
    """Yield a stream that is not running yet; `through` gives the port of a proxy before a port."""
    pace = pace or Pace(400.0, heartbeat_s=BEAT_S)
    settings = {"contracts": 400, "pace": pace, "start": start} | simulator
    async with running(folder / "root", **settings) as server:
        port = server.port if through is None else through(server.port)
        stage = Live(server, folder / "root", port, symbols)
        await SimulatedTime(stage.url, stage.time).first(asyncio.Event())
        found = await _contracts(server, 2 * contracts)
        stage.wishes.options, stage.spare = found[:contracts], found[contracts:]
        try:
            yield stage
        finally:
            await stage.stop()


async def _contracts(server: SimulatedServer, count: int) -> list[str]:
    """Contracts of SPY, each side of the spot."""
    answer = (await get(server, _CHAIN, symbol="SPY")).json()
    found = [
        contract["symbol"]
        for side in ("callExpDateMap", "putExpDateMap")
        for strikes in answer[side].values()
        for row in strikes.values()
        for contract in row
    ]
    assert len(found) >= count
    return found[:count]


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)
