"""The stream kept alive: connect, subscribe, follow the wishes, and again from the start.

Two silences are told apart. A socket that gives no frame at all, not even a heartbeat, is dead at
any hour: it is left for a new one. A socket that gives heartbeats and no data is well outside the
sessions, and within one `quiet` says which calendars are in doubt.
"""

import asyncio
import contextlib
import logging
import time

from gex_pipeline.errors import (
    FeedClosedError,
    FeedError,
    FeedTakenError,
    NotTakenError,
    SignInError,
)
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.schwab.fields import OPTIONS, Service
from gex_pipeline.feeds.schwab.stream import (
    LoginDeniedError,
    Stream,
    StreamFrame,
    UnreadableError,
)
from gex_pipeline.feeds.supervise import Backoff, Silence
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.outage import Outage
from gex_pipeline.streamer.plan import Plan
from gex_pipeline.streamer.symbollimit import SymbolLimit

STEADY_S = 5.0
"""Data that flow for so long prove a connection; then the waits start again at the shortest."""
TAKEN_S = 12 * 3600.0
"""A stream that another program took is asked for again after so long; earlier by a person only."""
_LOGIN_TRIES = 2
_DENIED_AGAIN = "Schwab's streamer denies the login, with a new access token too"
_PATIENCE_S = 2.0
"""A service that does not answer holds the next one up for so long."""
_LOOK_S = 0.5

log = logging.getLogger(__name__)


class SilentError(FeedClosedError):
    """The socket is open and nothing comes."""


class Wishes:
    """What the stream should hold now; the chains set it, the connection follows."""

    def __init__(self, limit: SymbolLimit) -> None:
        self.limit = limit
        self.options: list[str] = []
        self.room: int | None = None
        """Contracts that the stream has room for beside all else; None: it has not been open."""


