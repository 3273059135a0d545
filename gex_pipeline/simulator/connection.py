"""The websocket side: one connection's socket, its paced updates, and who may stream at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec

from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.delivery import Delivery
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.faults import Faults
from gex_pipeline.simulator.frames import STOPPED, TAKEN, Frame, notice_frame
from gex_pipeline.simulator.mishaps import Cut, Notice, Silence, Tear
from gex_pipeline.simulator.stream import Conversation
from gex_pipeline.simulator.tokens import Mint
from gex_pipeline.simulator.wire import TEAR

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
STEP_S: Final = 0.05
SYMBOL_LIMIT: Final = 500
_STEP_MARKET_NS: Final = 1_000_000_000
"""At most so much market time passes between two frames, at any speed."""
_STEPS_MAX: Final = 40
"""A wake-up that is further behind than this skips the market time between."""
_SEND_TIMEOUT_S: Final = 10.0
_CUT: Final = 1011
_TORN_ITEMS: Final = 50


class Pace:
    """How often and how much a stream is told."""

    def __init__(
        self,
        rate: float,
        *,
        heartbeat_s: float = 10.0,
        idle_s: float = 30.0,
        symbol_limit: int = SYMBOL_LIMIT,
    ) -> None:
        self.rate = rate
        """Updates of the whole market, per market second."""
        self.heartbeat_s = heartbeat_s
        self.idle_s = idle_s
        """A connection without subscriptions is closed after so long."""
        self.symbol_limit = symbol_limit


class Floor:
    """Where streams stand: the newest that signed in is served, the one before it is sent away."""

    def __init__(self, desk: Desk, mint: Mint, pace: Pace) -> None:
        self.desk = desk
        self.mint = mint
        self.pace = pace
        self.faults = Faults(desk.market.script)
        self.served: Connection | None = None
        self.connections = 0
        self.logins = 0
        self.skipped_s = 0
        """Market seconds that updates skipped because the machine was too slow."""

    async def serve(self, receive: Receive, send: Send) -> None:
        """Serve one websocket until either side ends it."""
        self.connections += 1
        connection = Connection(self, self.connections, receive, send)
        try:
            await connection.run()
        finally:
            if self.served is connection:
                self.served = None

    async def take(self, connection: "Connection") -> None:
        """Serve this connection and end the one before with code 12."""
        self.logins += 1
        before, self.served = self.served, connection
        if before is not None and before is not connection:
            await before.end(TAKEN)

    def subscribed(self) -> dict[str, list[str]]:
        """Return the keys of the stream that is served, by service."""
        return {} if self.served is None else self.served.talk.subscriptions.keys()


class Connection:
    """One websocket."""

    def __init__(self, floor: Floor, number: int, receive: Receive, send: Send) -> None:
        self._floor = floor
        self._desk = floor.desk
        self._script = floor.desk.market.script
        self._number = number
        self._receive = receive
        self._send = send
        self._turn = asyncio.Lock()
        self.talk = Conversation(floor.desk, floor.mint, floor.faults, floor.pace.symbol_limit)
        clock = asyncio.get_running_loop().time
        self._delivery = Delivery(self._script, floor.desk.market.seed, clock)
        self._ended = asyncio.Event()
        self._told_ns = 0
        self._owed = 0.0
        """Updates that are due."""

    async def run(self) -> None:
        """Talk until the peer leaves, or a frame was the last."""
        reader = asyncio.create_task(self._read())
        teller = asyncio.create_task(self._tell())
        ended = asyncio.create_task(self._ended.wait())
        tasks = (reader, teller, ended)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError | TimeoutError):
                raise result

    async def end(self, code: int, text: str = "") -> None:
        """Say why and close."""
        with suppress(OSError, TimeoutError):
            async with self._turn:
                await self._out([notice_frame(code, self._desk.now_ns(), text)])

    async def _read(self) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            if self._script.runs(Silence, self._desk.now_ns()):
                continue
            async with self._turn:
                was_in = self.talk.signed_in
                await self._out(self.talk.answer(message.get("text") or ""))
            if self.talk.signed_in and not was_in:
                await self._floor.take(self)

    async def _tell(self) -> None:
        """Send updates, heartbeats, and the end of an idle connection."""
        pace, loop = self._floor.pace, asyncio.get_running_loop()
        beat_at = loop.time() + pace.heartbeat_s
        idle_at = loop.time() + pace.idle_s
        self._told_ns, self._owed = self._desk.now_ns(), 0.0
        while not self._ended.is_set():
            await asyncio.sleep(STEP_S)
            now_ns = self._desk.now_ns()
            struck_ns = self._told_ns
            if self.talk.subscriptions and not self._desk.is_held:
                idle_at = loop.time() + pace.idle_s
                await self._catch_up(now_ns)
            self._told_ns = now_ns
            await self._suffer(struck_ns, now_ns)
            if await self._is_cut(now_ns) or self._script.runs(Silence, now_ns):
                continue
            async with self._turn:
                await self._put(self._delivery.due())
            if loop.time() >= beat_at:
                beat_at = loop.time() + pace.heartbeat_s
                async with self._turn:
                    await self._out([self.talk.heartbeat()])
            if loop.time() >= idle_at and not self.talk.subscriptions:
                await self.end(STOPPED)

    async def _catch_up(self, now_ns: int) -> None:
        """Send the updates of the market time since the last ones."""
        for ts_ns in self._steps(self._told_ns, now_ns):
            if await self._is_cut(ts_ns):
                return
            passed_ns, self._told_ns = min(ts_ns - self._told_ns, _STEP_MARKET_NS), ts_ns
            if not self._script.runs(Silence, ts_ns):
                self._owed += passed_ns / 1e9 * self._floor.pace.rate
                self._owed -= await self._update(int(self._owed), ts_ns)

    async def _is_cut(self, ts_ns: int) -> bool:
        """Close the socket where the script cuts it; return whether it does."""
        if not self._script.runs(Cut, ts_ns):
            return False
        async with self._turn:
            if not self._ended.is_set():
                self._ended.set()
                await self._send({"type": "websocket.close", "code": _CUT})
        return True

    def _steps(self, told_ns: int, now_ns: int) -> Iterable[int]:
        """Return the market times to send a frame at; over a roll or a long delay, only now."""
        behind = now_ns - told_ns
        count = -(-behind // _STEP_MARKET_NS)
        if not 0 < count <= _STEPS_MAX:
            self._floor.skipped_s += max(behind, 0) // _STEP_MARKET_NS
            return (now_ns,)
        return (now_ns - step * behind // count for step in range(count - 1, -1, -1))

    async def _update(self, count: int, ts_ns: int) -> int:
        if count < 1:
            return 0
        async with self._turn:
            frame = self.talk.updates(count, ts_ns)
            if frame is not None:
                await self._out([frame])
        return count

    async def _suffer(self, after_ns: int, until_ns: int) -> None:
        """Let happen to the stream that is served what began between two moments."""
        for act in self._floor.faults.strikes(after_ns, until_ns):
            if self._floor.served is not self or self._ended.is_set():
                return
            await self._strike(act)

    async def _strike(self, act: Act) -> None:
        if isinstance(act, Tear):
            await self._tear()
        elif isinstance(act, Notice):
            await self.end(act.code, act.text)
        else:
            await self.end(TAKEN)

    async def _tear(self) -> None:
        """Reset the socket in the middle of the frame that would be next."""
        now_ns = self._desk.now_ns()
        async with self._turn:
            updates = self.talk.updates(_TORN_ITEMS, now_ns)
            frame = updates or self.talk.heartbeat()
            self._ended.set()
            await self._send({"type": TEAR, "text": frame.data.decode()})
            self._log(msgspec.structs.replace(frame, fault="tear"))

    async def _out(self, frames: Iterable[Frame]) -> None:
        """Send what the conversation says, data by way of what the script does to them."""
        for frame in frames:
            await self._put(self._delivery.passed(frame))

    async def _put(self, frames: Iterable[Frame]) -> None:
        """Send frames and log what they told; behind the last one nothing is sent."""
        for frame in frames:
            if self._ended.is_set():
                return
            message = {"type": "websocket.send", "text": frame.data.decode()}
            await asyncio.wait_for(self._send(message), _SEND_TIMEOUT_S)
            self._log(frame)
            if frame.last:
                self._ended.set()
                await self._send({"type": "websocket.close", "code": 1000})
                return

    def _log(self, frame: Frame) -> None:
        for service, told in frame.told.items():
            self._desk.log.write(frame.ts_ns, service, told, self._number, frame.fault)
