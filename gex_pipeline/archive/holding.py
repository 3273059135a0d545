"""What is held of one tape and session date, counted as it is read, place by place."""

from collections import Counter

from gex_pipeline.market.arrays import Ints
from gex_pipeline.quality.closing import Break, Cell, Stage, TapeDay
from gex_pipeline.quality.ledger import Entry
from gex_pipeline.quality.spans import Span, without
from gex_pipeline.quality.tails import Mark, Tails

MOST_BREAKS = 1_000
"""Kept of one tape; all are counted."""
_NEVER = 2**63 - 1


class Holding:
    """Grows while the places are read: first the lake, then spool and tape behind its end."""

    def __init__(self, tape: str) -> None:
        self.tape = tape
        self.stage: Stage = "spool"
        self.first = self.last = 0
        self.epochs: set[int] = set()
        self.events: Counter[Stage] = Counter()
        """How many each place holds, of those that no place before it has."""
        self.rows: Counter[Cell] = Counter()
        self.entries: Counter[Entry] = Counter()
        self.tails = Tails()
        self.lost: list[Span] = []
        """Seqs that are told to be lost, both ends in it."""
        self.doubtful: list[Span] = []
        self.gaps: Counter[str] = Counter()
        """By cause."""
        self.breaks: list[Break] = []
        self.breaks_found = 0
        self.first_ns, self.last_ns = _NEVER, 0

    def day(self) -> TapeDay:
        """Return what the arithmetic needs."""
        return TapeDay(
            tape=self.tape,
            stage=self.stage,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            rows=self.rows,
            entries=self.entries,
            unsettled=[tail.told(self.first_ns) for tail in self.tails.all()],
            doubtful=self.doubtful,
        )

    def note_seqs(self, first: int, last: int, epoch: int) -> None:
        """Note a range that is here."""
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)
        self.epochs.add(epoch)

    def note_times(self, stamps: Ints) -> None:
        """Note when some events came."""
        if len(stamps):
            self.first_ns = min(self.first_ns, int(stamps.min()))
            self.last_ns = max(self.last_ns, int(stamps.max()))

    def note_gap(
        self, mark: Mark, cause: str, seqs: tuple[int | None, int | None], from_ns: int
    ) -> None:
        """Note a gap that the tape tells."""
        self.gaps[cause] += 1
        if cause == "restart":
            self.tails.restarted(mark, from_ns)
        if seqs[0] is not None and seqs[1] is not None:
            self.lost.append((seqs[0], seqs[1]))
            self.doubtful.append((from_ns, mark.ts_ns + 1))

    def missing(self, stage: Stage, first: int, last: int) -> None:
        """Break where seqs are not there and nothing tells that they are lost."""
        for start, stop in without((first, last + 1), [(a, b + 1) for a, b in self.lost]):
            words = f"{stop - start} events are nowhere"
            self.broken(stage, words, by=start - stop, seqs=(start, stop - 1))

    def broken(
        self,
        stage: Stage,
        words: str,
        *,
        table: str = "",
        by: int = 0,
        seqs: tuple[int, int] | None = None,
    ) -> None:
        """Note a place that does not close."""
        self.breaks_found += 1
        if len(self.breaks) >= MOST_BREAKS:
            return
        first, last = seqs or (None, None)
        self.breaks.append(
            Break(
                stage=stage,
                tape=self.tape,
                words=words,
                table=table,
                by=by,
                first_seq=first,
                last_seq=last,
            )
        )
