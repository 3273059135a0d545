"""`gex verify`: one session date held against itself, from the socket's count to the day files.

    received (socket) = written + conflated + rejected      per tape, table and minute
    written           = rows in day files, parts and spool  per tape, table and minute
    received          = the capture, counted by another reader, where there is one
    every seq         in exactly one place, or told to be lost

What does not close inside a gap that is told is reported apart: nobody can say more of it.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from gex_pipeline.archive.committed import read_committed
from gex_pipeline.archive.holding import Holding
from gex_pipeline.archive.uncommitted import HotFrames, newest_date_behind, read_uncommitted
from gex_pipeline.archive.witness import Witness
from gex_pipeline.errors import LakeError
from gex_pipeline.lake.parts import Chain, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.quality.closing import (
    STAGES,
    Break,
    Cell,
    Stage,
    Unsettled,
    breaks_of,
    covered_minutes,
)
from gex_pipeline.quality.spans import length

SOURCE = "schwab"
"""Source of the tapes that a socket fills."""
MOST_BREAKS = 100
_NEVER = 2**63 - 1

CaptureState = Literal["absent", "closes", "broken"]


class TableCount(msgspec.Struct, frozen=True):
    """One table of one tape, over the day."""

    tape: str
    table: str
    received: int
    written: int
    conflated: int
    rejected: int
    reasons: dict[str, int]
    rows: int
    """Settled rows in all places."""
    recounted: int | None
    """By the other reader, in the minutes that the capture covers; None: without a capture."""
    recounted_of: int | None
    """Received in those minutes."""


class TapeReport(msgspec.Struct, frozen=True):
    """One tape."""

    tape: str
    epochs: tuple[int, ...]
    first_seq: int
    last_seq: int
    events: dict[Stage, int]
    """By place: days, parts, spool, tape; each event once."""
    lost: int
    gaps: dict[str, int]
    """By cause."""
    unsettled: tuple[Unsettled, ...]
    """Events that no count of the socket covers: their owner was killed, or is at work."""


class Report(msgspec.Struct, frozen=True):
    """Whether a date closes."""

    date: datetime.date
    closes: bool
    first_break: Break | None
    breaks: tuple[Break, ...]
    """The first hundred."""
    breaks_found: int
    inside_gaps: tuple[Break, ...]
    capture: CaptureState
    capture_frames: int
    capture_minutes: int
    """Minutes in which the two counts were compared."""
    hot: bool
    """Whether the hot store answered."""
    tapes: tuple[TapeReport, ...]
    tables: tuple[TableCount, ...]


class Places(msgspec.Struct, frozen=True):
    """Where everything lies."""

    paths: LakePaths
    spools: Path
    capture: Path
    hot: HotFrames | None = None

    def tapes(self) -> tuple[str, ...]:
        """Return the tapes that lake and spools hold."""
        spools = self.spools.iterdir() if self.spools.is_dir() else ()
        spooled = {folder.name for folder in spools if folder.is_dir()}
        return tuple(sorted({*self.paths.tapes(), *spooled}))


def newest_date(places: Places) -> datetime.date | None:
    """Return the newest session date that any tape holds; None: nothing is held."""
    found = []
    for tape in places.tapes():
        chain = read_chain(places.paths, tape)
        found += [node.date for node in chain.nodes[-1:]]
        behind = newest_date_behind(tape, chain.cursor, places.spools / tape)
        found += [behind] if behind is not None else []
    return max(found, default=None)


def verify(places: Places, date: datetime.date) -> Report:
    """Hold a date against itself.

    Where an archive step moves events meanwhile, it is done once more.
    """
    chains = _cursors(places)
    report = _verify_once(places, date)
    if not report.closes and _cursors(places) != chains:
        return _verify_once(places, date)
    return report


def _verify_once(places: Places, date: datetime.date) -> Report:
    holdings, broken = [], []
    for tape in places.tapes():
        try:
            holdings.append(_hold(places, read_chain(places.paths, tape), date))
        except LakeError as error:
            broken.append(Break(stage="parts", tape=tape, words=str(error)))
    held = [holding for holding in holdings if holding.events]
    witness = _witness(places, held)
    inside: list[Break] = []
    broken += witness.breaks if witness else []
    for holding in held:
        recounted = witness.counts.get(holding.tape) if witness else None
        ours = _ours(holding.tape)
        found, told = breaks_of(holding.day(), recounted, witness.covered if witness else ())
        broken += [*holding.breaks, *(() if ours else found)]
        inside += () if ours else told
    return _report(date, held, broken, inside, witness, hot=places.hot is not None)


def _hold(places: Places, chain: Chain, date: datetime.date) -> Holding:
    holding = Holding(chain.tape)
    read_committed(holding, places.paths, chain, date)
    hot, spool = places.hot, places.spools / chain.tape
    read_uncommitted(holding, date, chain.cursor, spool, hot)
    return holding


def _ours(tape: str) -> bool:
    """Whether a tape holds what we made ourselves: no socket, so its seqs are its ledger."""
    return not tape.startswith(f"{SOURCE}.")


def _witness(places: Places, held: list[Holding]) -> Witness | None:
    socketed = [holding for holding in held if not _ours(holding.tape)]
    if not socketed:
        return None
    spans = {
        each.tape: [
            (tail.from_ns, _NEVER if tail.to_ns is None else tail.to_ns)
            for tail in each.day().unsettled
        ]
        for each in socketed
    }
    witness = Witness(spans)
    start = min(each.first_ns for each in socketed)
    end = max(each.last_ns for each in socketed)
    return witness if witness.hear(places.capture, SOURCE, (start, end)) else None


def _report(
    date: datetime.date,
    held: list[Holding],
    broken: list[Break],
    inside: list[Break],
    witness: Witness | None,
    *,
    hot: bool,
) -> Report:
    broken.sort(key=lambda each: (STAGES.index(each.stage), each.minute_ns or 0, each.tape))
    minutes: set[int] = set()
    capture: CaptureState = "absent"
    if witness is not None:
        for holding in held:
            if not _ours(holding.tape):
                minutes |= covered_minutes(holding.day(), witness.covered)
        capture = "broken" if any(each.stage == "capture" for each in broken) else "closes"
    return Report(
        date=date,
        closes=not broken and bool(held),
        first_break=broken[0] if broken else None,
        breaks=tuple(broken[:MOST_BREAKS]),
        breaks_found=len(broken) + sum(each.breaks_found - len(each.breaks) for each in held),
        inside_gaps=tuple(inside[:MOST_BREAKS]),
        capture=capture,
        capture_frames=witness.frames if witness else 0,
        capture_minutes=len(minutes),
        hot=hot,
        tapes=tuple(map(_tape_report, held)),
        tables=tuple(line for each in held for line in _tables(each, witness)),
    )


def _tape_report(holding: Holding) -> TapeReport:
    unsettled = [each for each in holding.day().unsettled if each.events]
    return TapeReport(
        tape=holding.tape,
        epochs=tuple(sorted(holding.epochs)),
        first_seq=holding.first,
        last_seq=holding.last,
        events=dict(holding.events),
        lost=length((first, last + 1) for first, last in holding.lost),
        gaps=dict(holding.gaps),
        unsettled=() if _ours(holding.tape) else tuple(unsettled),
    )


def _tables(holding: Holding, witness: Witness | None) -> Iterator[TableCount]:
    if _ours(holding.tape):
        return
    counts: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for entry, count in holding.entries.items():
        counts.setdefault(entry.table, Counter())[entry.outcome] += count
        if entry.reason:
            reasons.setdefault(entry.table, Counter())[entry.reason] += count
    rows = _by_table(holding.rows.items())
    again = _recounted(holding, witness)
    for table in sorted({*counts, *rows}):
        found = counts.get(table, Counter())
        yield TableCount(
            tape=holding.tape,
            table=table,
            received=found["received"],
            written=found["written"],
            conflated=found["conflated"],
            rejected=found["rejected"],
            reasons=dict(reasons.get(table, {})),
            rows=rows[table],
            recounted=again[0][table] if again else None,
            recounted_of=again[1][table] if again else None,
        )


def _recounted(
    holding: Holding, witness: Witness | None
) -> tuple[Counter[str], Counter[str]] | None:
    """Return by table what the other reader counted, and what the socket did in those minutes."""
    if witness is None:
        return None
    covered = covered_minutes(holding.day(), witness.covered)
    received = (
        ((entry.minute_ns, entry.table), count)
        for entry, count in holding.entries.items()
        if entry.outcome == "received" and entry.minute_ns in covered
    )
    counted = witness.counts[holding.tape].items()
    return _by_table(each for each in counted if each[0][0] in covered), _by_table(received)


def _by_table(cells: Iterable[tuple[Cell, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, table), count in cells:
        found[table] += count
    return found


def _cursors(places: Places) -> dict[str, int]:
    found = {}
    for tape in places.tapes():
        try:
            found[tape] = read_chain(places.paths, tape).cursor
        except LakeError:
            found[tape] = -1
    return found
