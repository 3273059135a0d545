"""One connection to Schwab's streamer: signed in, subscribed, read, with its requests answered.

schwab-py signs in and writes the requests. Frames are read past it, because it relabels every field
of every item at twenty times the cost of decoding, and answers are matched by our own table of
requests, because it waits for ever for one that never comes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from gex_pipeline.errors import FeedClosedError, FeedError, FeedTakenError, GexError
from gex_pipeline.feeds.schwab.client import told
from gex_pipeline.feeds.schwab.codes import (
    BAD_COMMAND,
    DENIED,
    ENDINGS,
    FAILED,
    LIMIT,
    NO_SERVICE,
    SUCCEEDED,
    TAKEN,
    explain,
)
from gex_pipeline.feeds.schwab.decode import Block
from gex_pipeline.feeds.schwab.fields import ITEMS, Service, field_numbers
from gex_pipeline.feeds.schwab.library import http
from gex_pipeline.feeds.schwab.openrequests import Content, RequestTable, Response, Ticket
from gex_pipeline.feeds.schwab.wire import Wire

MOST_BYTES: Final = 48_000
"""Of one request; Schwab closes the socket at 65,535."""
AGAIN_S: Final = 60.0
"""A service whose requests failed or were not answered is asked again after so long."""
_REQUEST_ROOM: Final = 2_000
_CLOSE_WAIT_S: Final = 2.0
_UNAUTHORIZED: Final = 401
_HEAD: Final = 64

log = logging.getLogger(__name__)


class LoginDeniedError(FeedClosedError):
    """The access token was not taken."""


class UnreadableError(FeedClosedError):
    """Data came that cannot be read: what they changed is unknown until new full images."""


class RefusedError(FeedError):
    """A request was answered with a code of failure; the connection goes on."""

    def __init__(self, code: int, said: str, request: str) -> None:
        self.code = code
        self.fact = explain(code, said)
        super().__init__(f"Schwab refused a request with {self.fact} ({request})")


class UnansweredError(FeedError):
    """A request was left without an answer; the connection may go on."""

    fact = "no answer"

    def __init__(self, request: str) -> None:
        super().__init__(f"Schwab left a request unanswered ({request})")


class Off(msgspec.Struct, frozen=True):
    """A service that is not asked any more on this connection, or not for a while."""

    reason: str
    again_s: float | None = None
    """By the monotonic clock; None: on the next connection."""

    @property
    def over(self) -> bool:
        """Whether it may be asked again."""
        return self.again_s is not None and time.monotonic() > self.again_s


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


class Stream:
    """One connection, from LOGIN to its end; a new one is a new object."""

    def __init__(self, client: Any, take: Take, *, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.frames = 0
        self.unreadable = 0
        self.held: dict[Service, list[str]] = {service: [] for service in ITEMS}
        """Keys that are subscribed, in the order they were asked for."""
        self.off: dict[Service, Off] = {}
        """Services that are not asked for now, and why."""
        self.limit: int | None = None
        """Symbols that the vendor lets this connection have, once it has refused more."""
        self.limit_said = ""
        self.table = RequestTable()
        self._take = take
        self._wire = Wire(client, self.table)
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()
        self._failure: Exception | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def symbols(self) -> int:
        """Keys that are subscribed."""
        return sum(map(len, self.held.values()))

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
            kind = LoginDeniedError if error.code == DENIED else FeedClosedError
            raise kind(f"Schwab's streamer refused the login with {error.fact}") from None

    async def ended(self) -> None:
        """Wait for the end of the connection, and raise it.

        Raises:
            FeedTakenError: another program took the stream.
            UnreadableError: data were lost.
            FeedClosedError: the connection is over.
        """
        await self._over.wait()
        raise self._failure or FeedClosedError("The connection to Schwab's streamer is closed")

    async def add(self, service: Service, keys: Sequence[str]) -> int:
        """Subscribe to more keys of a service, in requests of a safe size; return how many.

        Fewer than asked: the limit of symbols is reached, or the service is `off` now.
        """
        before = len(self.held[service])
        for chunk in chunks(keys):
            if not self._asks(service):
                break
            if not await self._fits(service, chunk):
                await self._squeeze(service, chunk)
                self.limit = self.symbols
                break
        return len(self.held[service]) - before

    async def remove(self, service: Service, keys: Sequence[str]) -> None:
        """Unsubscribe from keys of a service; where that fails they stay held."""
        for chunk in chunks(keys):
            if not self._asks(service):
                return
            try:
                await self._insist(service, "UNSUBS", chunk)
            except (RefusedError, UnansweredError) as error:
                self._switch_off(service, error)
                return
            gone = set(chunk)
            self.held[service] = [key for key in self.held[service] if key not in gone]

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
            if error.response.status_code == _UNAUTHORIZED:
                raise LoginDeniedError("Schwab does not take the access token (401)") from None
            raise

    async def _fits(self, service: Service, keys: list[str]) -> bool:
        """Ask for keys: the first request of a service replaces its list, later ones add.

        False: they are more than the limit of symbols. After any other refusal the service is off.
        """
        command = "ADD" if self.held[service] else "SUBS"
        try:
            await self._insist(service, command, keys)
        except RefusedError as error:
            if error.code == LIMIT:
                self.limit_said = error.fact
                return False
            self._switch_off(service, error)
        except UnansweredError as error:
            self._switch_off(service, error)
        else:
            self.held[service].extend(keys)
        return True

    async def _squeeze(self, service: Service, keys: list[str]) -> None:
        """Add what still fits under an unknown limit: the longest head of refused keys."""
        fits, too_many = 0, len(keys)
        while too_many - fits > 1 and self._asks(service):
            middle = (fits + too_many) // 2
            if await self._fits(service, keys[fits:middle]):
                fits = middle
            else:
                too_many = middle

    async def _insist(self, service: Service, command: str, keys: list[str]) -> None:
        """Ask; what failed or was not answered is asked once more, with no request beside it."""
        call = self._wire.request(service, command, keys, field_numbers(service))
        try:
            await self._ask(call)
        except (RefusedError, UnansweredError) as error:
            if isinstance(error, RefusedError) and error.code not in FAILED:
                raise
            log.warning("once more, alone: %s", error)
        else:
            return
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
        if code in SUCCEEDED:
            return
        _heed(response.content)
        if code == BAD_COMMAND:
            log.error("a fault of ours, please report it: %s to %s", explain(code, said), ticket)
        raise RefusedError(code, said, str(ticket))

    def _asks(self, service: Service) -> bool:
        """Return whether a service is asked for now; what is off for a while comes back here."""
        off = self.off.get(service)
        if off is not None and off.over:
            del self.off[service]
        return service not in self.off

    def _switch_off(self, service: Service, error: RefusedError | UnansweredError) -> None:
        """Ask no more for a service: on this connection, or for a while."""
        lasting = isinstance(error, RefusedError) and error.code in (NO_SERVICE, BAD_COMMAND)
        again_s = None if lasting else time.monotonic() + AGAIN_S
        self.off[service] = Off(error.fact, again_s)
        log.warning("%s is off: %s", service, error)

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
        self._take(raw, frame)
        if frame is None:
            self._unreadable(raw)
            return
        for response in frame.response:
            if self.table.settle(response):
                _heed(response.content)
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


def chunks(keys: Iterable[str], most_bytes: int = MOST_BYTES) -> Iterator[list[str]]:
    """Yield the keys in lists whose requests stay under `most_bytes`."""
    chunk: list[str] = []
    size = _REQUEST_ROOM
    for key in keys:
        if chunk and size + len(key) + 1 > most_bytes:
            yield chunk
            chunk, size = [], _REQUEST_ROOM
        chunk.append(key)
        size += len(key) + 1
    if chunk:
        yield chunk


def _heed(content: Content) -> None:
    """Raise what ends a connection, whether it is an answer or a notice."""
    if content.code == TAKEN:
        raise FeedTakenError(explain(content.code, content.msg))
    if content.code in ENDINGS:
        raise FeedClosedError(f"Schwab ends the stream with {explain(content.code, content.msg)}")


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
