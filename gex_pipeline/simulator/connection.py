"""The websocket side: one connection's socket, its paced updates, and who may stream at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from gex_pipeline.simulator.acts import Cut, Silence
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.stream import (
    EMPTY_TEXT,
    STOPPED,
    TAKEN,
    TAKEN_TEXT,
    Conversation,
    Frame,
)
from gex_pipeline.simulator.tokens import Mint

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
STEP_S: Final = 0.05
_STEP_MARKET_NS: Final = 1_000_000_000
"""At most so much market time passes between two frames, at any speed."""
_STEPS_MAX: Final = 40
"""A wake-up that is further behind than this skips the market time between."""
_SEND_TIMEOUT_S: Final = 10.0
_CUT: Final = 1011


class Pace:
    """How often and how much a stream is told."""

    def __init__(
        self,
        rate: float,
        *,
        heartbeat_s: float = 10.0,
        idle_s: float = 30.0,
        symbol_limit: int = 500,
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
        self.served: Connection | None = None
        self.connections = 0
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
        before, self.served = self.served, connection
        if before is not None and before is not connection:
            await before.end(TAKEN, TAKEN_TEXT)


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
        self._talk = Conversation(floor.desk, floor.mint, floor.pace.symbol_limit)
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

    async def end(self, code: int, text: str) -> None:
        """Say why and close."""
        with suppress(OSError, TimeoutError):
            async with self._turn:
                await self._out([self._talk.farewell(code, text)])

    async def _read(self) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            if self._script.runs(Silence, self._desk.now_ns()):
                continue
            async with self._turn:
                was_in = self._talk.signed_in
                await self._out(self._talk.answer(message.get("text") or ""))
            if self._talk.signed_in and not was_in:
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
            if self._talk.symbols and not self._desk.is_held:
                idle_at = loop.time() + pace.idle_s
                await self._catch_up(now_ns)
            self._told_ns = now_ns
            if await self._is_cut(now_ns) or self._script.runs(Silence, now_ns):
                continue
            if loop.time() >= beat_at:
                beat_at = loop.time() + pace.heartbeat_s
                async with self._turn:
                    await self._out([self._talk.heartbeat()])
            if loop.time() >= idle_at and not self._talk.symbols:
                await self.end(STOPPED, EMPTY_TEXT)

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
            frame = self._talk.updates(count, ts_ns, self._desk.market.seed)
            if frame is not None:
                await self._out([frame])
        return count

    async def _out(self, frames: Iterable[Frame]) -> None:
        """Send frames and log what they told; behind the last one nothing is sent."""
        for frame in frames:
            if self._ended.is_set():
                return
            message = {"type": "websocket.send", "text": frame.data.decode()}
            await asyncio.wait_for(self._send(message), _SEND_TIMEOUT_S)
            for service, told in frame.told.items():
                self._desk.log.write(frame.ts_ns, service, told, self._number)
            if frame.last:
                self._ended.set()
                await self._send({"type": "websocket.close", "code": 1000})
                return
