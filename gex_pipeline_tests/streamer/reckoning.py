"""The send log against tapes with gaps: each event on its tape once, or inside a gap record.

A socket hands over what was put into it in order, so of what one connection of the simulator was
sent, a tape has a head: its first events, each once, in the order in which their frames left. What
follows the head was under way when the connection ended, or came after it; so did all of a
connection of which a tape has nothing. It must lie inside a gap record of that tape: a frame that
was sent before the gap's end, and that was made, or could be read at the earliest, when the gap had
begun. (Gaps are told in times of receipt, and what is under way comes behind all that the same
socket has brought, to whichever tape.)
A frame that was cut ends the head: behind it nobody knows any more what changed.

An answer of a chain is on the tape as one header with all of its rows. Without one it was cut
short and asked for again in halves, or its window is told to be missing, or it was under way when
the process that had asked for it ended.

Nothing else may be on a tape but what the streamer itself says of it, and quotes that were asked
for while a gap ran: they are marked as not streamed.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from gex_pipeline.market.events import (
    ChainHeader,
    Event,
    Gap,
    Heartbeat,
    LedgerCount,
    OptionQuote,
    Quote,
    Trade,
)
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of, to_canonical
from gex_pipeline_tests.streamer.sendlog import CHAIN, Sent, Told, is_streamed, lines, sent, told

RESTART: Final = "restart"
_NEVER: Final = 2**63 - 1


class Reckoning(NamedTuple):
    """What became of the events of a send log."""

    on_tape: int
    in_gaps: int
    answers: int
    """Of chains, on the tapes."""
    unread: int
    """Of chains, sent and not on the tapes."""
    late_s: float
    """Market seconds that the oldest lost frame was under way when its gap began."""


def reckon(folder: Path, tapes: Mapping[Calendar, Sequence[Event]]) -> Reckoning:
    """Assert that every event of the log is on its tape exactly once or inside a gap record."""
    by_stream = sent(folder)
    on_tape = in_gaps = 0
    late_ns = 0
    stamps = alive(tapes.values())
    for calendar, events in tapes.items():
        walk = Walk(calendar, by_stream, events, stamps)
        walk.go()
        on_tape, in_gaps = on_tape + walk.found, in_gaps + walk.lost
        late_ns = max(late_ns, walk.late_ns)
        assert_nothing_else(events)
    answers, unread = reckon_chains(folder, tapes)
    return Reckoning(on_tape, in_gaps, answers, unread, late_ns / 1e9)


# --- the stream -----------------------------------------------------------------------------------


class Run(NamedTuple):
    """What a tape has between two gap records that are not of one symbol."""

    told: list[Told]
    gap: Gap | None
    """The record that ends it."""


def runs(events: Iterable[Event]) -> Iterator[Run]:
    """Yield a tape's runs."""
    said: list[Told] = []
    for event in events:
        if isinstance(event, Gap) and not event.symbol:
            yield Run(said, event)
            said = []
        elif is_streamed(event):
            said.append(told(event))
    yield Run(said, None)


def alive(tapes: Iterable[Iterable[Event]]) -> list[int]:
    """Return the stamps that show a connection, on whichever tape: one socket fills them all."""
    return sorted(
        event.ts_recv_ns
        for events in tapes
        for event in events
        if is_streamed(event) or (isinstance(event, Heartbeat) and event.connected)
    )


