"""Tapes by hand: frames of small events, and a source that holds them in memory."""

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gex_pipeline.archive.rows import Origin, RawFrame
from gex_pipeline.hot.frame import Frame, encode_frame, read_header
from gex_pipeline.market.events import Event, Gap, Heartbeat, OptionQuote, Quote, Trade

TAPE = "schwab.index"
ORIGIN = Origin(source="simulator", mode="simulated", tape=TAPE)
FRIDAY = datetime.date(2026, 11, 20)
MONDAY = datetime.date(2026, 11, 23)
OPEN_NS = 1_795_185_000_000_000_000


def event(seq: int) -> Event:
    """Return an event of the kind that the seq's last digit names."""
    ts_ns = OPEN_NS + seq * 1000
    at: Any = {"seq": seq, "ts_event_ns": ts_ns, "ts_recv_ns": ts_ns + 7}
    if seq % 10 == 0:
        return Heartbeat(symbol="", received=seq, **at)
    if seq % 10 == 1:
        return Gap(symbol="", ts_from_ns=OPEN_NS, ts_to_ns=OPEN_NS + 5, cause="restart", **at)
    if seq % 10 in (2, 3):
        return Trade(symbol="SPX", price=6000.0 + seq, volume=seq, **at)
    if seq % 10 in (4, 5):
        return Quote(symbol="SPY", bid=600.0, ask=600.02, bid_size=3.0, **at)
    return OptionQuote(
        symbol="SPXW  261120C06000000", underlying="SPX", bid=1.0, ask=None, open_interest=5, **at
    )


def frame(first: int, last: int, date: datetime.date = FRIDAY, epoch: int = 1) -> Frame:
    """Return the frame of these seqs."""
    events = tuple(event(seq) for seq in range(first, last + 1))
    return Frame(TAPE, epoch, first, last, date, events)


def frames(last: int, size: int = 5, date: datetime.date = FRIDAY) -> list[Frame]:
    """Return frames of a size from seq 1 to `last`."""
    return [frame(first, min(first + size - 1, last), date) for first in range(1, last + 1, size)]


class MemorySource:
    """A tape and a spool as lists."""

    def __init__(self, tape: Sequence[Frame], spool: Sequence[Frame] = ()) -> None:
        self.tape, self.spool = list(tape), list(spool)
        self.trimmed: list[tuple[int, int]] = []

    def after(self, tape: str, epoch: int, seq: int) -> Iterator[RawFrame]:
        """Give what the tape has after a position."""
        yield from (raw(f) for f in self.tape if (f.epoch, f.last_seq) > (epoch, seq))

    def spooled(self, tape: str, seq: int) -> Iterable[RawFrame]:
        """Give what the spool has after a seq."""
        return [raw(each) for each in self.spool if each.last_seq > seq]

    def sent(self, tape: str) -> int | None:
        """Return the end of the tape."""
        return self.tape[-1].last_seq if self.tape else None

    def is_archived(self, tape: str, cursor: int) -> bool:
        """Return whether neither holds anything behind a seq."""
        return all(each.last_seq <= cursor for each in (*self.tape, *self.spool))

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Note the trim."""
        self.trimmed.append((epoch, seq))


def raw(frame: Frame) -> RawFrame:
    """Return the frame as the tape has it."""
    data = encode_frame(frame)
    header = read_header(data)
    assert header is not None
    return RawFrame(header, data)
