"""A lane: one tape and the underlyings that it feeds, cut into market seconds.

The figure of second T stands on exactly the events before the tape's first one with a later
`ts_recv_ns`; the heartbeat, one a market second, brings that one soon. So a recorded second is the
same whenever and however often its tape is read, and (epoch, seq) of the last event says it all.
Numbers that the tape lacks are a gap of every underlying, from the last heartbeat before them on.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from gex_pipeline.exposure.gaps import Lost
from gex_pipeline.exposure.live import SILENT_AFTER_S, Image, asof_ns, trading_date
from gex_pipeline.exposure.underlying import Position, Underlying
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Event, Gap, Heartbeat, OptionQuote

SILENCE_RECORDED_S: Final = 60
"""So long a silent tape goes on making seconds, with confidence 0; then it has no more to say."""
LOST: Final = "lost"
"""Cause of a gap that the tape's numbers show."""
_NS: Final = sessions.SECOND_NS


class Second(msgspec.Struct, frozen=True, eq=False):
    """A complete market second: what each underlying of a lane was at its end."""

    ts_ns: int
    images: tuple[Image, ...]


class Lane:
    """Reads one tape's events in order; yields each second as it becomes complete."""

    def __init__(self, tape: str, underlyings: dict[str, Underlying]) -> None:
        self.tape = tape
        self.underlyings = underlyings
        self.position: Position | None = None
        """After this event reading goes on; None: from the tape's beginning."""
        self.seen_ns = 0
        """Receipt of the newest event."""
        self.heard_ns = 0
        """Receipt of the newest heartbeat with a connection."""
        self.events = 0
        self._open_ns = self._known_ns = 0
        self._date_until_ns = 0
        """The next open of the market: what is received after it belongs to the next date."""
        self._restored: dict[str, Position] = {}
        self._writes = {symbol: each.columns.write for symbol, each in underlyings.items()}

    def resume(self, images: list[Image], recorded_ns: int) -> None:
        """Go on from images and from the newest recorded second (0: none), which is made again.

        An underlying without an image makes the lane read its tape from the beginning. Dates begin
        where the tape passes their open, recorded or not.
        """
        for image in images:
            self.underlyings[image.symbol].restore(image)
            self._restored[image.symbol] = image.positions[self.tape]
        known_ns = max((max(image.ts_recv_ns, image.heard_ns) for image in images), default=0)
        self._known_ns = -(-known_ns // _NS) * _NS
        self._open_ns = max(self._known_ns, recorded_ns)
        if images and len(images) == len(self.underlyings):
            self.position = min(self._restored.values())
            self.heard_ns = min(image.heard_ns for image in images)
            self.seen_ns = min(image.ts_recv_ns for image in images)

    def reopen(self, ts_ns: int) -> None:
        """Make the seconds from this one on again, as far back as the images reach."""
        self._open_ns = min(self._open_ns, max(self._known_ns, ts_ns))

    @property
    def open_ns(self) -> int:
        """End of the second that is not complete yet; 0 before the first event."""
        return self._open_ns

    def take(self, epoch: int, events: tuple[Event, ...]) -> Iterator[Second]:
        """Take in a frame's events; yield the seconds that they complete, oldest first."""
        if self._plain(epoch, events):
            self._hand_plainly(events)
            return
        for event in events:
            recv_ns = event.ts_recv_ns
            if self.position and event.seq > self.position[1] + 1:
                self._lose(Lost(self.heard_ns or self.seen_ns, recv_ns, LOST), (epoch, event.seq))
            if recv_ns > self._open_ns:
                yield from self._complete(recv_ns)
            if recv_ns > self._date_until_ns:
                self._roll(recv_ns - 1)
            self._apply(event, (epoch, event.seq))

    def _plain(self, epoch: int, events: tuple[Event, ...]) -> bool:
        """Note the events if none ends a second or a date, is missing or known: most frames are so.

        What is left to do is to hand each to whom it concerns.
        """
        if not events or self.position is None:
            return False
        first, last, before = events[0].seq, events[-1].seq, self.position[1]
        if (first, last) != (before + 1, before + len(events)):
            return False
        newest_ns = max([event.ts_recv_ns for event in events])
        if newest_ns > min(self._open_ns, self._date_until_ns):
            return False
        if any(position >= (epoch, first) for position in self._restored.values()):
            return False
        self._restored.clear()
        self.events += len(events)
        self.position = epoch, last
        self.seen_ns = max(self.seen_ns, newest_ns)
        return True

    def preview(self, symbol: str, now_ns: int) -> Image | None:
        """Return the newest state of an underlying, at the tape's time; None without contracts."""
        underlying = self.underlyings[symbol]
        if not len(underlying.columns):
            return None
        underlying.dirty = False
        return underlying.image(
            self.seen_ns, max(now_ns, self.seen_ns), self.heard_ns, self._positions()
        )

    def touch(self) -> None:
        """Call every underlying changed."""
        for underlying in self.underlyings.values():
            underlying.dirty = True

    def silent(self, now_ns: int) -> bool:
        """Whether the tape has had no heartbeat for too long."""
        return now_ns - self.heard_ns > SILENT_AFTER_S * _NS

    def _apply(self, event: Event, position: Position) -> None:
        self.events += 1
        self.position = position
        self.seen_ns = max(self.seen_ns, event.ts_recv_ns)
        self._hand(event)

    def _hand(self, event: Event) -> None:
        """Hand the event at our position, or plainly before it, to whom it concerns."""
        if isinstance(event, OptionQuote):
            symbol = event.underlying
        elif isinstance(event, Heartbeat):
            if event.connected:
                self.heard_ns = event.ts_recv_ns
            return
        elif isinstance(event, Gap) and not event.symbol:
            self._take_gap(event)
            return
        else:
            symbol = event.symbol
        underlying = self.underlyings.get(symbol)
        if underlying is not None and not (self._restored and self._known(symbol, self.position)):
            underlying.take(event)

    def _hand_plainly(self, events: tuple[Event, ...]) -> None:
        """Hand a frame's events of which no image knows one: nearly all are quotes of options.

        Each goes straight into its row; that its underlying changed, and when, is noted once.
        """
        newest_ns: dict[str, int] = {}
        for event in events:
            if type(event) is not OptionQuote:
                newest_ns.pop(event.symbol, None)
                self._hand(event)
                continue
            write = self._writes.get(event.underlying)
            if write is not None:
                write(event)
                newest_ns[event.underlying] = event.ts_recv_ns
        for symbol, ts_ns in newest_ns.items():
            self.underlyings[symbol].noted(ts_ns)

    def _take_gap(self, gap: Gap) -> None:
        for symbol, underlying in self.underlyings.items():
            if not self._known(symbol, self.position):
                underlying.take_gap(gap)

    def _lose(self, gap: Lost, position: Position) -> None:
        """Open a gap before the event at a position; an image that holds that one holds it too."""
        for symbol, underlying in self.underlyings.items():
            if not self._known(symbol, position):
                underlying.lose(gap)

    def _known(self, symbol: str, position: Position | None) -> bool:
        """Whether an image that we started from holds the event already."""
        restored = self._restored.get(symbol)
        if restored is None or position is None or position > restored:
            self._restored.pop(symbol, None)
            return False
        return True

    def _complete(self, recv_ns: int) -> Iterator[Second]:
        """Yield the seconds that end before `recv_ns`, of those that are worth a figure."""
        last_ns = (recv_ns - 1) // _NS * _NS
        if self._open_ns:
            until_ns = min(last_ns, self.heard_ns + SILENCE_RECORDED_S * _NS)
            for ts_ns in range(self._open_ns, until_ns + 1, _NS):
                images = self._images(ts_ns)
                if images:
                    yield Second(ts_ns, images)
        self._open_ns = last_ns + _NS

    def _images(self, ts_ns: int) -> tuple[Image, ...]:
        self._roll(ts_ns)
        positions = self._positions()
        return tuple(
            underlying.image(ts_ns, ts_ns, self.heard_ns, positions)
            for symbol, underlying in self.underlyings.items()
            if len(underlying.columns) and asof_ns(ts_ns, symbol) == ts_ns
        )

    def _positions(self) -> dict[str, Position]:
        return {self.tape: self.position} if self.position else {}

    def _roll(self, ts_ns: int) -> None:
        """Begin the trading date of a moment: at its open, for all underlyings at once."""
        day = trading_date(ts_ns)
        for underlying in self.underlyings.values():
            if underlying.day is None or day > underlying.day:
                underlying.roll(day)
        self._date_until_ns = sessions.regular_open_ns(sessions.next_trading_day(day))