class Walk:
    """One tape beside the connections, from the first to the last."""

    def __init__(
        self,
        calendar: Calendar,
        by_stream: Mapping[int, list[Sent]],
        events: Iterable[Event],
        stamps: Sequence[int],
    ) -> None:
        """Take all that was sent, the tape, and the stamps that show a connection."""
        self.calendar = calendar
        self.found = 0
        self.lost = 0
        self.late_ns = 0
        self._runs = list(runs(events))
        self._stamps = stamps
        self._sent = {
            stream: [item for item in by_stream[stream] if item.calendar == calendar]
            for stream in sorted(by_stream)
        }
        self._heads = {
            stream: [item.told for item in readable(items)] for stream, items in self._sent.items()
        }
        self._at = 0
        """Connection whose events the tape had last; 0: none yet."""
        self._taken = 0
        self._gaps: list[tuple[Gap, int]] = []
        """Since then, each with the newest stamp before its end that shows a connection."""

    def go(self) -> None:
        """Take the tape run by run."""
        for run in self._runs:
            if run.told and not self._continues(run.told):
                self._begin(run.told)
            if run.told:
                self._taken += len(run.told)
                self.found += len(run.told)
                self._gaps = []
            if run.gap is not None:
                before = bisect_left(self._stamps, run.gap.ts_to_ns)
                self._gaps.append((run.gap, self._stamps[before - 1] if before else 0))
        self._leave(_NEVER)

    def _continues(self, said: list[Told]) -> bool:
        head = self._heads.get(self._at, [])
        return head[self._taken : self._taken + len(said)] == said

    def _begin(self, said: list[Told]) -> None:
        """Go on to the connection that a run is the beginning of."""
        for stream, head in self._heads.items():
            if stream > self._at and head[: len(said)] == said:
                self._leave(stream)
                self._at, self._taken = stream, 0
                return
        raise AssertionError(self._unknown(said))

    def _leave(self, until: int) -> None:
        """Account for the rest of a connection and for all of those before `until`."""
        self._account(self._sent.get(self._at, [])[self._taken :])
        for stream, items in self._sent.items():
            if self._at < stream < until:
                self._account(items)

    def _account(self, items: list[Sent]) -> None:
        for item in items:
            late = [late for each in self._gaps if (late := _late_ns(item, *each)) is not None]
            assert late, f"{self.calendar}: {item} is neither on the tape nor inside {self._gaps}"
            self.late_ns = max(self.late_ns, min(late))
            self.lost += 1

    def _unknown(self, said: list[Told]) -> str:
        """Say where a run that no connection began or went on with stops to fit."""
        fits = {
            stream: _agreeing(head[self._taken * (stream == self._at) :], said)
            for stream, head in self._heads.items()
            if stream >= self._at
        }
        stream = max(fits, key=lambda each: fits[each], default=0)
        place = fits.get(stream, 0)
        head = self._heads.get(stream, [])[self._taken * (stream == self._at) :]
        return (
            f"{self.calendar}: a run of {len(said)} events is no head of a connection; it agrees"
            f" best with {stream} up to its event {place}: on the tape {said[place : place + 3]},"
            f" sent {head[place : place + 3]}"
        )


def readable(items: Sequence[Sent]) -> Iterator[Sent]:
    """Yield what could be read of a connection: all before the first frame that was cut."""
    for item in items:
        if item.fault:
            return
        yield item


def _late_ns(item: Sent, gap: Gap, alive_ns: int) -> int | None:
    """Return how long an event that a gap holds was under way at its begin; None: it does not."""
    if item.ts_ns > gap.ts_to_ns or max(item.ts_ns, alive_ns) < gap.ts_from_ns:
        return None
    return max(gap.ts_from_ns - item.ts_ns, 0)


def _agreeing(head: Sequence[Told], said: Sequence[Told]) -> int:
    for place, (one, other) in enumerate(zip(head, said, strict=False)):
        if one != other:
            return place
    return min(len(head), len(said))


# --- chains, and what else there is ---------------------------------------------------------------


class Answer(NamedTuple):
    """A chain answer, as sent or as its header on the tape says."""

    ts_ns: int
    window: tuple[str, str]
    contracts: int
    is_cut: bool


