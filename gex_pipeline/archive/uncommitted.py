"""What stands behind the lake's end: the spool, and the tape in the hot store beside it."""

import datetime
import heapq
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import redis

from gex_pipeline.archive.holding import Holding
from gex_pipeline.errors import HotStoreError
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import FrameHeader, decode_frame, position_of, read_header
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.market.events import Event, Gap, LedgerCount
from gex_pipeline.quality.closing import Stage
from gex_pipeline.quality.ledger import Entry, table_of
from gex_pipeline.quality.spans import Span
from gex_pipeline.quality.tails import Mark

HotFrames = Callable[[str, int], Iterable[bytes]]
"""The frames of a tape in the hot store that end behind a seq, in order."""

_SPOOL, _TAPE = 0, 1
_Found = tuple[int, int, FrameHeader, bytes]
_CHECKSUM: Final = slice(4, 8)
_ENTRIES: Final = 200
"""Of the tape in one reply."""
_REMEMBERED: Final = 10_000
"""Frames of the spool whose checksums are kept until the tape's come by."""


def read_uncommitted(
    holding: Holding, date: datetime.date, cursor: int, spool: Path, hot: HotFrames | None
) -> None:
    """Count what spool and tape hold of the date behind a seq."""
    _Walk(holding, date, cursor).through(_merged(holding.tape, cursor, spool, hot))


def newest_date_behind(tape: str, cursor: int, spool: Path) -> datetime.date | None:
    """Return the newest session date of a spool behind a seq; None: nothing is there."""
    newest = None
    for _, _, header, _ in _merged(tape, cursor, spool, None):
        newest = header.session_date
    return newest


class _Walk:
    """Goes over both places at once in the order of the seqs, of equal frames the spool's first."""

    def __init__(self, holding: Holding, date: datetime.date, cursor: int) -> None:
        self.holding = holding
        self.date = date
        self.last = cursor
        self.mine = True
        """The frame before was of the date."""
        self.tape_last = 0
        self.sums: dict[int, bytes] = {}
        self.holes: list[tuple[Stage, Span]] = []

    def through(self, found: Iterable[_Found]) -> None:
        """Take every frame; what is missing is judged at the end, when all gaps are known."""
        for _, place, header, data in found:
            mine = header.session_date == self.date
            if place == _TAPE:
                self._of_tape(header, data, mine=mine)
            else:
                self._of_spool(header, data, mine=mine)
            self.mine = mine
        for stage, (first, last) in self.holes:
            self.holding.missing(stage, first, last)

    def _of_spool(self, header: FrameHeader, data: bytes, *, mine: bool) -> None:
        self.sums[header.last_seq] = data[_CHECKSUM]
        if len(self.sums) > _REMEMBERED:
            del self.sums[next(iter(self.sums))]
        self._go_on("spool", header, data, mine=mine)

    def _of_tape(self, header: FrameHeader, data: bytes, *, mine: bool) -> None:
        if self.tape_last and header.first_seq > self.tape_last + 1 and mine:
            words = "events that the spool has are not on the tape"
            seqs = (self.tape_last + 1, header.first_seq - 1)
            self.holding.broken("tape", words, seqs=seqs)
        self.tape_last = max(self.tape_last, header.last_seq)
        known = self.sums.pop(header.last_seq, None)
        if known is not None and known != data[_CHECKSUM] and mine:
            words = "the tape has other bytes than the spool"
            self.holding.broken("tape", words, seqs=(header.first_seq, header.last_seq))
        self._go_on("tape", header, data, mine=mine)

    def _go_on(self, stage: Stage, header: FrameHeader, data: bytes, *, mine: bool) -> None:
        if header.last_seq <= self.last:
            return
        if header.first_seq > self.last + 1 and (mine or self.mine):
            self.holes.append((stage, (self.last + 1, header.first_seq - 1)))
        if mine:
            self._count(stage, data)
        self.last = header.last_seq

    def _count(self, stage: Stage, data: bytes) -> None:
        frame = decode_frame(data)
        self.holding.note_seqs(max(frame.first_seq, self.last + 1), frame.last_seq, frame.epoch)
        new = [event for event in frame.events if event.seq > self.last]
        self.holding.events[stage] += len(new)
        self.holding.note_times(np.array([event.ts_recv_ns for event in new], np.int64))
        for event in new:
            self._take(event)

    def _take(self, event: Event) -> None:
        holding, mark = self.holding, Mark(event.seq, event.ts_recv_ns)
        if isinstance(event, LedgerCount):
            entry = Entry(event.ts_minute_ns, event.table, event.outcome, event.reason)
            holding.entries[entry] += event.events
            holding.rows.update(holding.tails.settled(mark))
        elif isinstance(event, Gap):
            seqs = (event.first_seq, event.last_seq)
            holding.note_gap(mark, event.cause, seqs, event.ts_from_ns)
        elif table := table_of(event):
            holding.tails.open.add(table, event.ts_recv_ns)


def hot_frames(store: redis.Redis, keys: Keys) -> HotFrames:
    """Return what reads the frames of a tape in the hot store.

    Raises, when it reads:
        HotStoreError: the server went away.
    """

    def frames(tape: str, seq: int) -> Iterator[bytes]:
        position = "-"
        try:
            while entries := _entries(store, keys.tape(tape), position):
                for entry_id, fields in entries:
                    position = f"({entry_id.decode()}"
                    if position_of(entry_id).seq > seq:
                        yield fields[FIELD]
        except UNREACHABLE as error:
            raise HotStoreError("The hot store went away", "Run it again.") from error

    return frames


def _entries(store: redis.Redis, key: str, after: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: Any = store.xrange(key, min=after, count=_ENTRIES)
    return list(found)


def _merged(tape: str, cursor: int, spool: Path, hot: HotFrames | None) -> Iterator[_Found]:
    places: list[Iterator[_Found]] = []
    if spool.is_dir():
        places.append(_headed(_SPOOL, spool_frames(spool, cursor)))
    if hot is not None:
        places.append(_headed(_TAPE, hot(tape, cursor)))
    return heapq.merge(*places, key=lambda found: found[:2])


def _headed(place: int, frames: Iterable[bytes]) -> Iterator[_Found]:
    for data in frames:
        header = read_header(data)
        if header is not None:
            yield header.first_seq, place, header, data
