"""A new sign-in while the streamer runs: begun and finished on request, or by the callback.

The streamer holds the app's secret and the token store, so that page and API need neither.
"""

import asyncio
import contextlib
import logging
import secrets

import msgspec
import redis

from gex_pipeline.errors import ConsentError, FeedError
from gex_pipeline.feeds.schwab.callback import Listener, listening
from gex_pipeline.feeds.schwab.signin import Pending, SignIn
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import Keys
from gex_pipeline.streamer.desk import Answer

log = logging.getLogger(__name__)


class Begun(msgspec.Struct, frozen=True):
    """What a person needs for a sign-in that has begun."""

    id: str
    """Which sign-in it is, to know it again in the status."""
    url: str
    """The consent page, to be opened in a browser."""
    expires_in_s: int
    redirect_uri: str
    listening: bool
    """Whether the callback is taken on this machine; else its address must be pasted."""
    problem: str | None = None
    """Why it is not."""


class SignInDesk:
    """Answers the verbs sign_in, sign_in_finish and sign_in_cancel."""

    def __init__(self, sign_in: SignIn, client: redis.Redis, keys: Keys) -> None:
        self.state = ""
        """Of the newest sign-in: pending, done, or why it failed; empty: there was none."""
        self.id = ""
        """Which one that is."""
        self._sign_in = sign_in
        self._client = client
        self._keys = keys
        self._waiting: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    def answers(self) -> dict[str, Answer]:
        """Return the verbs."""
        return {
            "sign_in": self.begin,
            "sign_in_finish": self.finish,
            "sign_in_cancel": self.cancel,
        }

    async def begin(self, _: str) -> str:
        """Begin a sign-in and open the listener; JSON of `Begun`. One that was pending is void."""
        async with self._changing:
            return await self._begin()

    async def finish(self, arg: str) -> str:
        """Finish with the address that lies under a one-time key; `{"signed_in": true}`.

        Raises:
            ConsentError: the address signs nobody in.
            FeedError: Schwab did not answer.
        """
        try:
            found = await asyncio.to_thread(self._client.getdel, self._keys.signin(arg))
        except UNREACHABLE as error:
            raise FeedError("The hot store is away") from error
        if not isinstance(found, bytes):
            raise ConsentError("The address has expired on its way", "Paste it again.")
        state = self.state
        try:
            await self._finish(found.decode("utf-8", "replace"))
        except FeedError:
            if self._sign_in.pending is not None:
                self.state = state  # it still waits for the right one
            raise
        async with self._changing:  # one that begins now has its listener open first
            await self.close()
        return '{"signed_in":true}'

    async def cancel(self, _: str) -> str:
        """Void what is pending."""
        async with self._changing:
            await self.close()
            self._sign_in.cancel()
            self.state = ""
        return '{"signed_in":false}'

    async def close(self) -> None:
        """Close the listener."""
        task, self._waiting = self._waiting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _begin(self) -> str:
        await self.close()
        pending = self._sign_in.begin()
        open_now: asyncio.Future[Listener] = asyncio.get_running_loop().create_future()
        self._waiting = asyncio.create_task(self._wait(pending, open_now), name="sign-in callback")
        listener = await open_now
        self.id, self.state = secrets.token_hex(4), "pending"
        begun = Begun(
            id=self.id,
            url=pending.url,
            expires_in_s=int(pending.left_s(self._sign_in.store.now_s())),
            redirect_uri=pending.redirect_uri,
            listening=listener.problem is None,
            problem=listener.problem,
        )
        return msgspec.json.encode(begun).decode()

    async def _wait(self, pending: Pending, open_now: asyncio.Future[Listener]) -> None:
        """Wait for the callback as long as the link may be answered, and finish with it."""
        sign_in = self._sign_in
        now_s = sign_in.store.now_s()
        async with listening(pending.redirect_uri, sign_in.fits, now_s) as listener:
            open_now.set_result(listener)
            try:
                async with asyncio.timeout(pending.left_s(now_s)):
                    received = await listener.received
            except TimeoutError:
                if self.state == "pending":
                    self.state = "nobody answered in time"
                if sign_in.pending is pending:
                    sign_in.cancel()
                return
        with contextlib.suppress(FeedError):  # told in `state`
            await self._finish(received)

    async def _finish(self, received: str) -> None:
        try:
            await self._sign_in.finish(received)
        except FeedError as error:
            self.state = str(error)
            log.warning("sign-in: %s", error)
            raise
        self.state = "done"
        log.info("a person has signed in")
