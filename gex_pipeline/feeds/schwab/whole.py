"""Items that are whole each time, not changes: candles and books."""

from collections.abc import Iterator
from typing import Literal

from gex_pipeline.feeds.schwab.fields import (
    BookItem,
    EquityCandleItem,
    FutureCandleItem,
    Level,
    Service,
)
from gex_pipeline.feeds.schwab.numbers import NS_PER_MS, count_of, number_of, size_of, time_of
from gex_pipeline.feeds.schwab.subject import Subject
from gex_pipeline.market.events import SOURCE_SEQUENCE, BookUpdate, Candle, Event, Gap

INTERVAL_S = 60
_INTERVAL_NS = INTERVAL_S * 1_000 * NS_PER_MS

CandleItem = EquityCandleItem | FutureCandleItem
Flaw = Literal["incomplete", "level"]
"""incomplete: a price, a time or a side of the book is not there. level: a price of the book or its
size is no number."""


def candle_events(subject: Subject, item: CandleItem, ts_recv_ns: int) -> tuple[Event, ...] | Flaw:
    """Return the candle, behind a gap if the source's own numbers jumped before it."""
    prices = [number_of(each) for each in (item.open, item.high, item.low, item.close)]
    ts_event_ns = time_of(item.chart_ms)
    known = [price for price in prices if price is not None]
    if not ts_event_ns or len(known) < len(prices):
        return "incomplete"
    sequence = day = None
    if isinstance(item, EquityCandleItem):
        sequence, day = count_of(number_of(item.sequence)), number_of(item.chart_day)
    candle = Candle(
        symbol=subject.symbol,
        ts_event_ns=ts_event_ns,
        ts_recv_ns=ts_recv_ns,
        source_seq=sequence,
        interval_s=INTERVAL_S,
        open=known[0],
        high=known[1],
        low=known[2],
        close=known[3],
        volume=count_of(number_of(item.volume)),
    )
    if sequence is None:
        return (candle,)
    return *_jump(subject, candle, sequence, day), candle


def _jump(subject: Subject, candle: Candle, sequence: int, day: float | None) -> Iterator[Gap]:
    """Yield the gap before a candle; the numbers begin anew each day, an old candle tells none."""
    known = subject.state.get("candle")
    if known is None or known[2] < candle.ts_event_ns:
        subject.state["candle"] = day, sequence, candle.ts_event_ns
    if known is None or known[0] != day or sequence <= known[1] + 1:
        return
    if candle.ts_event_ns > known[2]:
        yield Gap(
            symbol=candle.symbol,
            ts_event_ns=candle.ts_event_ns,
            ts_recv_ns=candle.ts_recv_ns,
            ts_from_ns=min(known[2] + _INTERVAL_NS, candle.ts_event_ns),
            ts_to_ns=candle.ts_event_ns,
            cause=SOURCE_SEQUENCE,
        )


def book_events(
    subject: Subject, service: Service, item: BookItem, sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...] | Flaw:
    """Return the book, prices best first."""
    if not isinstance(item.bids, list) or not isinstance(item.asks, list):
        return "incomplete"
    bids, asks = _side(item.bids), _side(item.asks)
    if bids is None or asks is None:
        return "level"
    bids.sort(key=_price, reverse=True)
    asks.sort(key=_price)
    return (
        BookUpdate(
            symbol=subject.symbol,
            ts_event_ns=time_of(item.book_ms) or sent_ns,
            ts_recv_ns=ts_recv_ns,
            bid_prices=tuple(price for price, _ in bids),
            bid_sizes=tuple(size for _, size in bids),
            ask_prices=tuple(price for price, _ in asks),
            ask_sizes=tuple(size for _, size in asks),
            venue=service,
        ),
    )


def _side(levels: list[Level]) -> list[tuple[float, float]] | None:
    """Return prices and sizes; None: one of them is no number."""
    found = []
    for level in levels:
        price, size = number_of(level.price), size_of(number_of(level.size))
        if price is None or size is None:
            return None
        found.append((price, size))
    return found


def _price(level: tuple[float, float]) -> float:
    return level[0]
