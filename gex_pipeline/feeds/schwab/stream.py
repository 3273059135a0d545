"""The streamer socket: schwab-py signs in and subscribes, the decoder tap takes the data.

schwab-py relabels every field of every item, which costs twenty times the decoding; so its public
`set_json_decoder` gives us each frame as it came, and schwab-py sees the answers to its requests
only. What would break it is kept from it: late and second answers, notices, and the success codes
that it takes for failures.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gex_pipeline.errors import FeedClosedError, FeedError, FeedTakenError, GexError
from gex_pipeline.feeds.schwab.client import told
from gex_pipeline.feeds.schwab.decode import Block
from gex_pipeline.feeds.schwab.fields import EQUITIES, FUTURES, OPTIONS, Service, field_numbers
from gex_pipeline.feeds.schwab.library import (
    StreamClient,
    StreamJsonDecoder,
    UnexpectedResponse,
    UnexpectedResponseCode,
)

MOST_BYTES = 48_000
"""Of one request; Schwab closes the socket at 65,535."""
_REQUEST_ROOM = 2_000
_LOGIN_ID = "0"
_OK = 0
_DENIED, _NO_SERVICE, _TAKEN, _LIMIT = 3, 11, 12, 19
_DONE = frozenset({26, 27, 28, 29})
_CLOSE_WAIT_S = 2.0
_METHODS = {EQUITIES: "level_one_equity", OPTIONS: "level_one_option", FUTURES: "level_one_futures"}
_FIELDS = {
    EQUITIES: StreamClient.LevelOneEquityFields,
    OPTIONS: StreamClient.LevelOneOptionFields,
    FUTURES: StreamClient.LevelOneFuturesFields,
}

log = logging.getLogger(__name__)


class LoginDeniedError(FeedClosedError):
    """The access token was not taken."""


class RefusedError(FeedError):
    """A request was answered with a code of failure; the connection goes on."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"Schwab refused a subscription with code {code} ({said})")
        self.code = code

    @property
    def limit_reached(self) -> bool:
        """Whether it was one symbol too many."""
        return self.code == _LIMIT


class _Content(msgspec.Struct):
    code: int = -1
    msg: str = ""


class _Response(msgspec.Struct):
    requestid: str = ""
    service: str = ""
    command: str = ""
    content: _Content = msgspec.field(default_factory=_Content)


class _Notice(msgspec.Struct):
    heartbeat: str | int | None = None
    service: str = ""
    content: _Content = msgspec.field(default_factory=_Content)


class StreamFrame(msgspec.Struct):
    """One text frame of the socket."""

    data: list[Block] = []
    notify: list[_Notice] = []
    response: list[_Response] = []


_decoder = msgspec.json.Decoder(StreamFrame)


