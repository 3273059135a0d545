"""What one connection is subscribed to, and what becomes of requests that are refused.

A service that is not there is left out, a command that fails is asked once more alone, and a limit
of symbols is learned to the symbol. What Schwab leaves unanswered costs its service and no other.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from gex_pipeline.errors import FeedError
from gex_pipeline.feeds.schwab.codes import BAD_COMMAND, FAILED, LIMIT, NO_SERVICE, explain
from gex_pipeline.feeds.schwab.fields import ITEMS, Service

MOST_BYTES: Final = 48_000
"""Of one request; Schwab closes the socket at 65,535."""
AGAIN_S: Final = 5.0
"""A service whose requests failed or were not answered is asked again after so long: twice that the
next time, and so on up to a minute.
"""
_LONGEST_AGAIN_S: Final = 60.0
_REQUEST_ROOM: Final = 2_000

log = logging.getLogger(__name__)


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


class Subscriptions(ABC):
    """The keys of one connection by service; how a request is asked is the connection's."""

    def __init__(self) -> None:
        self.held: dict[Service, list[str]] = {service: [] for service in ITEMS}
        """Keys that are subscribed, in the order they were asked for."""
        self.off: dict[Service, Off] = {}
        """Services that are not asked for now, and why."""
        self.limit: int | None = None
        """Symbols that the vendor lets us have, if the newest `add` was more than that."""
        self.limit_said = ""
        self._failures: Counter[Service] = Counter()
        """Times in a row that a service was switched off."""

    @property
    def symbols(self) -> int:
        """Keys that are subscribed."""
        return sum(map(len, self.held.values()))

    async def add(self, service: Service, keys: Sequence[str]) -> int:
        """Subscribe to more keys of a service, in requests of a safe size; return how many.

        Fewer than asked: the limit of symbols is reached, or the service is `off` now.
        """
        self.limit = None
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

    @abstractmethod
    def _call(self, service: Service, command: str, keys: list[str]) -> Callable[[], Any]:
        """Return what writes a request."""

    @abstractmethod
    async def _ask(self, call: Callable[[], Any]) -> None:
        """Write a request and wait for its answer.

        Raises:
            RefusedError: it is answered with a failure.
            UnansweredError: it is not answered in time.
        """

    @abstractmethod
    async def _ask_alone(self, call: Callable[[], Any]) -> None:
        """Do so while no other request is open."""

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
            del self._failures[service]
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
        call = self._call(service, command, keys)
        try:
            await self._ask(call)
        except (RefusedError, UnansweredError) as error:
            if isinstance(error, RefusedError) and error.code not in FAILED:
                raise
            log.warning("once more, alone: %s", error)
        else:
            return
        await self._ask_alone(call)

    def _asks(self, service: Service) -> bool:
        """Return whether a service is asked for now; what is off for a while comes back here."""
        off = self.off.get(service)
        if off is not None and off.over:
            del self.off[service]
        return service not in self.off

    def _switch_off(self, service: Service, error: RefusedError | UnansweredError) -> None:
        """Ask no more for a service: on this connection, or for a while."""
        lasting = isinstance(error, RefusedError) and error.code in (NO_SERVICE, BAD_COMMAND)
        wait_s = min(_LONGEST_AGAIN_S, AGAIN_S * 2 ** self._failures[service])
        self.off[service] = Off(error.fact, None if lasting else time.monotonic() + wait_s)
        self._failures[service] += 1
        log.warning("%s is off: %s", service, error)


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
