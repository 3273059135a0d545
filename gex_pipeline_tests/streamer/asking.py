"""All that asks by REST, on tapes of its own, against a simulator; no stream, no hot store."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from gex_pipeline.feeds.recorder import Recorder
from gex_pipeline.feeds.schwab.client import open_client
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.simulator.server import SimulatedServer
from gex_pipeline.streamer.account import Access, Account
from gex_pipeline.streamer.asking import Asking
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.connection import Wishes
from gex_pipeline.streamer.following import Following
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.plan import make_plan
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.symbollimit import SymbolLimit
from gex_pipeline.streamer.tapes import Tapes, open_spools
from gex_pipeline_tests.simulator.serving import running

DAY = datetime.date(2026, 11, 20)
OPEN_NS = et_ns(DAY, 10)
SYMBOLS = ("SPX",)
SECRET = "4f0c-of-the-app"  # noqa: S105 # no secret: a canary
WITHIN_S = 20.0


class Rig:
    """What asks, and what came of it."""

    def __init__(self, server: SimulatedServer, asking: Asking, intake: Intake, bell: Bell) -> None:
        self.server = server
        self.asking = asking
        self.intake = intake
        self.bell = bell
        self.connected = True

    @property
    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return self.asking.status()

    def alert(self, name: str) -> str:
        """The words of an alert that is not over, else nothing."""
        known = self.bell.active.get(name)
        return known.text if known is not None else ""

    def tape(self, calendar: str = "index") -> list[Event]:
        """What is on a tape by now."""
        self.intake.tapes.flush()
        spool = self.intake.tapes.by_calendar[calendar].spool  # type: ignore[index] # a text is a calendar here
        return [event for data in spool.read_after(0) for event in decode_frame(data).events]

    async def round(self) -> None:
        """Ask for every chain once."""
        for symbol in self.asking.chains.plan.chains:
            await self.asking.chains._try(symbol)

    def heal(self) -> None:
        """Let the vendor do what it should again."""
        self.server._market.script.spans = ()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for something that a loop does."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110 # many kinds of state
                await asyncio.sleep(0.02)


@asynccontextmanager
async def asking(
    root: Path, *, contracts: int = 400, timeout_s: float = 20.0, per_minute: int = 500
) -> AsyncIterator[Rig]:
    """Yield a rig at 10:00 of a Friday, for SPX; nothing of it is left afterwards."""
    async with running(root / "vendor", contracts=contracts, start=OPEN_NS) as server:
        url = f"http://127.0.0.1:{server.port}"
        store, bell, time = TokenStore(root / "vendor" / "tokens"), Bell("streamer"), MarketTime()
        time.follow(MarketClock(OPEN_NS, 0, 0.0))
        access = Access(
            store,
            lambda: open_client(store, "key", SECRET, base_url=url, timeout_s=timeout_s),
            cast("Any", None),
            6.0,
        )
        account = Account(access, bell)
        tapes = Tapes(open_spools(root / "ours", {}, fsync_ms=1000), time)
        recorder = Recorder(root / "ours" / "capture", OPEN_NS, free_percent=0)
        quiet = Quiet(tapes, frozenset(), 30.0)
        intake = Intake(tapes, Quarantine(root / "ours" / "quarantine"), quiet, recorder)
        plan, _ = make_plan(SYMBOLS, ("SPY", "/MES"), 120)
        state: list[Rig] = []

        def connected() -> bool:
            return state[0].connected

        following = Following(plan, intake, Wishes(SymbolLimit(120)), connected)
        rig = Rig(server, Asking(account, following, bell, per_minute, connected), intake, bell)
        state.append(rig)
        try:
            yield rig
        finally:
            await account.close()
            recorder.close(OPEN_NS)
            tapes.close()
