"""The streamer's process: its loops side by side, and a clean end of all of them.

Order of a start: lease, what the server knows of the tapes, spools, market clock, gap, then data.
A start after a crash is the same start. Data do not wait for the hot store: the spool is enough.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import redis

from gex_pipeline.feeds.recorder import GB, Recorder
from gex_pipeline.feeds.schwab.wire import check_wire
from gex_pipeline.feeds.supervise import Backoff
from gex_pipeline.hot.chains import folded_through
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.streamer.account import Access, Account
from gex_pipeline.streamer.asking import Asking
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.connection import Connection, Wishes
from gex_pipeline.streamer.desk import Answer, Desk
from gex_pipeline.streamer.floors import archived_seq, known_floors
from gex_pipeline.streamer.following import Following
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.presence import SERVICE, Presence
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.signin import SignInDesk
from gex_pipeline.streamer.simclock import SimulatedTime
from gex_pipeline.streamer.symbollimit import SymbolLimit
from gex_pipeline.streamer.tapes import Tapes, open_spools, tape_name
from gex_pipeline.streamer.wiring import Wiring

_PAUSED_LOOK_S = 0.25


async def stream(
    wiring: Wiring,
    client: redis.Redis,
    access: Access,
    stop: asyncio.Event,
) -> None:
    """Stream until `stop` is set.

    Raises:
        LeaseHeldError: another process holds the lease.
        SpoolHeldError: another process streams into this root.
        SpoolFullError: neither disk nor memory takes more.
        LibraryError: schwab-py works in another way than the known version.
    """
    await check_wire()
    keys = Keys(wiring.prefix, *wiring.channels)
    presence = Presence(client, keys)
    await presence.acquire()
    try:
        floors, archived = await known_floors(client, keys, wiring.root, stop)
        time = MarketTime()
        simulated = SimulatedTime(wiring.base_url, time) if wiring.simulated else None
        if simulated is not None:
            await _first_of(simulated.first(stop), presence.keep(None, lambda: _waiting(wiring)))
        if not stop.is_set():
            spools = open_spools(
                wiring.root,
                floors,
                fsync_ms=wiring.fsync_ms,
                archived=archived,
                alert_percent=wiring.disk_alert_percent,
                stop_percent=wiring.disk_stop_percent,
            )
            tapes = Tapes(spools, time)
            bell = Bell(SERVICE)
            account = Account(access, bell)
            sign_ins = SignInDesk(access.sign_in, client, keys)
            senders = [_sender(wiring, client, keys, spool) for spool in spools.values()]
            with contextlib.closing(tapes), recording(wiring, time) as recorder:
                intake = _intake(wiring, tapes, recorder)
                streamer = Streamer(wiring, intake, account, presence, bell, sign_ins)
                desk = Desk(client, keys, SERVICE, streamer.answers())
                hears = [desk.run(), streamer.bell.run(client, keys)]
                await streamer.run(stop, simulated, senders, hears)
    finally:
        await presence.release()


class Streamer:
    """The loops of one process."""

    def __init__(
        self,
        wiring: Wiring,
        intake: Intake,
        account: Account,
        presence: Presence,
        bell: Bell,
        sign_ins: SignInDesk,
    ) -> None:
        self.wiring = wiring
        self.bell = bell
        self.sign_ins = sign_ins
        self.intake = intake
        self.tapes = intake.tapes
        self.account = account
        self.presence = presence
        wishes = Wishes(SymbolLimit(wiring.plan.limit, wiring.root / "symbol_limit.json"))
        self.connection = Connection(account, wiring.plan, intake, wishes, bell)
        following = Following(wiring.plan, intake, wishes, self._connected)
        per_minute = wiring.requests_per_minute
        self.asking = Asking(account, following, bell, per_minute, self._connected)

    async def run(
        self,
        stop: asyncio.Event,
        simulated: SimulatedTime | None,
        senders: list[Sender],
        hears: list[Coroutine[Any, Any, None]],
    ) -> None:
        """Run every loop until `stop` is set or one of them fails."""
        wiring = self.wiring
        self.connection.begin(self.tapes.note_restart())
        backoff = Backoff(wiring.reconnect_max_s)
        loops = [
            self.tapes.keep_flushing(),
            self._keep_beating(),
            self.account.keep_fresh(),
            self.presence.keep(self.tapes.time, lambda: self.status(senders)),
            *self.asking.loops(wiring.chain_interval_s),
            self.connection.run(backoff, wiring.silence_s, wiring.timeout_s),
            *hears,
        ]
        if simulated is not None:
            loops.append(simulated.keep_following())
        async with sending(senders, self._finish) as sends:
            try:
                await _first_of(stop.wait(), *loops, *map(asyncio.shield, sends))
            finally:
                await self.sign_ins.close()
                await self.account.close()

    def answers(self) -> dict[str, Answer]:
        """Return what can be asked of this process while it runs, by verb."""
        return {
            "reconnect": self.connection.take_back,
            **self.asking.answers(),
            **self.sign_ins.answers(),
        }

    def _connected(self) -> bool:
        return self.connection.connected

    def status(self, senders: list[Sender]) -> dict[str, object]:
        """Return what the status hash says."""
        connection, asking, tally = self.connection, self.asking, self.intake.decoder.tally
        recorder = self.intake.recorder
        refused = sum(tape.refused for tape in self.tapes.by_calendar.values())
        return {
            "state": self._state(),
            "stream": connection.state,
            "detail": self.account.refused or connection.detail or asking.chains.detail,
            "source": self.wiring.source,
            "mode": self.wiring.mode,
            "received": tally.received,
            "taken": tally.taken,
            "rejected": sum(tally.rejected.values()) + refused,
            "connections": connection.connections,
            "symbols": connection.held,
            **asking.status(),
            **self.account.status(),
            "sign_in": self.sign_ins.state,
            "sign_in_id": self.sign_ins.id,
            "positions": " ".join(
                f"{tape.spool.tape}={tape.spool.position}"
                for tape in self.tapes.by_calendar.values()
            ),
            "capture": "off" if recorder is None else recorder.state().problem or "on",
            "degraded": " ".join(self._troubles(senders)),
            "alerts": msgspec.json.encode(list(self.bell.active.values())).decode(),
            "senders": msgspec.json.encode([sender.state() for sender in senders]).decode(),
            "spools": msgspec.json.encode(
                {tape.spool.tape: tape.spool.state() for tape in self.tapes.by_calendar.values()}
            ).decode(),
        }

    def _state(self) -> str:
        """Return the stream's state; where it is being opened anew, that quotes come by REST."""
        if self.account.refused:
            return "auth_required"
        waiting = self.connection.state in ("connecting", "reconnecting")
        return "polling" if waiting and self.asking.quotes.active else self.connection.state

    def _troubles(self, senders: list[Sender]) -> list[str]:
        """Return what keeps events from disk or hot store; none: nothing does."""
        spools = [tape.spool for tape in self.tapes.by_calendar.values()]
        said = [(spool.tape, spool.state().problem) for spool in spools]
        said += [(sender.state().tape, sender.state().problem) for sender in senders]
        return [f"{tape}: {problem}." for tape, problem in said if problem]

    async def _keep_beating(self) -> None:
        """Write a heartbeat on every tape each market second, as soon as it is over."""
        while True:
            wait_s = self.tapes.time.to_next_second_s()
            if wait_s is None:
                await asyncio.sleep(_PAUSED_LOOK_S)
                continue
            await asyncio.sleep(max(wait_s, 0.005))
            self.connection.outage.look(self.tapes.time.stamp_ns())
            self.tapes.beat(self.intake.quiet.look(connected=self.connection.connected))

    def _finish(self) -> None:
        """Tell what is still open, and spool all that waits."""
        self.intake.quiet.close()
        self.tapes.settle()
        self.tapes.tell_holes(last=True)


