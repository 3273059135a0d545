"""The ledger: where each update went, by table and minute of receipt.

received = written + conflated + rejected. `received` is counted at the socket and `written` behind
the spool, so that neither can hide what the other missed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from gex_pipeline.market.codec import Row
from gex_pipeline.market.events import (
    LEVEL_ONE,
    BookUpdate,
    Candle,
    ChainHeader,
    Event,
    LedgerCount,
    OptionQuote,
    Quote,
    Trade,
    tag_of,
)
from gex_pipeline.market.tables import EVENT_TABLES

MINUTE_NS = 60 * 1_000_000_000

Outcome = Literal["received", "written", "conflated", "rejected"]

TABLE_OF: dict[type[Event], str] = {
    kind: EVENT_TABLES[tag_of(kind)].name
    for kind in (Trade, Quote, OptionQuote, BookUpdate, Candle, ChainHeader)
}
"""The tables that a source's updates are meant for; the others hold what we say ourselves."""
SOURCE_TABLES = tuple(TABLE_OF.values())
_TAGGED = {tag_of(kind): table for kind, table in TABLE_OF.items()}


def table_of(event: Event | Row) -> str | None:
    """Return the table that an update of a source is meant for; None: the event is none.

    A book that we made of a quote is none: the quote is counted, and the book says nothing more.
    """
    if isinstance(event, BookUpdate) and event.venue == LEVEL_ONE:
        return None
    return _TAGGED.get(event[0]) if isinstance(event, list) else TABLE_OF.get(type(event))


def counted(events: Sequence[Event]) -> dict[str, int]:
    """Return by table how many of these events are updates of a source."""
    found = Counter(map(type, events))
    if BookUpdate in found:
        found[BookUpdate] = sum(
            isinstance(event, BookUpdate) and table_of(event) is not None for event in events
        )
    return {TABLE_OF[kind]: count for kind, count in found.items() if kind in TABLE_OF and count}


class Entry(NamedTuple):
    """What is counted apart."""

    minute_ns: int
    table: str
    outcome: Outcome
    reason: str = ""


class Ledger:
    """The open counts of one tape: put on the tape every few seconds, they add up."""

    def __init__(self) -> None:
        self.received = 0
        """Updates since the start, of every table."""
        self._open: Counter[Entry] = Counter()

    def add(  # one argument per column
        self, outcome: Outcome, table: str, ts_recv_ns: int, count: int = 1, reason: str = ""
    ) -> None:
        """Count updates that were received at a time."""
        if count:
            minute_ns = ts_recv_ns - ts_recv_ns % MINUTE_NS
            self._open[Entry(minute_ns, table, outcome, reason)] += count
            if outcome == "received":
                self.received += count

    def settle(self, ts_ns: int, *, before_ns: int | None = None) -> list[LedgerCount]:
        """Return the open counts as events of a time, and open new ones.

        With `before_ns`, those of earlier minutes alone.
        """
        due = sorted(e for e in self._open if before_ns is None or e.minute_ns < before_ns)
        return [
            LedgerCount(
                "",
                ts_ns,
                ts_ns,
                ts_minute_ns=entry.minute_ns,
                table=entry.table,
                outcome=entry.outcome,
                reason=entry.reason,
                events=self._open.pop(entry),
            )
            for entry in due
        ]


class Line(NamedTuple):
    """One table and minute of a tape, closed or not."""

    received: int = 0
    written: int = 0
    conflated: int = 0
    rejected: int = 0

    @property
    def missing(self) -> int:
        """Updates received and told nowhere; below 0: told and not received."""
        return self.received - self.written - self.conflated - self.rejected


def lines_of(entries: Iterable[tuple[Entry, int]]) -> dict[tuple[int, str], Line]:
    """Return the lines of these counts by minute and table; parts of a minute add up."""
    found: dict[tuple[int, str], Line] = {}
    for entry, count in entries:
        place = entry.minute_ns, entry.table
        line = found.get(place, Line())
        found[place] = line._replace(**{entry.outcome: getattr(line, entry.outcome) + count})
    return found
