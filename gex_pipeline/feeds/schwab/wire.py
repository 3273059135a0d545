"""schwab-py's stream client without its waits: it opens the socket and writes requests, no more.

The only place that touches what is private in schwab-py, and why: its requests and its reader share
one lock, which the reader holds while it waits for a frame. So a request in a quiet stream waits
for the next frame, and one that is never answered holds the lock for ever. Here each request is
noted in our own table, written, and left; the frames are read past the library. `check_wire` proves
at each start that the installed version still lets itself be used like this.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec

from gex_pipeline.errors import LibraryError
from gex_pipeline.feeds.schwab.library import AsyncOAuth2Client, StreamClient, http
from gex_pipeline.feeds.schwab.openrequests import RequestTable, Response, Ticket

_KNOWN: Final = "1.5.1"
_SHORTEST_SECRET: Final = 8
_MASK: Final = "…"


class Methods(NamedTuple):
    """What schwab-py's methods of a service begin with, and the enum of the fields they take."""

    stem: str
    fields: Any = None


METHODS: Final = {
    "LEVELONE_EQUITIES": Methods("level_one_equity", StreamClient.LevelOneEquityFields),
    "LEVELONE_OPTIONS": Methods("level_one_option", StreamClient.LevelOneOptionFields),
    "LEVELONE_FUTURES": Methods("level_one_futures", StreamClient.LevelOneFuturesFields),
    "LEVELONE_FUTURES_OPTIONS": Methods(
        "level_one_futures_options", StreamClient.LevelOneFuturesOptionsFields
    ),
    "LEVELONE_FOREX": Methods("level_one_forex", StreamClient.LevelOneForexFields),
    "CHART_EQUITY": Methods("chart_equity"),
    "CHART_FUTURES": Methods("chart_futures"),
    "NYSE_BOOK": Methods("nyse_book"),
    "NASDAQ_BOOK": Methods("nasdaq_book"),
    "OPTIONS_BOOK": Methods("options_book"),
}
"""By the service's name on the wire."""


class Wire(StreamClient):  # type: ignore[misc] # schwab-py has no types
    """The socket of one connection."""

    def __init__(self, client: Any, table: RequestTable) -> None:
        super().__init__(client)
        self._table = table
        self._made: list[Ticket] = []
        self._token = ""
        """The access token that the login was sent with."""

    async def write(self, call: Callable[[], Any]) -> Ticket:
        """Write the one request that a schwab-py method makes; return its place in the table.

        One call at a time: what is made meanwhile must be this one's.
        """
        self._made.clear()
        await call()
        return self._made.pop()

    async def frame(self) -> str | bytes:
        """Return the next frame of the socket."""
        raw: str | bytes = await self._socket.recv()
        return raw

    def masked(self, raw: str | bytes) -> str | bytes:
        """Return a frame without the secrets of this connection: answers repeat some of them."""
        named = (self._token, self._stream_customer_id, self._stream_correl_id)
        for secret in named:
            if not secret or len(secret) < _SHORTEST_SECRET:
                continue
            if isinstance(raw, str):
                raw = raw.replace(secret, _MASK)
            else:
                raw = raw.replace(secret.encode(), _MASK.encode())
        return raw

    @property
    def is_open(self) -> bool:
        """Whether the socket still listens."""
        return self._socket is not None and self._socket.open

    async def hang_up(self) -> None:
        """Close the socket; schwab-py has no way to."""
        if self._socket is not None:
            await self._socket.close()

    def drop(self) -> None:
        """Give the socket up without waiting for the other side, which may be dead."""
        if self._socket is not None:
            self._socket.fail_connection()

    def request(
        self, service: str, command: str, keys: list[str], numbers: tuple[int, ...]
    ) -> Callable[[], Any]:
        """Return the call for SUBS, ADD or UNSUBS of a service, with the fields if it takes any."""
        stem, kind = METHODS[service]
        method = getattr(self, f"{stem}_{command.lower()}")
        if kind is None or command == "UNSUBS":
            return lambda: method(keys)
        fields = [kind(number) for number in numbers]
        return lambda: method(keys, fields=fields)

    def _make_request(
        self, *, service: str, command: str, parameters: dict[str, Any]
    ) -> tuple[dict[str, Any], int]:
        """Note each request before it is written: its answer may be there before we look."""
        made: tuple[dict[str, Any], int] = super()._make_request(
            service=service, command=command, parameters=parameters
        )
        number = made[0]["requestid"]
        self._token = parameters.get("Authorization", self._token)
        self._made.append(self._table.open(number, service, command, parameters))
        return made

    async def _await_response(self, *_: object) -> None:
        """Wait for nothing: the table has the answer, and the lock is free again."""


async def check_wire() -> None:
    """See that the libraries still do what we stand on.

    schwab-py: one request, written, not waited for. authlib: a session of the library that we take
    transports and errors from, httpx or httpx2.

    Raises:
        LibraryError: an installed version does it in another way.
    """
    if not issubclass(AsyncOAuth2Client, http.AsyncClient):
        raise LibraryError(
            f"authlib's session is none of {http.__name__}", "Install authlib below version 2"
        )
    table = RequestTable()
    wire = Wire(None, table)
    wire._socket = paper = _Paper()
    for service in METHODS:
        for command in ("SUBS", "ADD", "UNSUBS"):
            try:
                ticket = await wire.write(wire.request(service, command, ["A", "B"], (0, 1)))
                (sent,) = msgspec.json.decode(paper.written.pop())["requests"]
                keys = sent["parameters"]["keys"]
                told = sent["service"], sent["command"], sent["requestid"], keys
            except Exception as error:
                raise LibraryError(*_changed(f"{type(error).__name__} at {service}")) from error
            if told != (service, command, ticket.number, "A,B") or len(table) != 1:
                raise LibraryError(*_changed(f"{command} of {service} is written in another way"))
            table.settle(Response(ticket.number))


class _Paper:
    """Stands for a socket: keeps what is written."""

    def __init__(self) -> None:
        self.written: list[str] = []

    async def send(self, text: str) -> None:
        self.written.append(text)


def _changed(what: str) -> tuple[str, str]:
    fact = f"schwab-py {version('schwab-py')} is not the library that this program knows ({what})"
    return fact, f"Install the pinned one: pip install schwab-py=={_KNOWN}"