@contextlib.asynccontextmanager
async def sending(
    senders: list[Sender], finish: Callable[[], None]
) -> AsyncIterator[list[asyncio.Future[None]]]:
    """Run the senders in threads of their own; at the end they send what is spooled by then."""
    stop = threading.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(senders), thread_name_prefix="sender") as pool:
        sends = [loop.run_in_executor(pool, sender.run, stop) for sender in senders]
        try:
            yield sends
        finally:
            finish()
            stop.set()
            await asyncio.gather(*sends, return_exceptions=True)


@contextlib.contextmanager
def recording(wiring: Wiring, time: MarketTime) -> Iterator[Recorder | None]:
    """Give the recorder of this run, if frames are to be kept."""
    if not wiring.record:
        yield None
        return
    recorder = Recorder(
        wiring.root / "capture",
        time.stamp_ns(),
        keep_bytes=round(wiring.capture_keep_gb * GB),
        free_percent=wiring.disk_stop_percent,
    )
    try:
        yield recorder
    finally:
        recorder.close(time.stamp_ns())


async def _first_of(*waits: Awaitable[object]) -> None:
    """Return when one of them ends, with its error if it has one; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _waiting(wiring: Wiring) -> dict[str, object]:
    """Return the status before the simulator has answered."""
    detail = "waiting for the simulator"
    return {"state": "waiting", "detail": detail, "source": wiring.source, "mode": wiring.mode}


def _intake(wiring: Wiring, tapes: Tapes, recorder: Recorder | None) -> Intake:
    quiet = Quiet(tapes, wiring.plan.held, wiring.silence_s)
    return Intake(tapes, Quarantine(wiring.root / "quarantine"), quiet, recorder)


def _sender(wiring: Wiring, client: redis.Redis, keys: Keys, spool: Spool) -> Sender:
    read = {tape_name(calendar) for calendar in wiring.plan.computed}
    sender = Sender(
        client,
        keys,
        spool,
        publish=True,
        source=wiring.source,
        option_ticks=wiring.option_ticks,
        ticks_mb=wiring.ticks_mb,
        cursor=lambda: archived_seq(wiring.root, spool.tape),
        folded=lambda: (
            folded_through(client, keys, spool.tape) if spool.tape in read else sender.position
        ),
        retention_days=wiring.spool_retention_days,
    )
    return sender