class Connection:
    """One stream after another."""

    def __init__(
        self, account: Account, plan: Plan, intake: Intake, wishes: Wishes, bell: Bell
    ) -> None:
        self.account = account
        self.plan = plan
        self.intake = intake
        self.wishes = wishes
        self.bell = bell
        self.outage = Outage(bell, plan.held)
        self.state = "connecting"
        self.detail = ""
        self.connections = 0
        self.frames = 0
        self.held = 0
        self._down_since_ns: int | None = None
        """When the silence began that the next data end; None: data flow."""
        self._cause = "disconnect"
        self._denied = 0
        self._last_ns = 0
        self._flows_since_s = 0.0
        self._asked = asyncio.Event()
        self._limit_said = ""

    @property
    def connected(self) -> bool:
        """Whether data flow."""
        return self.state == "streaming"

    def begin(self, restarted_ns: int | None) -> None:
        """Count the time from then to the first data as a gap; None: the tapes are new."""
        self._down_since_ns = restarted_ns
        self._cause = "restart"

    async def run(self, backoff: Backoff, silence_s: float, timeout_s: float) -> None:
        """Stream until cancelled; when another program took the stream, stand still and say so."""
        self._tell_limit()
        while True:
            try:
                await self._once(backoff, silence_s, timeout_s)
            except FeedTakenError as error:
                await self._stand_still(error)
            except SignInError as error:
                await self._wait_for_person(error, backoff)
            except LoginDeniedError as error:
                self._down("reconnecting", str(error))
                await self._login_denied(error, backoff)
            except FeedError as error:
                log.warning("%s", error)
                self._down("reconnecting", str(error), _cause_of(error))
            await asyncio.sleep(backoff.next_s())

    async def take_back(self, _: str = "") -> str:
        """Ask for the stream again although another program took it; a person says so.

        Raises:
            NotTakenError: nobody took it.
        """
        if self.state != "taken":
            raise NotTakenError
        self._asked.set()
        return "asked for"

    async def _once(self, backoff: Backoff, silence_s: float, timeout_s: float) -> None:
        """Run one connection to its end, which is always an error."""
        client = await self.account.client()
        self.intake.connect()
        silence = Silence(silence_s)

        def take(raw: str | bytes, frame: StreamFrame | None) -> None:
            silence.heard()
            self.intake.stream(raw, frame, self._flows)

        stream = Stream(client, take, timeout_s=timeout_s)
        served = self._serve(stream, backoff)
        ways = (stream.ended(), _watch(silence), served, self.account.until_paused())
        tasks = [asyncio.create_task(way) for way in ways]
        ended = False
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended = True
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.frames += stream.frames
            await stream.close(goodbye=not ended)

    async def _serve(self, stream: Stream, backoff: Backoff) -> None:
        """Sign in and subscribe; then follow the wishes as they change."""
        await stream.open()
        self.connections += 1
        self._denied = 0
        log.info("signed in to the streamer, connection %d", self.connections)
        while True:
            await self._follow(stream)
            self._tell(stream)
            if self.connected and time.monotonic() - self._flows_since_s > STEADY_S:
                backoff.reset()
            await asyncio.sleep(_LOOK_S)

    async def _follow(self, stream: Stream) -> None:
        """Bring what is subscribed to what is wanted: one service after another.

        Parallel commands are what Schwab fails most, so the next waits; but not for a service that
        leaves its request unanswered.
        """
        brought = []
        try:
            for service, keys in self.plan.keys(self.wishes.options).items():
                task = asyncio.create_task(self._bring(stream, service, keys))
                brought.append(task)
                await asyncio.wait({task}, timeout=_PATIENCE_S)
            await asyncio.gather(*brought)
        finally:
            for task in brought:
                task.cancel()
            await asyncio.gather(*brought, return_exceptions=True)

    async def _bring(self, stream: Stream, service: Service, wanted: list[str]) -> None:
        """Bring one service's keys to the wanted ones, as room allows."""
        limit, held = self.wishes.limit, stream.held[service]
        room = max(0, limit.symbols - stream.symbols + len(held))
        wanted = wanted[:room]
        if service == OPTIONS:
            self.wishes.room = room
        have, want = set(held), set(wanted)
        if have == want:
            return
        await stream.remove(service, [key for key in held if key not in want])
        await stream.add(service, [key for key in wanted if key not in have])
        if stream.limit is not None and stream.limit < limit.symbols:
            limit.learn(stream.limit)
            self._limit_said = f" ({stream.limit_said})"

    def _tell(self, stream: Stream) -> None:
        """Say what is subscribed, and which services are not to be had."""
        self.held = stream.symbols
        self._tell_limit()
        if not stream.off:
            self.bell.still("service_off")
            return
        said = "; ".join(f"{service}: {off.reason}" for service, off in sorted(stream.off.items()))
        text = f"Schwab's streamer does not serve {said}. It is asked again by itself."
        self.bell.ring("service_off", "warning", text)

    def _tell_limit(self) -> None:
        limit = self.wishes.limit
        if limit.learned is None or limit.learned >= limit.configured:
            self.bell.still("symbol_limit")
            return
        text = (
            f"Schwab lets us have {limit.learned} symbols{self._limit_said}; SCHWAB_SYMBOL_LIMIT is"
            f" {limit.configured}. The contracts that matter least come by REST alone. Set it to"
            f" {limit.learned}, or to another number to try that."
        )
        self.bell.ring("symbol_limit", "warning", text)

    def _flows(self, stamp_ns: int) -> None:
        """Note that data come; the first of a connection end the gap."""
        if self._down_since_ns is not None:
            self.intake.tapes.note_gap(self._down_since_ns, stamp_ns, self._cause)
            self._down_since_ns = None
        if not self.connected:
            self.state, self.detail = "streaming", ""
            self._flows_since_s = time.monotonic()
            self.outage.end()
            self.bell.still("stream_taken")
        self._last_ns = stamp_ns

    def _down(self, state: str, detail: str, cause: str = "disconnect") -> None:
        """Note that data have stopped: the gap begins with the last of them."""
        if self.connected:
            self._down_since_ns = self._last_ns
            self._cause = cause
        self.state, self.detail = state, detail
        self.outage.begin(detail)

    async def _stand_still(self, error: FeedTakenError) -> None:
        """Leave the stream to whoever took it, until a person asks for it or a day has passed."""
        self._down("taken", str(error), "taken")
        self.outage.end()  # this alert stands for it
        self.bell.ring("stream_taken", "critical", str(error))
        self._asked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_S):
                await self._asked.wait()
        self.state = "connecting"
        self.bell.still("stream_taken")

    async def _wait_for_person(
        self, error: SignInError, backoff: Backoff, met: FeedError | None = None
    ) -> None:
        """Stand still until a person has signed in; what comes then is as new as a start.

        `met` is what the stream has met, if that says more than the error.
        """
        self._down("auth_required", str(met or error))
        self.outage.end()  # the sign-in has an alert of its own
        await self.account.wait_for_person(error)
        self.state, self.detail = "connecting", ""
        backoff.reset()

    async def _login_denied(self, error: LoginDeniedError, backoff: Backoff) -> None:
        """Take a new access token; denied with that one too, only a person can help."""
        self._denied += 1
        if self._denied >= _LOGIN_TRIES:
            self._denied = 0
            await self._wait_for_person(SignInError(_DENIED_AGAIN), backoff, error)
            return
        try:
            await renew(await self.account.client(), force=True)
        except SignInError as refused:
            await self._wait_for_person(refused, backoff)
        except FeedError as failed:
            self._denied = 0  # the next login has the old token still
            log.warning("%s", failed)


def _cause_of(error: FeedError) -> str:
    """Return what a gap says of the end of a connection."""
    if isinstance(error, SilentError):
        return "silence"
    return "unreadable" if isinstance(error, UnreadableError) else "disconnect"


async def _watch(silence: Silence) -> None:
    while not silence.broken:  # noqa: ASYNC110 # silence is the absence of a signal
        await asyncio.sleep(min(1.0, silence.limit_s / 4))
    raise SilentError(f"Schwab's streamer has been silent for {silence.age_s:.0f} s")