def read_frame(raw: str | bytes) -> StreamFrame | None:
    """Return a text frame's parts; None: it is no streamer JSON."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Tap(StreamJsonDecoder):  # type: ignore[misc] # schwab-py has no types
    """Stands where schwab-py decodes: hands each frame on as it came, lets expected answers pass.

    `take` gets the text and what it holds, None where that cannot be read.
    """

    def __init__(self, take: Callable[[str | bytes, StreamFrame | None], None]) -> None:
        self.frames = 0
        self.unreadable = 0
        self.awaited: str | None = None
        """Number of the request that schwab-py waits for."""
        self._take = take

    def decode_json_string(self, raw: str | bytes) -> dict[str, Any]:
        """Return what schwab-py is to see of a frame: an awaited answer, or nothing."""
        self.frames += 1
        frame = read_frame(raw)
        self._take(raw, frame)
        if frame is None:
            self.unreadable += 1
            log.warning("a frame of %d characters is no streamer JSON; counted", len(raw))
            return {}
        for notice in frame.notify:
            _heed(notice)
        return self._answer(frame.response)

    def _answer(self, responses: list[_Response]) -> dict[str, Any]:
        for response in responses:
            if response.requestid == self.awaited:
                self.awaited = None
                if response.content.code in _DONE:
                    response.content.code = _OK
                return {"response": [msgspec.to_builtins(response)]}
            log.info("answer %s to no open request", response.content.code)
        return {}


class Stream:
    """One connection, from LOGIN to its end; a new one is a new object."""

    def __init__(self, client: Any, tap: Tap, *, timeout_s: float) -> None:
        self.tap = tap
        self.timeout_s = timeout_s
        self.held: dict[Service, list[str]] = {EQUITIES: [], FUTURES: [], OPTIONS: []}
        """Keys that are subscribed, in the order they were asked for."""
        self._stream = StreamClient(client)
        self._stream.set_json_decoder(tap)
        self._requests = 0

    async def login(self) -> None:
        """Open the socket and sign in.

        Raises:
            LoginDeniedError: the access token is not taken.
            FeedError: no connection.
        """
        arguments = {"max_size": None, "open_timeout": self.timeout_s, "close_timeout": 1}
        try:
            await self._request(self._stream.login(websocket_connect_args=arguments))
        except RefusedError as error:
            if error.code == _DENIED:
                raise LoginDeniedError("Schwab's streamer denied the login") from error
            raise FeedClosedError(str(error)) from error

    async def add(self, service: Service, keys: Sequence[str]) -> int:
        """Subscribe to more keys of a service, in requests of a safe size; return how many.

        Fewer than asked: the limit of symbols is reached.
        """
        added = 0
        for chunk in chunks(keys):
            try:
                await self._subscribe(service, chunk)
            except RefusedError as error:
                if error.code == _NO_SERVICE:
                    log.warning("%s is not available to this account", service)
                    return added
                if not error.limit_reached:
                    raise
                return added + await self._squeeze(service, chunk)
            added += len(chunk)
        return added

    async def remove(self, service: Service, keys: Sequence[str]) -> None:
        """Unsubscribe from keys of a service."""
        for chunk in chunks(keys):
            await self._request(self._method(service, "unsubs")(chunk))
            gone = set(chunk)
            self.held[service] = [key for key in self.held[service] if key not in gone]

    async def read(self) -> None:
        """Take the next frame; data go to the tap.

        Raises:
            FeedTakenError: another program took the stream.
            FeedClosedError: the connection is over.
        """
        with _closing():
            try:
                await self._stream.handle_message()
            except UnexpectedResponse:
                log.info("an answer to no request of ours")

    async def close(self) -> None:
        """Say goodbye if the socket still listens, and close it."""
        socket = self._stream._socket  # schwab-py offers no way to close
        if socket is None:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                if socket.open:
                    await self._request(self._stream.logout())
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await socket.close()

    async def _subscribe(self, service: Service, keys: list[str]) -> None:
        """Ask for keys: the first request of a service replaces its list, later ones add."""
        command = "add" if self.held[service] else "subs"
        kind = _FIELDS[service]
        fields = [kind(number) for number in field_numbers(service)]
        await self._request(self._method(service, command)(keys, fields=fields))
        self.held[service].extend(keys)

    async def _squeeze(self, service: Service, keys: list[str]) -> int:
        """Add what still fits under an unknown limit: halves of a refused request."""
        added = 0
        while len(keys) > 1:
            keys = keys[: len(keys) // 2]
            try:
                await self._subscribe(service, keys)
            except RefusedError as error:
                if not error.limit_reached:
                    raise
            else:
                added += len(keys)
                break
        return added

    def _method(self, service: Service, command: str) -> Any:
        return getattr(self._stream, f"{_METHODS[service]}_{command}")

    async def _request(self, call: Any) -> None:
        """Send one request and wait for its answer; a late one means a dead connection."""
        self.tap.awaited = str(self._requests)
        self._requests += 1
        with _closing():
            try:
                async with told(), asyncio.timeout(self.timeout_s):
                    await call
            except UnexpectedResponseCode as error:
                content = error.response["response"][0]["content"]
                raise RefusedError(content["code"], content["msg"]) from None
            except TimeoutError:
                raise FeedClosedError("Schwab's streamer left a request unanswered") from None
            finally:
                self.tap.awaited = None


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


def _heed(notice: _Notice) -> None:
    """Raise what a notice means; a heartbeat means life, which the tap has noted."""
    if notice.heartbeat is not None:
        return
    code, said = notice.content.code, notice.content.msg
    if code == _TAKEN:
        raise FeedTakenError(said)
    raise FeedClosedError(f"Schwab ends the stream with code {code} ({said})")


@contextlib.contextmanager
def _closing() -> Iterator[None]:
    """Turn the ends of a socket into ours."""
    try:
        yield
    except GexError:  # a full spool, for one, is no fault of the socket
        raise
    except Exception as error:  # schwab-py and websockets raise of every kind
        fact = f"The connection to Schwab's streamer broke ({type(error).__name__})"
        raise FeedClosedError(fact) from error
