"""Folds on request, beside the loop that serves the live: one thread, each fold once.

Whoever asks for the same of the same chain shares one fold, and its answer is kept until the chain
is another one. While a fold runs, a newer chain waits for the next question: so the work is bounded
by what is asked for, not by how often.
"""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final

import msgspec

from gex_pipeline.errors import UnavailableError
from gex_pipeline.feeds.cachecount import CacheCount
from gex_pipeline.gateway.answer import Image
from gex_pipeline.gateway.cache import Entry

MOST_WAITING: Final = 16
"""Folds that wait; whoever asks for more is told to come back."""
MOST_KEPT: Final = 48
TIMEOUT_S: Final = 10.0
_FOLDING: Final = "gex_pipeline.gateway.folding"

Fold = Callable[[Any, bytes], Image]
"""From the module gateway/folding.py and the chain's bytes to an answer."""


class _Folded(msgspec.Struct, frozen=True, eq=False):
    """A fold that runs or is done, and the chain that it is of."""

    entry: Entry
    version: int
    answer: "Future[Image]"

    def serves(self, entry: Entry) -> bool:
        """Whether whoever asks now is served by it: it runs, or is of the same chain."""
        if not self.answer.done():
            return True
        good = not self.answer.cancelled() and self.answer.exception() is None
        return good and self.entry is entry and self.version == entry.version


class Folds:
    """The answers of stored chains."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="fold")
        self._folded: dict[Hashable, _Folded] = {}
        self.count = CacheCount()

    async def of(self, subject: Hashable, entry: Entry, fold: Fold) -> Image:
        """Return a fold of the chain that an entry of the cache holds; `subject` names it.

        Raises:
            UnavailableError: too many wait, or it takes too long.
        """
        held = self._folded.pop(subject, None)
        if held is not None and held.serves(entry):
            self.count.hits += 1
        else:
            self.count.misses += 1
            self.count.evictions += held is not None
            self._make_room()
            data = entry.value or b""
            work = self._worker.submit(lambda: fold(import_module(_FOLDING), data))
            held = _Folded(entry, entry.version, work)
            self.count.fills += 1
        self._folded[subject] = held  # the newest stands last
        answer = asyncio.wrap_future(held.answer)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self._timeout_s)
        except TimeoutError as error:
            raise _busy(f"It was not folded within {self._timeout_s:g} s.") from error

    def close(self) -> None:
        """Fold no more; a fold that runs is not waited for."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _make_room(self) -> None:
        done = [subject for subject, each in self._folded.items() if each.answer.done()]
        if len(self._folded) - len(done) >= MOST_WAITING:
            raise _busy("Too many folds wait already.")
        for subject in done[: max(len(self._folded) - MOST_KEPT + 1, 0)]:
            del self._folded[subject]
            self.count.evictions += 1


def _busy(fact: str) -> UnavailableError:
    return UnavailableError("busy", fact, "Ask again in a moment.")
