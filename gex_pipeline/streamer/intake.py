"""Where everything that a source sends comes in: stamped, captured, counted, then decoded.

The count at the socket is taken from what came; the decoder and the tapes say on their own what
became of it. One stamp is on all four, so capture, ledger and tape speak of the same moment.
"""

from collections.abc import Callable, Mapping, Sequence

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.recorder import Recorder
from gex_pipeline.feeds.schwab.answers import ChainPart, missing_header
from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.quotes import read_quotes
from gex_pipeline.feeds.schwab.rest import Missing
from gex_pipeline.feeds.schwab.stream import StreamFrame
from gex_pipeline.feeds.schwab.updates import NOWHERE, Place, SocketCount, count_quotes
from gex_pipeline.market.events import Trade
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.tapes import Tapes

_TRUNCATED = "truncated"
"""Of a chain's remarks: it is about the answer, not about a row."""


class Intake:
    """Takes the frames and answers of one source."""

    def __init__(
        self, tapes: Tapes, quarantine: Quarantine, quiet: Quiet, recorder: Recorder | None = None
    ) -> None:
        self.tapes = tapes
        self.quiet = quiet
        self.decoder = Decoder()
        self.recorder = recorder
        self._quarantine = quarantine
        self._socket = SocketCount()
        self._connection = 0
        self._polled: dict[str, float] = {}
        """The newest price of each symbol that was asked for: those of the plan."""

    def connect(self) -> None:
        """Begin a connection: it sends full images first."""
        self._connection += 1
        self.decoder.forget()

    def stream(
        self, raw: str | bytes, frame: StreamFrame | None, before: Callable[[int], None]
    ) -> None:
        """Take a frame of the socket; `before` is called with its stamp ahead of its data."""
        stamp_ns = self.tapes.time.stamp_ns()
        if self.recorder is not None:
            self.recorder.take(stamp_ns, self._connection, "stream", raw)
        if frame is None:
            self._received(stamp_ns, {NOWHERE: 1})
            self._refused(stamp_ns, NOWHERE, "json", raw)
            return
        if not frame.data:
            return
        before(stamp_ns)
        for block in frame.data:
            received = self._socket.of_block(block.service, block.content)
            self._received(stamp_ns, received)
            for calendar in {place.calendar for place in received}:
                self.quiet.heard(calendar, stamp_ns)
            for calendar, rows in self.decoder.rows(block, stamp_ns).items():
                self.tapes.put_all(calendar, rows, stamp_ns)
            for place, reason, item in self.decoder.drain():
                self._refused(stamp_ns, place, reason, item)

    def chain(self, symbol: str, part: ChainPart) -> int:
        """Take a part of a chain; return its stamp."""
        stamp_ns = self.tapes.time.stamp_ns()
        calendar = calendar_of(symbol)
        if self.recorder is not None:
            window = (part.first, part.last)
            self.recorder.take(stamp_ns, 0, "chain", part.answer, symbol=symbol, window=window)
        self._received(stamp_ns, _updates(calendar, part))
        self.tapes.put_all(calendar, part.events(stamp_ns), stamp_ns)
        ledger = self.tapes.by_calendar[calendar].ledger
        for reason, count in part.chain.dropped.items():
            if reason != _TRUNCATED:
                ledger.add("rejected", "option_quotes", stamp_ns, count, reason)
        return stamp_ns

    def repeated(self, symbol: str, part: ChainPart) -> None:
        """Take a part that was cut short: what it says comes again with its halves."""
        stamp_ns = self.tapes.time.stamp_ns()
        calendar = calendar_of(symbol)
        if self.recorder is not None:
            window = (part.first, part.last)
            self.recorder.take(stamp_ns, 0, "repeated", part.answer, symbol=symbol, window=window)
        received = _updates(calendar, part)
        self._received(stamp_ns, received)
        for place, count in received.items():
            ledger = self.tapes.by_calendar[calendar].ledger
            ledger.add("conflated", place.table, stamp_ns, count, "asked_again")

    def missing(self, symbol: str, missing: Missing) -> None:
        """Say on the tape that a window could not be had; keep what came instead of it."""
        stamp_ns = self.tapes.time.stamp_ns()
        calendar = calendar_of(symbol)
        if self.recorder is not None:
            if missing.answer:
                self.recorder.take(
                    stamp_ns, 0, "chain", missing.answer, symbol=symbol, window=missing.window
                )
            self.recorder.take(stamp_ns, 0, "missing", b"", symbol=symbol, window=missing.window)
        if missing.answer:
            self._received(stamp_ns, {NOWHERE: 1})
            self._refused(stamp_ns, NOWHERE, "json", missing.answer)
        self._received(stamp_ns, {Place(calendar, "chain_headers"): 1})
        self.tapes.put(calendar, missing_header(symbol, missing.window, stamp_ns))

    def quotes(self, symbols: Sequence[str], data: bytes) -> int:
        """Take an answer of /quotes that stands in for the stream; return the symbols in it."""
        stamp_ns = self.tapes.time.stamp_ns()
        if self.recorder is not None:
            self.recorder.take(stamp_ns, 0, "quotes", data, symbol=",".join(symbols))
        self._received(stamp_ns, count_quotes(data))
        try:
            answer = read_quotes(data, symbols, stamp_ns)
        except ChainFileError:
            self._refused(stamp_ns, NOWHERE, "json", data)
            return 0
        for symbol, events in answer.events.items():
            for event in events:
                self.tapes.put(calendar_of(symbol), event)
                if isinstance(event, Trade):
                    self._polled[symbol] = event.price
        return len(answer.events)

    def price(self, symbol: str, *, streamed: bool) -> float | None:
        """Return the newest price of a share or index, streamed or asked for; None: there is none.

        While the stream is down its last price is not the newest.
        """
        return self.decoder.price(symbol) if streamed else self._polled.get(symbol)

    def _received(self, stamp_ns: int, updates: Mapping[Place, int]) -> None:
        for (calendar, table), count in updates.items():
            if tape := self.tapes.by_calendar.get(calendar):
                tape.ledger.add("received", table, stamp_ns, count)

    def _refused(self, stamp_ns: int, place: Place, reason: str, item: str | bytes) -> None:
        if tape := self.tapes.by_calendar.get(place.calendar):
            tape.ledger.add("rejected", place.table, stamp_ns, reason=reason)
        self._quarantine.put(stamp_ns, place.table, reason, item)


def _updates(calendar: Calendar, part: ChainPart) -> dict[Place, int]:
    """Return what an answer brings: its contracts, and itself."""
    return {Place(calendar, "option_quotes"): part.listed, Place(calendar, "chain_headers"): 1}
