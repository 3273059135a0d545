"""Whether one tape's day closes, and where it does not: plain arithmetic over what was counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from gex_pipeline.quality.ledger import MINUTE_NS, Entry, lines_of
from gex_pipeline.quality.spans import Span, without

Stage = Literal["capture", "socket", "spool", "tape", "parts", "days"]
"""capture: the independent count. socket: its own count and the writer's. The others: places."""
STAGES: tuple[Stage, ...] = ("capture", "socket", "spool", "tape", "parts", "days")

_NEVER = 2**63 - 1

Cell = tuple[int, str]
"""Start of a minute of receipt, table."""


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """A place that does not close."""

    stage: Stage
    tape: str
    words: str
    table: str = ""
    minute_ns: int | None = None
    by: int = 0
    """Updates too many (above 0) or too few there."""
    first_seq: int | None = None
    last_seq: int | None = None


class Unsettled(msgspec.Struct, frozen=True, kw_only=True):
    """Events behind the last settlement of an owner that was killed, or that is at work now."""

    after_seq: int
    before_seq: int | None
    """Seq of the gap that the next owner wrote; None: the newest owner."""
    from_ns: int
    """Time of the last settlement; of the first event, if there was none."""
    minutes: int
    """Of receipt, of the events."""
    to_ns: int | None
    """Time of that gap."""
    events: dict[str, int]
    """By table."""


class TapeDay(msgspec.Struct, kw_only=True):
    """What is held of one tape and session date, counted."""

    tape: str
    stage: Stage
    """Of most of its rows: days, parts or spool."""
    first_ns: int
    last_ns: int
    """Times of receipt of its first and last event."""
    rows: Counter[Cell]
    """Rows of the tables that a source fills; only settled ones."""
    entries: Counter[Entry]
    """What the ledger says."""
    unsettled: list[Unsettled]
    doubtful: list[Span]
    """Stretches of time from which numbers of the tape are missing, and are told to be."""


def breaks_of(
    day: TapeDay, recounted: Mapping[Cell, int] | None, captured: Iterable[Span]
) -> tuple[list[Break], list[Break]]:
    """Return what does not close, and what does not but lies inside a gap that is told.

    `recounted` is the independent count of the settled frames, None without a capture; `captured`
    the time that the capture covers.
    """
    found = sorted(
        [*_socket(day), *_places(day), *_capture(day, recounted, list(captured)), *_late(day)],
        key=lambda each: (STAGES.index(each.stage), each.minute_ns or 0, each.table),
    )
    inside = [each for each in found if _is_doubtful(each.minute_ns, day.doubtful)]
    return [each for each in found if each not in inside], inside


def covered_minutes(day: TapeDay, captured: list[Span]) -> set[int]:
    """Return the minutes of the ledger whose settled time the capture covers from end to end."""
    outside = [(0, day.first_ns), (day.last_ns + 1, _NEVER)]
    outside += [(each.from_ns + 1, each.to_ns or _NEVER) for each in day.unsettled]
    minutes = {entry.minute_ns for entry in day.entries}
    return {
        minute
        for minute in minutes
        if not without((minute, minute + MINUTE_NS), [*captured, *outside])
    }


def _socket(day: TapeDay) -> Iterator[Break]:
    for (minute_ns, table), line in lines_of(day.entries.items()).items():
        if line.missing:
            yield Break(
                stage="socket",
                tape=day.tape,
                table=table,
                minute_ns=minute_ns,
                by=-line.missing,
                words=f"received {line.received}, written {line.written},"
                f" conflated {line.conflated}, rejected {line.rejected}",
            )


def _places(day: TapeDay) -> Iterator[Break]:
    written: Counter[Cell] = Counter()
    for entry, count in day.entries.items():
        if entry.outcome == "written":
            written[entry.minute_ns, entry.table] += count
    for minute_ns, table in sorted({*written, *day.rows}):
        rows, told = day.rows[minute_ns, table], written[minute_ns, table]
        if rows != told:
            yield Break(
                stage=day.stage,
                tape=day.tape,
                table=table,
                minute_ns=minute_ns,
                by=rows - told,
                words=f"{told} were written and {rows} are there",
            )


def _capture(
    day: TapeDay, recounted: Mapping[Cell, int] | None, captured: list[Span]
) -> Iterator[Break]:
    if recounted is None:
        return
    received: Counter[Cell] = Counter()
    for entry, count in day.entries.items():
        if entry.outcome == "received":
            received[entry.minute_ns, entry.table] += count
    covered = covered_minutes(day, captured)
    for minute_ns, table in sorted({*received, *recounted}):
        again, told = recounted.get((minute_ns, table), 0), received[minute_ns, table]
        if again != told and minute_ns in covered:
            yield Break(
                stage="capture",
                tape=day.tape,
                table=table,
                minute_ns=minute_ns,
                by=again - told,
                words=f"the socket counted {told} and the capture holds {again}",
            )


def _late(day: TapeDay) -> Iterator[Break]:
    """Yield the stretches in which an owner settled nothing although a minute had ended."""
    for each in day.unsettled:
        if each.minutes > 1:
            yield Break(
                stage="socket",
                tape=day.tape,
                minute_ns=each.from_ns - each.from_ns % MINUTE_NS,
                by=sum(each.events.values()),
                first_seq=each.after_seq + 1,
                words=f"events of {each.minutes} minutes and no count of them",
            )


def _is_doubtful(minute_ns: int | None, doubtful: list[Span]) -> bool:
    if minute_ns is None:
        return False
    return any(start < minute_ns + MINUTE_NS and stop > minute_ns for start, stop in doubtful)
