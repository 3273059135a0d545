"""One registry of fields: its numbers are schwab-py's and those of real payloads."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.fields import (
    CHART_EQUITY,
    CHART_FUTURES,
    EQUITIES,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    ITEMS,
    KINDS,
    NASDAQ_BOOK,
    NYSE_BOOK,
    OPTIONS,
    OPTIONS_BOOK,
    Level,
    Service,
    field_numbers,
)
from gex_pipeline.feeds.schwab.library import StreamClient
from gex_pipeline.feeds.schwab.stream import read_frame
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.market.events import BookUpdate, Candle, OptionQuote, Quote, Trade
from gex_pipeline.market.sessions import et_datetime, et_ns

ENUMS: dict[Service, Any] = {
    EQUITIES: StreamClient.LevelOneEquityFields,
    OPTIONS: StreamClient.LevelOneOptionFields,
    FUTURES: StreamClient.LevelOneFuturesFields,
    FUTURES_OPTIONS: StreamClient.LevelOneFuturesOptionsFields,
    FOREX: StreamClient.LevelOneForexFields,
    CHART_EQUITY: StreamClient.ChartEquityFields,
    CHART_FUTURES: StreamClient.ChartFuturesFields,
    NYSE_BOOK: StreamClient.BookFields,
    NASDAQ_BOOK: StreamClient.BookFields,
    OPTIONS_BOOK: StreamClient.BookFields,
}
NAMES = {
    "bid": "BID_PRICE",
    "ask": "ASK_PRICE",
    "last": "LAST_PRICE",
    "volume": "TOTAL_VOLUME",
    "quote_ms": "QUOTE_TIME_MILLIS",
    "trade_ms": "TRADE_TIME_MILLIS",
    "contract": "FUTURE_ACTIVE_SYMBOL",
    "iv_percent": "VOLATILITY",
    "settlement": "SETTLEMENT_TYPE",
    "underlying": "UNDERLYING_SYMBOL",
    "open": "OPEN_PRICE",
    "high": "HIGH_PRICE",
    "low": "LOW_PRICE",
    "close": "CLOSE_PRICE",
    "chart_ms": "CHART_TIME_MILLIS",
    "book_ms": "BOOK_TIME",
}
"""Ours to schwab-py's, where they are not the same but for case."""


def of_schwab_py(service: Service, name: str) -> str:
    """What schwab-py calls a field of ours."""
    if name == "volume" and service in (CHART_EQUITY, CHART_FUTURES):
        return "VOLUME"
    return NAMES.get(name, name.upper())


@pytest.mark.parametrize("service", list(ITEMS))
def test_each_number_is_the_one_that_schwab_py_has(service: Service) -> None:
    """By its name; so a field map that is wrong on either side is seen here."""
    ours = {
        of_schwab_py(service, each.name): int(each.encode_name)
        for each in msgspec.structs.fields(ITEMS[service])
        if each.name != "key"
    }
    theirs: dict[str, int] = {each.name: each.value for each in ENUMS[service]}

    assert ours == {name: theirs[name] for name in ours}
    assert field_numbers(service) == (0, *sorted(ours.values()))
    assert KINDS[service]


def test_the_levels_of_a_book_are_numbered_alike_on_both_sides() -> None:
    """Price and sum of sizes; the market makers' third field is a time, whatever its name."""
    sides: tuple[tuple[Any, str], ...] = (
        (StreamClient.BidFields, "BID_PRICE"),
        (StreamClient.AskFields, "ASK_PRICE"),
    )
    numbers = {each.name: int(each.encode_name) for each in msgspec.structs.fields(Level)}

    for names, price in sides:
        assert numbers == {"price": names[price].value, "size": names["TOTAL_VOLUME"].value}


# --- real payloads --------------------------------------------------------------------------------

SAMPLES: dict[str, tuple[str, tuple[type, ...]]] = {
    "stream_levelone_equities": ("AMD", (Quote, Trade)),
    "stream_levelone_options": ("", (OptionQuote,)),
    "stream_levelone_futures": ("/ES", (Quote, Trade, BookUpdate)),
    "stream_levelone_futures_options": ("./OGG26C4240", (OptionQuote,)),
    "stream_levelone_forex": ("EUR/USD", (Quote, Trade)),
    "stream_chart_equity": ("AMD", (Candle,)),
    "stream_chart_futures": ("/ES", (Candle,)),
    "stream_nyse_book": ("", (BookUpdate,)),
    "stream_nasdaq_book": ("", (BookUpdate,)),
    "stream_options_book": ("", (BookUpdate,)),
}


@pytest.mark.samples
@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_real_payload_becomes_events(name: str, samples: Path) -> None:
    """Every item of every real frame is taken, and goes through the tape's codec as it is."""
    symbol, kinds = SAMPLES[name]
    decoder = Decoder()
    frame = read_frame((samples / "schwab" / f"{name}.json").read_bytes())
    assert frame is not None

    told = [event for block in frame.data for _, event in decoder.events(block, 1)]

    assert (decoder.tally.received, decoder.tally.rejected.total()) == (decoder.tally.taken, 0)
    assert {type(event) for event in told} <= set(kinds)
    assert told
    assert decode_events(encode_events(told)) == told
    if symbol:
        assert symbol in {event.symbol for event in told}


@pytest.mark.samples
def test_the_candle_of_the_wire_is_a_candle(samples: Path) -> None:
    """In the guide's order its first price would be the sequence, 425."""
    data = (samples / "schwab" / "stream_chart_equity.json").read_bytes()
    frame = read_frame(data)
    assert frame is not None

    ((_, candle),) = Decoder().events(frame.data[0], 1)

    assert isinstance(candle, Candle)
    assert candle.low <= min(candle.open, candle.close) <= candle.high
    assert (candle.source_seq, candle.volume) == (425, 11730)
    assert candle.ts_event_ns == 1_765_307_100_000 * 1_000_000


@pytest.mark.samples
@pytest.mark.parametrize("name", ["stream_nyse_book", "stream_nasdaq_book", "stream_options_book"])
def test_a_real_book_is_in_order_and_its_sizes_are_sums(name: str, samples: Path) -> None:
    """Best first; a level's size is that of its market makers together.

    Their third field is a time of day in New York, none later than the book's own.
    """
    data = (samples / "schwab" / f"{name}.json").read_bytes()
    frame = read_frame(data)
    assert frame is not None
    (item, *_) = json.loads(data)["data"][0]["content"]

    (_, book), *_ = Decoder().events(frame.data[0], 1)

    assert isinstance(book, BookUpdate)
    assert book.venue == frame.data[0].service
    assert list(book.bid_prices) == sorted(book.bid_prices, reverse=True)
    assert list(book.ask_prices) == sorted(book.ask_prices)
    whole = [level for level in item["2"] if level["2"] == len(level["3"])]
    assert all(level["1"] == sum(maker["1"] for maker in level["3"]) for level in whole)
    made = et_datetime(item["1"] * 1_000_000)
    of_day_ms = (item["1"] * 1_000_000 - et_ns(made.date(), 0)) // 1_000_000
    assert all(0 < maker["2"] <= of_day_ms for level in item["2"] for maker in level["3"])
