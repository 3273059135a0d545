"""What anybody may read of the tape without knowing it: ticks, books and newest values as JSON."""

import msgspec

from gex_pipeline.market.events import LEVEL_ONE, BookUpdate, OptionQuote, Quote, Trade

TICK_VERSION = 1


class TickEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A trade or a quote on the channel `market_data:ticks`, with the newest of the other kind.

    A number that the source did not give is null.
    """

    v: int = TICK_VERSION
    symbol: str
    """Canonical; an option's is its OCC symbol."""
    last: float | None
    """Price of the newest trade."""
    bid: float | None
    ask: float | None
    size: float | None
    """Size of the trade; null where the event is a quote."""
    ts_event_ns: int
    ts_recv_ns: int
    source: str
    seq: int
    """Dense number on the event's tape."""


class Level2Event(msgspec.Struct, frozen=True, kw_only=True):
    """A whole book on the channel `market_data:level2` and in `depth:`; levels best first."""

    v: int = TICK_VERSION
    symbol: str
    bids: tuple[tuple[float, float], ...]
    """(price, size)"""
    asks: tuple[tuple[float, float], ...]
    depth: int
    """Levels of the deeper side."""
    venue: str | None
    """NYSE_BOOK, NASDAQ_BOOK, OPTIONS_BOOK; null: all venues together."""
    ts_event_ns: int
    ts_recv_ns: int
    source: str
    """The feed; level_one: no book, but the best bid and ask of its quotes."""
    seq: int


class Newest(msgspec.Struct, frozen=True):
    """Newest trade and quote of a symbol."""

    trade: Trade | None = None
    quote: Quote | None = None


def tick_of(event: Trade | Quote, newest: Newest, source: str) -> TickEvent:
    """Return the tick of a trade or a quote; `newest` has the event in it."""
    trade, quote = newest.trade, newest.quote
    return TickEvent(
        symbol=event.symbol,
        last=None if trade is None else trade.price,
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
        size=event.size if isinstance(event, Trade) else None,
        ts_event_ns=event.ts_event_ns,
        ts_recv_ns=event.ts_recv_ns,
        source=source,
        seq=event.seq,
    )


def option_tick_of(event: OptionQuote, source: str) -> TickEvent:
    """Return the tick of an option quote."""
    return TickEvent(
        symbol=event.symbol,
        last=event.last,
        bid=event.bid,
        ask=event.ask,
        size=event.last_size,
        ts_event_ns=event.ts_event_ns,
        ts_recv_ns=event.ts_recv_ns,
        source=source,
        seq=event.seq,
    )


def level2_of(event: BookUpdate, source: str) -> Level2Event:
    """Return the book of an update that is the whole book."""
    made = event.venue == LEVEL_ONE
    return Level2Event(
        symbol=event.symbol,
        bids=tuple(zip(event.bid_prices, event.bid_sizes, strict=True)),
        asks=tuple(zip(event.ask_prices, event.ask_sizes, strict=True)),
        depth=max(len(event.bid_prices), len(event.ask_prices)),
        venue=None if made else event.venue,
        ts_event_ns=event.ts_event_ns,
        ts_recv_ns=event.ts_recv_ns,
        source=LEVEL_ONE if made else source,
        seq=event.seq,
    )


encode_message = msgspec.json.Encoder().encode
"""JSON bytes of a TickEvent or a Level2Event."""


def decode_tick(data: bytes) -> TickEvent:
    """Return the tick of its message."""
    return msgspec.json.decode(data, type=TickEvent)


def decode_level2(data: bytes) -> Level2Event:
    """Return the book of its message."""
    return msgspec.json.decode(data, type=Level2Event)
