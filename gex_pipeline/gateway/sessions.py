"""Replays beside the live market: a gateway on each that is looked at, and what they are told."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from gex_pipeline.errors import (
    NoSessionError,
    SessionError,
    SessionOverError,
    UnavailableError,
)
from gex_pipeline.gateway.answer import Mode
from gex_pipeline.gateway.cache import STORE_ERRORS, Entry, store_away
from gex_pipeline.gateway.read import Gateway, Place
from gex_pipeline.gateway.requests import ask
from gex_pipeline.hot import control
from gex_pipeline.hot.control import new_request
from gex_pipeline.hot.session import (
    PREFIX,
    SERVICE,
    VERBS,
    SessionInfo,
    decode_session,
    session_keys,
)
from gex_pipeline.market.clock import MarketClock

__all__ = ["VERBS", "SessionGateway", "Sessions", "new_request"]

MOST: Final = 8
"""Replays that one process follows at a time."""
FORGET_S: Final = 120.0
_LOOK_S: Final = 1.0


class SessionGateway(Gateway):
    """Reads the namespace of one replay; market time is the replay's."""

    def __init__(self, parent: Gateway, place: Place, wall: Callable[[], MarketClock]) -> None:
        super().__init__(parent.store, place, parent.keyring, _no_clock, wall)
        self.folds = parent.folds
        self.used_s = time.monotonic()
        self._word: Entry | None = None
        self._decoded: tuple[bytes | None, SessionInfo | None] = (None, None)

    @property
    def info(self) -> SessionInfo | None:
        """What the replay says of itself; None: its namespace is gone."""
        value = self._word.value if self._word else None
        if value is not self._decoded[0]:
            self._decoded = (value, decode_session(value))
        return self._decoded[1]

    def now_ns(self) -> int:
        """Return the replay's market time.

        Raises:
            UnavailableError: its namespace is gone.
        """
        info = self.info
        if info is None:
            raise UnavailableError(
                "session",
                f"The replay {self.place.session} is gone.",
                "Start it again: gex replay",
            )
        return info.now_ns(time.monotonic_ns(), self.wall_ns())

    async def entry(self, symbol: str, scope: str) -> Entry:
        """Return the cache's entry of what answers for a scope, to wait for its next change."""
        self.used_s = time.monotonic()
        return await super().entry(symbol, scope)

    async def chain_entry(self, symbol: str) -> Entry:
        """Return the cache's entry of a symbol's chain."""
        self.used_s = time.monotonic()
        return await super().chain_entry(symbol)

    async def follow(self) -> SessionInfo | None:
        """Return the newest word of the replay, and be told of the next ones."""
        self._word = await self._cache.entry(self.place.keys.session())
        return self.info

    async def _turn(self) -> None:
        await self.follow()
        self.turns += 1
        self._first_turn.set()


