"""Two tapes, one second: futures of one, their indexes of another, joined to rows of the basis.

The tape of the futures is cut into seconds as any lane is: the events before the first with a later
`ts_recv_ns`. A second's rows are made once both tapes have passed it. While one is silent, the
seconds of the other wait here and nothing else does; of more than a session's the oldest are let go
and have no rows.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gex_pipeline.exposure.basis import BasisState, IndexAt, advance, basis_row, restored
from gex_pipeline.exposure.live import asof_ns
from gex_pipeline.exposure.quoted import LOOK_BACK_NS, Book, taken, with_event
from gex_pipeline.exposure.underlying import Position
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Basis, Event, Heartbeat
from gex_pipeline.market.futures import roots_of

MOST_WAITING: Final = 30_000
"""Seconds of one side; a session has 24,300."""
_LATEST: Final = "SPX"
"""Options of no index quote longer."""
_NS: Final = sessions.SECOND_NS


class IndexSecond(msgspec.Struct, frozen=True):
    """What the indexes of a lane were at the end of a second."""

    ts_ns: int
    indexes: tuple[IndexAt, ...]
    positions: Mapping[str, Position]
    """Of their tape: the last event that is in."""


class BasisSecond(msgspec.Struct, frozen=True):
    """The rows of one second, always in the same order."""

    ts_ns: int
    rows: tuple[Basis, ...]


class _Run(msgspec.Struct, frozen=True):
    """Seconds at whose ends the futures' tape had said the same."""

    first_ns: int
    last_ns: int
    book: Book
    position: Position


class Pairing:
    """Reads the futures' tape in order, is told the indexes' seconds, and gives their rows."""

    def __init__(self, tape: str) -> None:
        self.tape = tape
        self.position: Position | None = None
        """After this event reading goes on; None: from the tape's beginning."""
        self.seen_ns = 0
        self.heard_ns = 0
        self.events = 0
        self.let_go = 0
        """Seconds that waited for too long."""
        self.joined_ns = 0
        """The newest second that has rows; 0: none."""
        self.open_ns = 0
        """End of the second of the futures' tape that is not complete yet; 0: before any event."""
        self._book: Book = {}
        self._states: dict[str, BasisState] = {}
        self._runs: deque[_Run] = deque()
        self._waiting: deque[IndexSecond] = deque()

    def resume(self, rows: Iterable[Basis], position: Position | None) -> None:
        """Go on behind the rows that were recorded; the tape is read from a minute before that."""
        rows = list(rows)
        self._states = restored(rows)
        self.joined_ns = max((row.ts_recv_ns for row in rows), default=0)
        self.position = position

    @property
    def waiting(self) -> int:
        """How many seconds of the indexes wait for the futures' tape."""
        return len(self._waiting)

    @property
    def waits_since_ns(self) -> int:
        """The oldest of them; the far future where there is none."""
        return self._waiting[0].ts_ns if self._waiting else 1 << 63

    @property
    def full(self) -> bool:
        """Whether the futures' tape has been read so far ahead that it had better wait."""
        return len(self._runs) >= MOST_WAITING

    @property
    def resume_position(self) -> Position | None:
        """Behind which the tape is needed again after a restart."""
        return self._runs[0].position if self._runs else self.position

    def take(self, epoch: int, events: tuple[Event, ...]) -> Iterator[BasisSecond]:
        """Take in a frame's events; yield the seconds that they complete, oldest first."""
        for event in events:
            recv_ns = event.ts_recv_ns
            if recv_ns > self.open_ns:
                self._close(recv_ns)
                yield from self._join()
            self.events += 1
            self.position = (epoch, event.seq)
            self.seen_ns = max(self.seen_ns, recv_ns)
            if isinstance(event, Heartbeat):
                self.heard_ns = recv_ns if event.connected else self.heard_ns
            else:
                self._book = with_event(self._book, event)

    def put(self, second: IndexSecond) -> list[BasisSecond]:
        """Take in a second of the indexes; return the seconds that it completes."""
        newest_ns = self._waiting[-1].ts_ns if self._waiting else self.joined_ns
        if second.ts_ns <= newest_ns or not second.indexes:
            return []
        self._waiting.append(second)
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.let_go += 1
        return list(self._join())

    def passed(self, ts_ns: int) -> None:
        """Be told that no second of the indexes before this one is still to come."""
        self._forget(max(ts_ns, self.joined_ns))

    def _close(self, recv_ns: int) -> None:
        """Complete the seconds that end before `recv_ns`."""
        last_ns = (recv_ns - 1) // _NS * _NS
        if self.open_ns and self.position:
            self._runs.append(_Run(self.open_ns, last_ns, self._book, self.position))
            if _is_quiet(self._runs[0]):
                self._forget(last_ns)
        self.open_ns = last_ns + _NS

    def _join(self) -> Iterator[BasisSecond]:
        while self._waiting and self._waiting[0].ts_ns < self.open_ns:
            yield self._joined(self._waiting.popleft())
            self._forget(self.joined_ns)

    def _joined(self, second: IndexSecond) -> BasisSecond:
        ts_ns = self.joined_ns = second.ts_ns
        run = next((run for run in self._runs if run.first_ns <= ts_ns <= run.last_ns), None)
        book: Book = run.book if run else {}
        positions = {**second.positions, **({self.tape: run.position} if run else {})}
        text = msgspec.json.encode(dict(sorted(positions.items()))).decode()
        rows = []
        for index in second.indexes:
            for root in roots_of(index.symbol):
                future = taken(book, root, ts_ns)
                state = advance(self._states.get(root, BasisState()), ts_ns, future, index)
                self._states[root] = state
                rows.append(basis_row(root, ts_ns, state, (future, index), text))
        return BasisSecond(ts_ns, tuple(rows))

    def _forget(self, through_ns: int) -> None:
        """Let go what no second behind this one needs, nor a restart there."""
        if self._waiting:
            through_ns = min(through_ns, self._waiting[0].ts_ns)
        while len(self._runs) > 1 and self._runs[1].first_ns <= through_ns - LOOK_BACK_NS:
            self._runs.popleft()


def _is_quiet(run: _Run) -> bool:
    """Whether no index has figures of these seconds: options do not quote."""
    return asof_ns(run.first_ns, _LATEST) < run.first_ns and run.last_ns - run.first_ns <= _NS


def read_from(tape: str, rows: Sequence[Basis], stored: Position | None) -> Position | None:
    """Return from where the futures' tape is read again behind recorded rows, oldest first.

    That is a minute before the newest row, or what was `resume_position`, whichever is later: after
    the close no rows are made, and the tape goes on. None: from its beginning.
    """
    since_ns = rows[-1].ts_recv_ns - LOOK_BACK_NS if rows else 0
    early = [row.positions for row in rows if row.ts_recv_ns <= since_ns][-1:]
    found = [msgspec.json.decode(text, type=dict[str, Position]).get(tape) for text in early]
    return max((one for one in (*found, stored) if one is not None), default=None)
