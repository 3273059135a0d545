"""Futures beside the engine's indexes: their tape read, each second's basis recorded and published.

Two threads come here: the engine's loop with the futures' tape, the worker with the seconds of the
indexes that it has folded. Rows are recorded before they are published, under one lock.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gex_pipeline.engine.backlog import Backlog
from gex_pipeline.engine.inlet import Inlet
from gex_pipeline.engine.publish import Publisher
from gex_pipeline.engine.record import Recording
from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import LiveSnapshot
from gex_pipeline.exposure.pairing import BasisSecond, IndexSecond, Pairing, read_from
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS

LATE_NS: Final = 60 * SECOND_NS
"""So long a tape may be behind the other and only be late."""


def begin_futures(
    lane: Lane,
    recorder: Recording,
    tape: tuple[TapeReader, Backlog | None, Position | None],
    publisher: Publisher,
) -> "Futures":
    """Return the futures of a lane's indexes, going on behind the newest rows that were recorded.

    `tape` is theirs, what the hot store no longer has of it, and where the engine last said that it
    is needed again. The lane makes the seconds again that have no rows yet.
    """
    reader, backlog, stored = tape
    rows, pairing = recorder.newest_basis(), Pairing(reader.tape)
    pairing.resume(rows, read_from(reader.tape, rows, stored))
    if rows:
        lane.reopen(pairing.joined_ns + SECOND_NS)
    inlet = Inlet(pairing, reader, backlog, whole=lane.position is None)
    told = bool(rows) or reader.end() is not None
    return Futures(pairing, inlet, recorder, publisher, lane.tape, told=told)


class Futures:
    """The basis of the futures of some indexes."""

    def __init__(
        self,
        pairing: Pairing,
        inlet: Inlet[BasisSecond],
        recorder: Recording,
        publisher: Publisher,
        index_tape: str,
        *,
        told: bool,
    ) -> None:
        """Prepare it; `told` says that there is a tape of the futures at all."""
        self.pairing = pairing
        self.reading = False
        """Whether rows of what was read may not be kept yet."""
        self._inlet, self._index_tape, self._told = inlet, index_tape, told
        self._recorder, self._publisher = recorder, publisher
        self._lock = threading.Lock()

    def turn(self, stop: threading.Event, index_ns: int, *, idle: bool) -> bool:
        """Read what there is, up to a limit; return whether there may be more.

        `index_ns` is the end of the indexes' second that is not complete yet; `idle` says that all
        seconds before it were folded.
        """
        more = False
        if idle:
            with self._lock:
                self.pairing.passed(index_ns - SECOND_NS)
        if not self.pairing.full:
            self.reading = True
            for seconds in self._inlet.read(stop):
                with self._lock:
                    self._keep(list(seconds))
            more = self._inlet.more
        self.reading = False
        if self.pairing.resume_position:
            self._publisher.resumes(self.pairing.tape, Position(*self.pairing.resume_position))
        return more

    def take(
        self,
        tape: str,
        second: Second,
        folded: Iterable[tuple[Image, Mapping[str, LiveSnapshot]]],
    ) -> bool:
        """Take in a folded second; return whether its chains must not be stored yet.

        That is so while rows of seconds before it wait for a tape that is only late: a restart from
        those chains would leave the rows out.
        """
        if tape != self._index_tape:
            return False
        indexes = tuple(
            index_at(image, snapshots["all"], second.ts_ns)
            for image, snapshots in folded
            if roots_of(image.symbol)
        )
        positions = second.images[0].positions if second.images else {}
        with self._lock:
            self._keep(self.pairing.put(IndexSecond(second.ts_ns, indexes, positions)))
            told = self._told or self.pairing.open_ns > 0
            return told and 0 < second.ts_ns - self.pairing.waits_since_ns <= LATE_NS

    def status(self) -> dict[str, int]:
        """Return what the status hash says of it."""
        return {
            "basis_ns": self.pairing.joined_ns,
            "basis_waiting": self.pairing.waiting,
            "basis_let_go": self.pairing.let_go,
        }

    def _keep(self, seconds: Sequence[BasisSecond]) -> None:
        for second in seconds:
            self._recorder.write(second.ts_ns, second.rows)
        if seconds:
            self._publisher.basis(seconds[-1].rows)
