"""Candles and books: whole each time, best first, and a jump of the source's numbers is a gap."""

from typing import Any

from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.fields import CHART_EQUITY, CHART_FUTURES, NASDAQ_BOOK, OPTIONS_BOOK
from gex_pipeline.market.events import BookUpdate, Candle, Event, Gap
from gex_pipeline_tests.feeds.schwab.test_decode import CALL, RECV_NS, block, events

MINUTE_MS = 60_000
START_MS = 1_765_307_100_000
DAY = 20_431


def candle(minute: int, *, day: int = DAY, close: float = 221.02) -> dict[str, Any]:
    """A candle of a minute of the day as CHART_EQUITY has it, in the order of the wire."""
    at_ms = START_MS + (day - DAY) * 1_440 * MINUTE_MS + minute * MINUTE_MS
    prices = {"2": 221.133, "3": 221.18, "4": 221.0, "5": close}
    return {
        "key": "AMD",
        "1": 400 + minute,
        **prices,
        "6": 11_730,
        "7": at_ms,
        "8": day,
        "seq": 202,
    }


def told(*items: dict[str, Any]) -> list[Event]:
    """The events of candles that come one after another."""
    decoder = Decoder()
    return [event for item in items for event in events(decoder, block(CHART_EQUITY, item))]


def kinds(found: list[Event]) -> list[type[Event]]:
    """What they are."""
    return [type(event) for event in found]


def test_a_candle_of_a_share() -> None:
    """Its start is the event's time, its sequence the source's own number."""
    assert told(candle(25)) == [
        Candle(
            "AMD",
            (START_MS + 25 * MINUTE_MS) * 1_000_000,
            RECV_NS,
            source_seq=425,
            interval_s=60,
            open=221.133,
            high=221.18,
            low=221.0,
            close=221.02,
            volume=11_730,
        )
    ]


def test_a_candle_of_a_future_has_no_sequence() -> None:
    """CHART_FUTURES begins with the time."""
    item = {"key": "/ES", "1": 60_000, "2": 6858.25, "3": 6858.75, "4": 6857.75, "5": 6858.5}

    (event,) = events(Decoder(), block(CHART_FUTURES, item | {"6": 897}))

    assert isinstance(event, Candle)
    assert (event.ts_event_ns, event.source_seq) == (60 * 10**9, None)
    assert (event.open, event.close, event.volume) == (6858.25, 6858.5, 897)


def test_a_jump_of_the_sequence_is_a_gap_of_that_symbol() -> None:
    """From the end of the last candle that came to the start of the next; nothing else is lost."""
    _, gap, after = told(candle(1), candle(4))

    assert isinstance(gap, Gap)
    assert (gap.symbol, gap.cause, gap.ts_recv_ns) == ("AMD", "source_sequence", RECV_NS)
    assert gap.ts_from_ns == (START_MS + 2 * MINUTE_MS) * 1_000_000
    assert gap.ts_to_ns == (START_MS + 4 * MINUTE_MS) * 1_000_000
    assert (gap.first_seq, gap.last_seq) == (None, None)
    assert isinstance(after, Candle)


def test_what_is_no_jump_is_no_gap() -> None:
    """Next ones, a candle told again, an old one late, another day: stored as received."""
    found = told(candle(1), candle(2), candle(2, close=221.1), candle(1), candle(3))

    assert kinds(found) == [Candle] * 5
    assert [event.source_seq for event in found] == [401, 402, 402, 401, 403]
    assert (
        kinds(told(candle(1), candle(700, day=DAY + 1), candle(701, day=DAY + 1))) == [Candle] * 3
    )


def test_symbols_and_connections_have_sequences_of_their_own() -> None:
    """A new connection's gap is told as what it is: a disconnect."""
    decoder = Decoder()
    other = candle(9) | {"key": "SPY"}
    events(decoder, block(CHART_EQUITY, candle(1), other))

    assert kinds(events(decoder, block(CHART_EQUITY, candle(2), candle(10) | {"key": "SPY"}))) == [
        Candle,
        Candle,
    ]
    decoder.forget()
    assert kinds(events(decoder, block(CHART_EQUITY, candle(9)))) == [Candle]


def test_a_book_is_whole_and_best_first() -> None:
    """However Schwab orders its levels; the market makers are in its sizes."""
    makers = [{"0": "NSDQ", "1": 140, "2": 49_978_628}, {"0": "G", "1": 500, "2": 49_980_039}]
    bids = [{"0": 221.31, "1": 200, "2": 1, "3": []}, {"0": 221.38, "1": 640, "2": 2, "3": makers}]
    asks = [{"0": 221.44, "1": 250, "2": 1, "3": []}, {"0": 221.5, "1": 0, "2": 0, "3": []}]

    (book,) = events(
        Decoder(), block(NASDAQ_BOOK, {"key": "AMD", "1": 5_000, "2": bids, "3": asks})
    )

    assert book == BookUpdate(
        "AMD",
        5 * 10**9,
        RECV_NS,
        bid_prices=(221.38, 221.31),
        bid_sizes=(640, 200),
        ask_prices=(221.44, 221.5),
        ask_sizes=(250, 0),
        whole=True,
        venue="NASDAQ_BOOK",
    )


def test_the_book_of_an_option_that_nobody_quotes() -> None:
    """Empty sides are a fact: there is no order."""
    (book,) = events(Decoder(), block(OPTIONS_BOOK, {"key": CALL, "1": 1, "2": [], "3": []}))

    assert isinstance(book, BookUpdate)
    assert (book.symbol, book.venue) == (CALL, "OPTIONS_BOOK")
    assert (book.bid_prices, book.ask_sizes) == ((), ())
