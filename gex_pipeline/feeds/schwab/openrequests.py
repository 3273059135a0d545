"""The requests of one connection by their number: each is answered, given up, or failed, once.

Schwab answers a refused request twice (19, then 24), answers late, or never; so an answer is
matched by the request's number and by nothing else, and what settles no open request is told apart
and counted instead of being taken for another request's answer.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from typing import Any, Final, Literal

import msgspec

from gex_pipeline.feeds.schwab.codes import explain

_REMEMBERED: Final = 1_000
"""Requests that a second answer is still recognised of."""
_SHOWN: Final = 3

Stray = Literal["second", "late", "unknown"]
"""second: the request was answered before. late: it was given up. unknown: no request of ours."""

log = logging.getLogger(__name__)


class Content(msgspec.Struct):
    """What an answer or a notice says."""

    code: int = -1
    msg: str = ""


class Response(msgspec.Struct):
    """One answer."""

    requestid: str | int = ""
    service: str = ""
    command: str = ""
    content: Content = msgspec.field(default_factory=Content)


class Ticket:
    """One open request."""

    def __init__(self, number: str, service: str, command: str, parameters: dict[str, Any]) -> None:
        self.number = number
        self.service = service
        self.command = command
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._of = _said(parameters)

    def __str__(self) -> str:
        """What a person may read of it: no token, and of many keys the first."""
        return f"request {self.number}, {self.command} to {self.service}{self._of}"


class RequestTable:
    """The requests of one connection."""

    def __init__(self) -> None:
        self.strays: Counter[Stray] = Counter()
        """Answers that settled nothing."""
        self.unanswered = 0
        """Requests that were given up."""
        self._open: dict[str, Ticket] = {}
        self._closed: OrderedDict[str, Stray] = OrderedDict()
        self._failure: Exception | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Requests that wait for their answer."""
        return len(self._open)

    def open(self, number: str, service: str, command: str, parameters: dict[str, Any]) -> Ticket:
        """Note a request that is about to be sent; on a dead connection it fails at once."""
        ticket = Ticket(number, service, command, parameters)
        if self._failure is not None:
            _fail(ticket, self._failure)
            return ticket
        self._open[number] = ticket
        self._idle.clear()
        return ticket

    def settle(self, response: Response) -> Stray | None:
        """Give an answer to the request that it is of; None: it was awaited."""
        number = str(response.requestid)
        ticket = self._open.get(number)
        if ticket is None:
            return self._stray(number, response)
        self._close(ticket, "second")
        if not ticket.answer.done():
            ticket.answer.set_result(response)
        return None

    def give_up(self, ticket: Ticket) -> None:
        """Wait no more for an answer."""
        self.unanswered += 1
        self._close(ticket, "late")
        log.warning("unanswered: %s", ticket)

    def fail(self, error: Exception) -> None:
        """Fail what is open and what comes: the connection is over."""
        self._failure = error
        for ticket in list(self._open.values()):
            self._close(ticket, "late")
            _fail(ticket, error)

    async def settled(self) -> None:
        """Return when no request is open."""
        await self._idle.wait()

    def _close(self, ticket: Ticket, further: Stray) -> None:
        """Take a request off the table; `further` is what another answer to it would be."""
        self._open.pop(ticket.number, None)
        self._closed[ticket.number] = further
        if len(self._closed) > _REMEMBERED:
            self._closed.popitem(last=False)
        if not self._open:
            self._idle.set()

    def _stray(self, number: str, response: Response) -> Stray:
        kind: Stray = self._closed.get(number, "unknown")
        self.strays[kind] += 1
        said = explain(response.content.code, response.content.msg)
        shown = number if number.isdecimal() else "without a number"
        log.info("a %s answer to request %.20s: %s", kind, shown, said)
        return kind


def _said(parameters: dict[str, Any]) -> str:
    """Return keys and fields; a login has neither, and the rest of it is secret."""
    keys = str(parameters.get("keys", "")).split(",")
    if keys == [""]:
        return ""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    fields = f", fields {parameters['fields']}" if "fields" in parameters else ""
    return f" of {', '.join(keys[:_SHOWN])}{more}{fields}"


def _fail(ticket: Ticket, error: Exception) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)
        ticket.answer.exception()  # whoever asked may be gone; then nobody is to be told
