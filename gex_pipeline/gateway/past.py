"""Questions to the lake, beside the loop that serves the live: in threads, a few, with a limit.

What reads the lake needs libraries that take longer to load than all else that is served: they are
loaded with the first question.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from gex_pipeline.errors import ConventionError, UnavailableError
from gex_pipeline.exposure.futures import InForce
from gex_pipeline.exposure.scopes import check_scope
from gex_pipeline.exposure.surface import Asked
from gex_pipeline.gateway.age import Limits, freshness
from gex_pipeline.gateway.answer import (
    PARTS,
    FuturePrice,
    Part,
    encode_answer,
    split_snapshot,
    stamp,
)
from gex_pipeline.gateway.changes import moved_changes
from gex_pipeline.gateway.futures import aged, basis_then, moved_image
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.futures import index_of, root_of

WORKERS: Final = 2
MOST_WAITING: Final = 16
"""Questions that wait; more are told to come back."""
_ASOF: Final = "gex_pipeline.gateway.asof"
_FOLDING: Final = "gex_pipeline.gateway.folding"
_CHANGED: Final = "gex_pipeline.gateway.changed"
_BASIS: Final = "gex_pipeline.lake.basis"
_HISTORY: Final = "gex_pipeline.gateway.history"


class Past:
    """What the lake below a root answers."""

    def __init__(self, root: Path, limits: Limits, timeout_s: float) -> None:
        self._root, self._limits, self._timeout_s = root, limits, timeout_s
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="past")
        self._asked = 0

    async def at(self, symbol: str, scope: str, ts_ns: int, part: str) -> bytes:
        """Return the JSON of a part of the figures as of a moment, stamped as it was then.

        Raises:
            ConventionError: a scope or part of an unknown name.
            NotRecordedError: the lake does not hold the moment.
            UnavailableError: no answer in time.
        """
        known: dict[str, Part] = {name: name for name in PARTS}
        if part not in known:
            raise ConventionError("Part", part, tuple(PARTS))
        return await self._ask(lambda: self._at(symbol, scope, ts_ns, known[part]))

    async def surface(self, symbol: str, asked: Asked, ts_ns: int) -> bytes:
        """Return the JSON of a surface as of a moment, stamped as it was then.

        Raises:
            ConventionError, NotRecordedError, UnavailableError: as `at`.
        """
        return await self._ask(lambda: self._surface(symbol, asked, ts_ns))

    async def history(self, **asked: Any) -> bytes:
        """Return the JSON of figures over time.

        Raises:
            ConventionError, NotRecordedError, TooMuchError: as gateway/history.py.
            UnavailableError: no answer in time.
        """

        def answer() -> bytes:
            module: Any = import_module(_HISTORY)
            return msgspec.json.encode(module.history(self._root, module.Asked(**asked)))

        return await self._ask(answer)

    async def gaps(self, start_ns: int, end_ns: int) -> bytes:
        """Return the JSON of the gaps that reach into a time.

        Raises:
            NotRecordedError, TooMuchError, UnavailableError: as `history`.
        """

        def answer() -> bytes:
            module: Any = import_module(_HISTORY)
            return msgspec.json.encode(module.gaps(self._root, start_ns, end_ns))

        return await self._ask(answer)

    async def changes(self, symbol: str, scope: str, ts_ns: int) -> bytes:
        """Return the JSON of what changed up to a moment, stamped as it was then.

        Raises:
            ConventionError, NotRecordedError: as gateway/changed.py.
            UnavailableError: no answer in time.
        """
        return await self._ask(lambda: self._changes(symbol, scope, ts_ns))

    def close(self) -> None:
        """Take no more questions; one that is being answered is not waited for."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _at(self, symbol: str, scope: str, ts_ns: int, part: Part) -> bytes:
        index = index_of(symbol)
        paths = LakePaths(self._root)
        snapshot = import_module(_ASOF).figures_at(paths, index or symbol, scope, ts_ns)
        fresh = freshness(index or symbol, snapshot.ts_recv_ns, ts_ns, self._limits)
        data = msgspec.json.encode(snapshot)
        if index is None:
            return encode_answer(split_snapshot(data), part, stamp(snapshot.mode, fresh))
        basis, price = self._basis(symbol, snapshot.ts_event_ns, ts_ns)
        beside = {"basis": basis, "future_price": price}
        stamped = stamp(snapshot.mode, aged(fresh, basis)) | beside
        return encode_answer(moved_image(data, symbol, basis), part, stamped)

    def _basis(self, symbol: str, since_ns: int, ts_ns: int) -> tuple[InForce, FuturePrice | None]:
        """Return the basis of a future that was recorded between two moments."""
        paths = LakePaths(self._root)
        rows = import_module(_BASIS).newest_rows(paths, ts_ns, 1, root_of(symbol))
        kept = rows[-1] if rows and rows[-1].ts_recv_ns >= since_ns else None
        return basis_then(symbol, kept, ts_ns, self._limits.basis_stale_after_s)

    def _changes(self, symbol: str, scope: str, ts_ns: int) -> bytes:
        index = index_of(symbol)
        found = import_module(_CHANGED).changed(self._root, index or symbol, scope, ts_ns)
        answer, beside = found.answer, {}
        fresh = freshness(index or symbol, answer.ts_event_ns, ts_ns, self._limits)
        if index is not None:
            basis, price = self._basis(symbol, answer.ts_event_ns, ts_ns)
            answer, fresh = moved_changes(answer, symbol, basis), aged(fresh, basis)
            beside = {"index": index, "basis": basis, "future_price": price}
        stamped = stamp(found.mode, fresh) | beside
        return msgspec.json.encode({**msgspec.structs.asdict(answer), **stamped})

    def _surface(self, symbol: str, asked: Asked, ts_ns: int) -> bytes:
        check_scope(asked.scope)
        image = import_module(_ASOF).image_of(LakePaths(self._root), symbol, ts_ns)
        answer = import_module(_FOLDING).surface_of(image, asked)
        fresh = freshness(symbol, answer.ts_ns, ts_ns, self._limits)
        return encode_answer(answer, "whole", stamp(image.mode, fresh))

    async def _ask(self, question: Callable[[], bytes]) -> bytes:
        if self._asked >= MOST_WAITING:
            raise UnavailableError(
                "busy", "Too many questions to the lake wait already.", "Ask again in a moment."
            )
        self._asked += 1
        work = self._workers.submit(question)
        work.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(work)), self._timeout_s
            )
        except TimeoutError as error:
            work.cancel()
            raise UnavailableError(
                "timeout",
                f"The lake did not answer within {self._timeout_s:g} s.",
                "Ask for less: a shorter time, a wider interval; or raise GEX_QUERY_TIMEOUT_S.",
            ) from error

    def _answered(self, _: Future[bytes]) -> None:
        self._asked -= 1
