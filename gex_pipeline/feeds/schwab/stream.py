"""One connection to Schwab's streamer: signed in, subscribed, read, with its requests answered.

schwab-py signs in and writes the requests. Frames are read past it, because it relabels every field
of every item at twenty times the cost of decoding, and answers are matched by our own table of
requests, because it waits for ever for one that never comes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import msgspec

from gex_pipeline.errors import FeedClosedError, FeedTakenError, GexError
from gex_pipeline.feeds.schwab.client import told
from gex_pipeline.feeds.schwab.codes import (
    BAD_COMMAND,
    DENIED,
    ENDINGS,
    SUCCEEDED,
    TAKEN,
    explain,
)
from gex_pipeline.feeds.schwab.decode import Block
from gex_pipeline.feeds.schwab.fields import Service, field_numbers
from gex_pipeline.feeds.schwab.library import http
from gex_pipeline.feeds.schwab.openrequests import Content, RequestTable, Response, Ticket
from gex_pipeline.feeds.schwab.subscriptions import RefusedError, Subscriptions, UnansweredError
from gex_pipeline.feeds.schwab.wire import Wire

_CLOSE_WAIT_S: Final = 2.0
_UNAUTHORIZED: Final = 401
_HEAD: Final = 64

log = logging.getLogger(__name__)


class LoginDeniedError(FeedClosedError):
    """The access token was not taken."""


class UnreadableError(FeedClosedError):
    """Data came that cannot be read: what they changed is unknown until new full images."""


class _Notice(msgspec.Struct):
    heartbeat: str | int | None = None
    service: str = ""
    content: Content = msgspec.field(default_factory=Content)


class StreamFrame(msgspec.Struct):
    """One text frame of the socket."""

    data: list[Block] = []
    notify: list[_Notice] = []
    response: list[Response] = []


Take = Callable[[str | bytes, StreamFrame | None], None]
"""What gets each frame: its text and what it holds, None where that cannot be read."""

_decoder = msgspec.json.Decoder(StreamFrame)


def read_frame(raw: str | bytes) -> StreamFrame | None:
    """Return a text frame's parts; None: it is no streamer JSON."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Stream(Subscriptions):
    """One connection, from LOGIN to its end; a new one is a new object."""

    def __init__(self, client: Any, take: Take, *, timeout_s: float) -> None:
        super().__init__()
        self.timeout_s = timeout_s
        self.frames = 0
        self.unreadable = 0
        self.table = RequestTable()
        self._take = take
        self._wire = Wire(client, self.table)
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()
        self._failure: Exception | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the socket, begin to read it, and sign in.

        Raises:
            LoginDeniedError: the access token is not taken.
            FeedTakenError: another program took the stream.
            FeedError: no connection.
        """
        with _closing():
            async with told(), asyncio.timeout(self.timeout_s):
                ticket = await self._wire.write(self._login)
        self._reader = asyncio.create_task(self._read(), name="stream reader")
        try:
            await self._answer(ticket)
        except UnansweredError:
            raise FeedClosedError("Schwab's streamer left the login unanswered") from None
        except RefusedError as error:
            fact = f"Schwab's streamer refused the login with {error.fact}"
            raise FeedClosedError(fact) from None

    async def ended(self) -> None:
        """Wait for the end of the connection, and raise it.

        Raises:
            FeedTakenError: another program took the stream.
            UnreadableError: data were lost.
            FeedClosedError: the connection is over.
        """
        await self._over.wait()
        raise self._failure or FeedClosedError("The connection to Schwab's streamer is closed")

    async def close(self, *, goodbye: bool = True) -> None:
        """Say goodbye if the socket still listens, and close it; without, drop it at once."""
        if goodbye and self._failure is None:
            await _soon(self._logout())
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if goodbye:
            await _soon(self._wire.hang_up())
        else:
            self._wire.drop()

    # --- requests ---------------------------------------------------------------------------------

    async def _logout(self) -> None:
        if self._wire.is_open:
            await self._ask(self._wire.logout)

    async def _login(self) -> None:
        arguments = {"max_size": None, "open_timeout": self.timeout_s, "close_timeout": 1}
        try:
            await self._wire.login(websocket_connect_args=arguments)
        except http.HTTPStatusError as error:
            status = error.response.status_code
            if status == _UNAUTHORIZED:
                raise LoginDeniedError("Schwab does not take the access token (401)") from None
            fact = f"Schwab did not say where its streamer is (status {status})"
            raise FeedClosedError(fact) from None

    def _call(self, service: Service, command: str, keys: list[str]) -> Callable[[], Any]:
        return self._wire.request(service, command, keys, field_numbers(service))

    async def _ask_alone(self, call: Callable[[], Any]) -> None:
        async with self._turn:
            await self.table.settled()
            await self._answer(await self._in_time(self._wire.write(call)))

    async def _ask(self, call: Callable[[], Any]) -> None:
        """Write a request and wait for its answer; others may be open beside it."""
        async with self._turn:
            ticket = await self._in_time(self._wire.write(call))
        await self._answer(ticket)

    async def _in_time(self, writing: Coroutine[Any, Any, Ticket]) -> Ticket:
        with _closing():
            async with asyncio.timeout(self.timeout_s):
                return await writing

    async def _answer(self, ticket: Ticket) -> None:
        """Wait for the answer to a request; return if it is a success."""
        try:
            async with asyncio.timeout(self.timeout_s):
                response = await asyncio.shield(ticket.answer)
        except TimeoutError:
            self.table.give_up(ticket)
            raise UnansweredError(str(ticket)) from None
        code, said = response.content.code, response.content.msg
        log.debug("%s: code %d", ticket, code)
        if code in SUCCEEDED:
            return
        _heed(response.content)
        if code == BAD_COMMAND:
            log.error("a fault of ours, please report it: %s to %s", explain(code, said), ticket)
        raise RefusedError(code, said, str(ticket))

    # --- frames -----------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the connection is over; then every request and `ended` has the reason."""
        try:
            with _closing():
                while True:
                    self._frame(await self._wire.frame())
        except Exception as error:  # noqa: BLE001 # whatever it is, `ended` raises it
            self._failure = error
            self.table.fail(error)
            self._over.set()

    def _frame(self, raw: str | bytes) -> None:
        self.frames += 1
        frame = read_frame(raw)
        if frame is None or frame.response or frame.notify:
            raw = self._wire.masked(raw)
        self._take(raw, frame)
        if frame is None:
            self._unreadable(raw)
            return
        for response in frame.response:
            self.table.settle(response)
            _heed(response.content)  # the close behind it may be read before whoever asked wakes
        for notice in frame.notify:
            if notice.heartbeat is None:
                _heed(notice.content)

    def _unreadable(self, raw: str | bytes) -> None:
        """Count a frame that is no streamer JSON; with data in it, what it changed is lost."""
        self.unreadable += 1
        log.warning("a frame of %d characters is no streamer JSON; counted", len(raw))
        head = raw[:_HEAD]
        if '"data"' in (head if isinstance(head, str) else head.decode("latin-1")):
            raise UnreadableError("Schwab's streamer sent data that cannot be read")


def _heed(content: Content) -> None:
    """Raise what ends a connection, whether it is an answer or a notice."""
    fact = explain(content.code, content.msg)
    if content.code == TAKEN:
        raise FeedTakenError(fact)
    if content.code == DENIED:
        raise LoginDeniedError(f"Schwab's streamer refused the login with {fact}")
    if content.code in ENDINGS:
        raise FeedClosedError(f"Schwab ends the stream with {fact}")


async def _soon(ending: Coroutine[Any, Any, None]) -> None:
    """Wait a moment for an end that nothing depends on."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_WAIT_S):
            await ending


@contextlib.contextmanager
def _closing() -> Iterator[None]:
    """Turn the ends of a socket into ours."""
    try:
        yield
    except GexError:  # a full spool, for one, is no fault of the socket
        raise
    except TimeoutError:
        raise FeedClosedError("Schwab's streamer does not answer") from None
    except Exception as error:  # schwab-py and websockets raise of every kind
        fact = f"The connection to Schwab's streamer broke ({type(error).__name__})"
        raise FeedClosedError(fact) from error