def reckon_chains(folder: Path, tapes: Mapping[Calendar, Sequence[Event]]) -> tuple[int, int]:
    """Assert that the answers are on the tapes; return how many are, and how many are not."""
    answers: dict[str, list[Answer]] = {}
    for line in sorted((each for each in lines(folder) if each["service"] == CHAIN), key=_moment):
        answers.setdefault(to_canonical(line["key"]), []).append(_answer(line))
    for events in tapes.values():
        assert_rows(events)
    unread = sum(
        _missed(symbol, said, tapes[calendar_of(symbol)]) for symbol, said in answers.items()
    )
    return sum(map(len, answers.values())) - unread, unread


def assert_rows(events: Iterable[Event]) -> None:
    """Every answer came with as many rows as its header says, under its stamp."""
    told_rows: Counter[tuple[str, int]] = Counter()
    rows: Counter[tuple[str, int]] = Counter()
    for event in events:
        if isinstance(event, ChainHeader) and event.contracts:
            told_rows[event.symbol, event.ts_recv_ns] += event.contracts
        elif isinstance(event, OptionQuote) and not event.streamed:
            rows[event.underlying, event.ts_recv_ns] += 1
    assert rows == told_rows


def _missed(symbol: str, said: Sequence[Answer], events: Sequence[Event]) -> int:
    """Return how many answers of a chain are not on the tape, each with its reason."""
    headers = [e for e in events if isinstance(e, ChainHeader) and e.symbol == symbol]
    missing = [(_window(e), e.ts_recv_ns) for e in headers if not e.contracts]
    ends = [e.ts_to_ns for e in events if isinstance(e, Gap) and e.cause == RESTART]
    waiting = iter(said)
    missed: list[Answer] = []
    for header in headers:
        if not header.contracts:
            continue
        for answer in waiting:
            if (answer.window, answer.contracts) == (_window(header), header.contracts):
                break
            missed.append(answer)
        else:
            raise AssertionError(f"{header} was never sent, or was sent once and is there twice")
    missed += waiting
    asked = [answer.ts_ns for answer in said]
    for answer in missed:
        under_way = _is_last_before(answer.ts_ns, asked, [*ends, _NEVER])
        told_missing = any(
            window == answer.window and at_ns >= answer.ts_ns for window, at_ns in missing
        )
        halved = answer.is_cut and answer.window[0] != answer.window[1]
        assert halved or told_missing or under_way, f"{symbol}: {answer} is nowhere"
    return len(missed)


def _is_last_before(ts_ns: int, asked: Sequence[int], ends: Sequence[int]) -> bool:
    """Whether a process ended behind this answer and before the next of the chain was asked for."""
    after = min((each for each in asked if each > ts_ns), default=_NEVER)
    return any(ts_ns <= end <= after for end in ends)


def assert_nothing_else(events: Sequence[Event]) -> None:
    """What the tape has beside the stream and the chains is our own, or was asked for in a gap."""
    gaps = [(event.ts_from_ns, event.ts_to_ns) for event in events if isinstance(event, Gap)]
    for event in events:
        if is_streamed(event) or isinstance(event, Gap | Heartbeat | LedgerCount | ChainHeader):
            continue
        if isinstance(event, OptionQuote):  # a row, counted with its header
            continue
        assert isinstance(event, Quote | Trade), event
        at_ns = event.ts_recv_ns
        assert any(low <= at_ns <= high for low, high in gaps), f"{event} stands in for no stream"


def assert_ordered(events: Sequence[Event]) -> None:
    """A tape's numbers have no hole and its times do not go back."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(one.ts_recv_ns <= other.ts_recv_ns for one, other in pairwise(events))


def _answer(line: Mapping[str, Any]) -> Answer:
    fields = line["fields"]
    window = (fields["from"], fields["to"])
    return Answer(line["ts_ns"], window, fields["contracts"], fields.get("cut", False))


def _moment(line: Mapping[str, Any]) -> int:
    return int(line["ts_ns"])


def _window(header: ChainHeader) -> tuple[str, str]:
    return f"{header.first_expiry}", f"{header.last_expiry}"
