"""The stream kept alive: connect, subscribe, read, and again from the start when it ends."""

import asyncio
import logging

import msgspec

from gex_pipeline.errors import FeedClosedError, FeedError, FeedTakenError, SignInError
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.schwab.fields import EQUITIES, FUTURES, OPTIONS
from gex_pipeline.feeds.schwab.stream import LoginDeniedError, Stream, StreamFrame, Tap
from gex_pipeline.feeds.supervise import Backoff, Silence
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.plan import Plan, is_worth_changing

_LOGIN_TRIES = 2

log = logging.getLogger(__name__)


class SilentError(FeedClosedError):
    """The socket is open and nothing comes."""


class Wishes(msgspec.Struct):
    """What the stream should hold now; the chains set it, the connection follows."""

    options: list[str] = []
    learned_limit: int | None = None
    """Symbols that the vendor let us have, once it has refused more."""


class Connection:
    """One stream after another."""

    def __init__(self, account: Account, plan: Plan, intake: Intake, wishes: Wishes) -> None:
        self.account = account
        self.plan = plan
        self.intake = intake
        self.wishes = wishes
        self.state = "connecting"
        self.detail = ""
        self.connections = 0
        self.frames = 0
        self.held = 0
        self._down_since_ns: int | None = None
        """When the silence began that the next data end; None: data flow."""
        self._cause = "disconnect"
        self._denied = 0

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
        while True:
            try:
                await self._once(backoff, silence_s, timeout_s)
            except FeedTakenError as error:
                log.error("%s", error)
                self._down("taken", str(error))
                await asyncio.Event().wait()
            except SignInError as error:
                self._down("sign_in", str(error))
                await self.account.wait_for_person(error)
            except LoginDeniedError as error:
                self._down("reconnecting", str(error))
                await self._login_denied(error)
            except FeedError as error:
                log.warning("%s", error)
                cause = "silence" if isinstance(error, SilentError) else "disconnect"
                self._down("reconnecting", str(error), cause)
            await asyncio.sleep(backoff.next_s())

    async def _once(self, backoff: Backoff, silence_s: float, timeout_s: float) -> None:
        """Run one connection to its end, which is always an error."""
        client = await self.account.client()
        self.intake.connect()
        silence = Silence(silence_s)

        def take(raw: str | bytes, frame: StreamFrame | None) -> None:
            silence.heard()
            self.intake.stream(raw, frame, lambda stamp_ns: self._flows(stamp_ns, backoff))

        tap = Tap(take)
        stream = Stream(client, tap, timeout_s=timeout_s)
        reader = asyncio.create_task(self._read(stream), name="stream reader")
        watcher = asyncio.create_task(_watch(silence), name="stream watchdog")
        try:
            done, _ = await asyncio.wait({reader, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            reader.cancel()
            watcher.cancel()
            await asyncio.gather(reader, watcher, return_exceptions=True)
            self.frames += tap.frames
            await stream.close()

    async def _read(self, stream: Stream) -> None:
        await stream.login()
        self.connections += 1
        self._denied = 0
        log.info("signed in to the streamer, connection %d", self.connections)
        wanted = self.wishes.options
        for service, keys in self.plan.keys(wanted).items():
            if service != OPTIONS:
                await stream.add(service, keys)
        await self._follow(stream, wanted)
        while True:
            await stream.read()
            if self.wishes.options is not wanted:
                wanted = self.wishes.options
                await self._follow(stream, wanted)

    async def _follow(self, stream: Stream, wanted: list[str]) -> None:
        """Bring the subscribed contracts to the wanted ones, if enough differ."""
        held = stream.held[OPTIONS]
        if is_worth_changing(held, wanted):
            have, want = set(held), set(wanted)
            await stream.remove(OPTIONS, [key for key in held if key not in want])
            new = [key for key in wanted if key not in have]
            added = await stream.add(OPTIONS, new)
            if added < len(new):
                self.wishes.learned_limit = sum(map(len, stream.held.values()))
                log.warning("the vendor lets us have %d symbols", self.wishes.learned_limit)
        self.held = sum(len(stream.held[service]) for service in (EQUITIES, FUTURES, OPTIONS))

    def _flows(self, stamp_ns: int, backoff: Backoff) -> None:
        """Note that data come; the first of a connection end the gap."""
        if self._down_since_ns is not None:
            self.intake.tapes.note_gap(self._down_since_ns, stamp_ns, self._cause)
            self._down_since_ns = None
        if not self.connected:
            self.state, self.detail = "streaming", ""
            backoff.reset()
        self._last_ns = stamp_ns

    def _down(self, state: str, detail: str, cause: str = "disconnect") -> None:
        """Note that data have stopped: the gap begins with the last of them."""
        if self.connected:
            self._down_since_ns = self._last_ns
            self._cause = cause
        self.state, self.detail = state, detail

    async def _login_denied(self, error: LoginDeniedError) -> None:
        """Take a new access token; denied with that one too, only a person can help."""
        self._denied += 1
        if self._denied >= _LOGIN_TRIES:
            self._denied = 0
            self._down("sign_in", str(error))
            await self.account.wait_for_person(SignInError(str(error)))
            return
        try:
            await renew(await self.account.client(), force=True)
        except SignInError as refused:
            await self.account.wait_for_person(refused)
        except FeedError as failed:
            log.warning("%s", failed)

    _last_ns: int = 0


async def _watch(silence: Silence) -> None:
    while not silence.broken:  # noqa: ASYNC110 # silence is the absence of a signal
        await asyncio.sleep(min(1.0, silence.limit_s / 4))
    raise SilentError(f"Schwab's streamer has been silent for {silence.age_s:.0f} s")
