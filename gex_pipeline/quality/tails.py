"""Which events of a tape are settled: counted by the ledger counts of their own owner behind them.

A killed owner leaves a tail: the events behind its last settlement. They are there, and what the
socket received in that time nobody can say any more.
"""

from collections import Counter
from typing import NamedTuple

from gex_pipeline.quality.closing import Cell, Unsettled
from gex_pipeline.quality.ledger import MINUTE_NS


class Mark(NamedTuple):
    """An event of our own on a tape, by its place and time."""

    seq: int
    ts_ns: int


START = Mark(0, -1)


class Tail:
    """The events behind one mark, and before the restart that follows, if one does."""

    def __init__(self, after: Mark) -> None:
        self.after = after
        self.before: Mark | None = None
        self.rows: Counter[Cell] = Counter()

    def holds(self, seq: int) -> bool:
        """Whether an event of that number is of this tail."""
        return self.after.seq < seq and (self.before is None or seq < self.before.seq)

    def add(self, table: str, ts_ns: int, count: int = 1) -> None:
        """Count rows of the minute of that time."""
        self.rows[ts_ns - ts_ns % MINUTE_NS, table] += count

    def told(self, first_ns: int) -> Unsettled:
        """Return what the report says; `first_ns` is the time of the day's first event."""
        events: Counter[str] = Counter()
        for (_, table), count in self.rows.items():
            events[table] += count
        return Unsettled(
            after_seq=self.after.seq,
            before_seq=self.before.seq if self.before else None,
            from_ns=self.after.ts_ns if self.after.seq else first_ns - 1,
            minutes=len({minute_ns for minute_ns, _ in self.rows}),
            to_ns=self.before.ts_ns if self.before else None,
            events=dict(events),
        )


class Tails:
    """The tails of one tape's day; settlements and restarts come in the order of their seqs."""

    def __init__(self) -> None:
        self.closed: list[Tail] = []
        self.open = Tail(START)
        self._restarted_ns = -1

    def settled(self, mark: Mark) -> Counter[Cell]:
        """Note a settlement; return the rows that it settles."""
        rows = self.open.rows
        self.open = Tail(mark)
        return rows

    def restarted(self, mark: Mark, from_ns: int) -> None:
        """Note a gap of a restart: another owner writes from there on.

        A second one that begins where the first ended is of the same owner, before its first data.
        """
        if from_ns != self._restarted_ns:
            self.open.before = mark
            self.closed.append(self.open)
            self.open = Tail(mark)
        self._restarted_ns = mark.ts_ns

    def all(self) -> list[Tail]:
        """Return the tails that restarts ended, and the open one."""
        return [*self.closed, self.open]
