"""Captured frames through the production decoder: the events that the streamer made of them."""

import datetime
from collections.abc import Iterable, Iterator

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.capture import WireFrame
from gex_pipeline.feeds.schwab.answers import missing_header, read_part
from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.quotes import read_quotes
from gex_pipeline.feeds.schwab.stream import read_frame
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of


def replay_capture(frames: Iterable[WireFrame]) -> Iterator[tuple[Calendar, Event]]:
    """Yield every event with the calendar of its tape, stamped as then, in the order of the tapes.

    Each connection begins with full images, so begin where one begins; the capture's start is one.
    What the streamer itself adds to its tapes (heartbeats, gaps, the ledger) is not in a capture.
    """
    decoder = Decoder()
    at: tuple[int, int] | None = None
    for frame in frames:
        if frame.kind == "stream":
            if at != (frame.run, frame.connection):
                at = frame.run, frame.connection
                decoder.forget()
            yield from _streamed(decoder, frame)
        elif frame.kind == "quotes":
            yield from _polled(frame)
        elif frame.kind in ("chain", "missing"):
            calendar = calendar_of(frame.symbol)
            yield from ((calendar, event) for event in _asked_for(frame))


def _streamed(decoder: Decoder, frame: WireFrame) -> Iterator[tuple[Calendar, Event]]:
    read = read_frame(frame.data)
    for block in read.data if read is not None else ():
        yield from decoder.events(block, frame.ts_recv_ns)
    decoder.drain()


def _polled(frame: WireFrame) -> Iterator[tuple[Calendar, Event]]:
    try:
        answer = read_quotes(frame.data, frame.symbol.split(","), frame.ts_recv_ns)
    except ChainFileError:
        return
    for symbol, events in answer.events.items():
        yield from ((calendar_of(symbol), event) for event in events)


def _asked_for(frame: WireFrame) -> Iterator[Event]:
    window = (frame.first or datetime.date.min, frame.last or datetime.date.max)
    if frame.kind == "missing":
        yield missing_header(frame.symbol, window, frame.ts_recv_ns)
        return
    try:
        part = read_part(frame.data, *window)
    except ChainFileError:  # then it was a missing one too, and is followed by that
        return
    yield from part.events(frame.ts_recv_ns)