class Sessions:
    """The replays of one hot store; those that nobody looks at for two minutes are let go."""

    def __init__(self, gateway: Gateway) -> None:
        self._parent = gateway
        self._open: dict[str, tuple[SessionGateway, asyncio.Task[None]]] = {}

    async def of(self, session: str) -> Gateway:
        """Return a gateway on a replay; without an id the live one.

        Raises:
            NoSessionError: there is no such replay.
            UnavailableError: the hot store does not answer.
        """
        return await self._follow(session) if session else self._parent

    async def every(self) -> list[dict[str, Any]]:
        """Return what each replay says of itself, the one that spoke last first.

        Raises:
            UnavailableError: the hot store does not answer.
        """
        found = sorted(await self._infos(), key=lambda info: info.ts_ns, reverse=True)
        return [self._shown(info) for info in found]

    async def one(self, session: str) -> dict[str, Any]:
        """Return what a replay says of itself.

        Raises:
            NoSessionError: there is no such replay.
            UnavailableError: the hot store does not answer.
        """
        return self._shown(await self._info(session))

    async def tell(self, session: str, request: control.Request) -> dict[str, Any]:
        """Have a replay do something; return what it says of itself then.

        Raises:
            NoSessionError: there is no such replay.
            SessionOverError: it has ended.
            SessionError: it cannot do that.
            UnavailableError: it, or the hot store, does not answer.
        """
        if request.verb not in VERBS:
            raise SessionError(f"{request.verb!r} is no verb.", f"Use {', '.join(VERBS)}.")
        info = await self._info(session)
        if info.state in ("ended", "failed") or info.lost(self._parent.wall_ns()):
            raise SessionOverError(session, info.date)
        answer = await self._answer(session, request)
        if not answer.ok:
            raise SessionError(answer.detail, "")
        return await self.one(session)

    async def close(self) -> None:
        """Let all of them go."""
        for session in list(self._open):
            await self._drop(session)

    async def _follow(self, session: str) -> SessionGateway:
        if session not in self._open:
            await self._make_room()
            info = await self._info(session)
            if session not in self._open:  # somebody was faster
                self._open[session] = self._start(info)
        gateway, _ = self._open[session]
        gateway.used_s = time.monotonic()
        if await gateway.follow() is None:
            await self._drop(session)
            raise NoSessionError(session, await self._known())
        return gateway

    def _start(self, info: SessionInfo) -> tuple[SessionGateway, "asyncio.Task[None]"]:
        place = msgspec.structs.replace(
            self._parent.place,
            prefix=session_keys(info.id).prefix,
            mode=cast("Mode", info.mode),
            symbols=info.symbols,
            session=info.id,
        )
        gateway = SessionGateway(self._parent, place, self._parent.live_clock)
        task = asyncio.create_task(self._keep(gateway), name=f"gateway of {info.id}")
        return gateway, task

    async def _keep(self, gateway: SessionGateway) -> None:
        """Run a gateway until nobody looks at it any more."""
        loop = asyncio.create_task(gateway.run())
        try:
            while time.monotonic() - gateway.used_s < FORGET_S and not loop.done():
                await asyncio.wait({loop}, timeout=_LOOK_S)
        finally:
            gateway.closing = True
            self._open.pop(gateway.place.session, None)
            while not loop.done():  # a client that times out may take the cancellation for its own
                loop.cancel()
                await asyncio.wait({loop}, timeout=_LOOK_S)

    async def _make_room(self) -> None:
        """Of too many, let those go that were looked at longest ago."""
        by_use = sorted(self._open, key=lambda session: self._open[session][0].used_s)
        for session in by_use[: max(len(by_use) - MOST + 1, 0)]:
            await self._drop(session)

    async def _drop(self, session: str) -> None:
        _, task = self._open.pop(session)
        task.cancel()
        await asyncio.wait({task})

    async def _info(self, session: str) -> SessionInfo:
        """Return a replay of this mode: simulated and real figures never stand for one another."""
        try:
            data: Any = await self._parent.store.get(session_keys(session).session())
        except STORE_ERRORS as error:
            raise store_away(error) from error
        info = decode_session(data)
        if info is None or info.mode != self._parent.place.mode:
            raise NoSessionError(session, await self._known())
        return info

    async def _infos(self) -> list[SessionInfo]:
        try:
            store = self._parent.store
            keys = [key async for key in store.scan_iter(f"{PREFIX}*:session", count=1_000)]
            found = [decode_session(cast("Any", await store.get(key))) for key in keys]
        except STORE_ERRORS as error:
            raise store_away(error) from error
        mode = self._parent.place.mode
        return [info for info in found if info is not None and info.mode == mode]

    async def _known(self) -> tuple[str, ...]:
        return tuple(sorted(info.id for info in await self._infos()))

    async def _answer(self, session: str, request: control.Request) -> control.Reply:
        keys = session_keys(session)
        answer = await ask(self._parent.store, keys, SERVICE, request)
        if answer is None:
            raise UnavailableError(
                "session", f"The replay {session} does not answer.", "See that its process lives."
            )
        return answer

    def _shown(self, info: SessionInfo) -> dict[str, Any]:
        wall_ns = self._parent.wall_ns()
        fields = msgspec.structs.asdict(info)
        for inner in ("clock", "boot", "market_ns", "ts_ns"):
            del fields[inner]
        return fields | {
            "replayed": True,
            "state": "lost" if info.lost(wall_ns) else info.state,
            "speed": "max" if info.speed is None else info.speed,
            "market_time_ns": info.now_ns(time.monotonic_ns(), wall_ns),
            "runs": info.clock.speed,
        }


def _no_clock() -> MarketClock:
    raise AssertionError("a replay's clock comes with its word: its turn asks for no other")
