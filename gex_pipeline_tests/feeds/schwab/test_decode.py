"""Stream items to events: merged, whole, counted."""

from typing import Any

import msgspec
import pytest

from gex_pipeline.feeds.schwab.decode import Block, Decoder
from gex_pipeline.feeds.schwab.fields import (
    EQUITIES,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    OPTIONS,
    field_numbers,
)
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.market.events import BookUpdate, Event, OptionQuote, Quote, Trade

CALL = "SPXW  251208C06880000"
RECV_NS = 1_765_082_500_000_000_000


def block(service: str, *items: Any) -> Block:
    """A part of a data frame as Schwab sends it."""
    return Block(service, msgspec.Raw(msgspec.json.encode(items)), 1_765_082_498_588)


def events(decoder: Decoder, *blocks: Block) -> list[Event]:
    """The events of these blocks, in order."""
    return [event for each in blocks for _, event in decoder.events(each, RECV_NS)]


def test_the_fields_that_are_asked_for() -> None:
    """Ascending from 0, the symbol: what the guide numbers quote, sale and greeks."""
    assert field_numbers(EQUITIES) == (0, 1, 2, 3, 4, 5, 8, 9, 34, 35)
    assert field_numbers(FUTURES) == (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 34)
    greeks = (28, 29, 30, 31, 32, 35, 37, 38, 39, 43)
    assert field_numbers(OPTIONS) == (0, 2, 3, 4, 8, 9, 10, 16, 17, 18, *greeks)


def test_a_changed_field_shows_the_option_whole() -> None:
    """A delta of one field carries all that was known before; IV leaves as a fraction."""
    decoder = Decoder()
    image = {"key": CALL, "2": 10.2, "3": 10.6, "8": 7961, "9": 120, "10": 15.5, "43": "P"}

    _, second = events(
        decoder,
        block(OPTIONS, image | {"29": 0.00123456, "38": 1_765_082_498_000}),
        block(OPTIONS, {"key": CALL, "3": 10.7, "38": 1_765_082_498_500}),
    )

    assert second == OptionQuote(
        CALL,
        1_765_082_498_500_000_000,
        RECV_NS,
        underlying="SPX",
        bid=10.2,
        ask=10.7,
        iv=0.155,
        gamma=0.00123456,
        volume=7961,
        open_interest=120,
        settlement="P",
    )


def test_a_share_gives_a_quote_and_a_trade_for_what_changed() -> None:
    """The first image gives both, a change of one side a quote, a sale a trade."""
    decoder = Decoder()
    image = {"key": "SPY", "1": 599.9, "2": 600.1, "3": 600.0, "4": 200, "5": 100, "8": 1, "9": 5}

    both = events(decoder, block(EQUITIES, image | {"34": 1_000, "35": 2_000}))
    quote = events(decoder, block(EQUITIES, {"key": "SPY", "1": 599.95}))
    sale = events(decoder, block(EQUITIES, {"key": "SPY", "9": 7, "8": 8}))

    assert both == [
        Quote("SPY", 10**9, RECV_NS, bid=599.9, ask=600.1, bid_size=200, ask_size=100),
        Trade("SPY", 2 * 10**9, RECV_NS, price=600.0, size=5, volume=1),
    ]
    assert [type(event) for event in quote] == [Quote]
    assert sale == [Trade("SPY", 2 * 10**9, RECV_NS, price=600.0, size=7, volume=8)]


def test_an_index_has_no_quote_and_no_size() -> None:
    """$SPX comes with zero bids at Schwab; the value is the trade."""
    spot = {"key": "$SPX", "1": 0, "2": 0, "3": 6071.17, "8": 9, "35": 3_000}

    assert events(Decoder(), block(EQUITIES, spot)) == [
        Trade("SPX", 3 * 10**9, RECV_NS, price=6071.17)
    ]


@pytest.mark.parametrize("none", ["NaN", None, -999, -999.0, "", 1e300])
def test_what_is_no_number_is_none(none: object) -> None:
    """Null, "NaN", -999 and what no field can hold never reach an event as a number."""
    (event,) = events(Decoder(), block(OPTIONS, {"key": CALL, "2": none, "29": none, "16": none}))

    assert isinstance(event, OptionQuote)
    assert (event.bid, event.gamma, event.bid_size) == (None, None, None)
    assert decode_events(encode_events([event])) == [event]


def test_each_item_is_taken_or_rejected_by_reason() -> None:
    """Received = taken + rejected; a bad item costs itself only."""
    decoder = Decoder()

    told = events(
        decoder,
        block(EQUITIES, {"key": "SPY", "3": 1.0}, {"key": 7}, {"key": "$"}, {"key": "SPY"}),
        block(OPTIONS, {"key": "SPY", "3": 1.0}),
        block("TIMESALE_EQUITY", {"key": "SPY"}),
        Block(FUTURES, msgspec.Raw(b'{"key": "/ES"}')),
    )

    assert len(told) == 1
    assert decoder.tally.taken == 1
    assert decoder.tally.rejected == {"item": 1, "symbol": 2, "empty": 1, "service": 1, "json": 1}
    assert decoder.tally.received == decoder.tally.taken + decoder.tally.rejected.total()


def test_events_go_to_the_tape_of_their_calendar() -> None:
    """Funds and their options to equity, indexes and theirs to index, futures to cme."""
    blocks = (
        block(EQUITIES, {"key": "SPY", "3": 1.0}, {"key": "$VIX", "3": 15.0}),
        block(OPTIONS, {"key": "SPY   251208C00600000", "2": 1.0}, {"key": CALL, "2": 1.0}),
        block(FUTURES, {"key": "/ES", "3": 6000.0}),
        block(FOREX, {"key": "EUR/USD", "3": 1.1}),
        block(FUTURES_OPTIONS, {"key": "./OGG26C4240", "1": 110.5}),
    )
    decoder = Decoder()

    assert [calendar for each in blocks for calendar, _ in decoder.events(each, RECV_NS)] == [
        "equity",
        "index",
        "equity",
        "index",
        "cme",
        "cme",
        "cme",
    ]


def test_a_new_connection_starts_without_states() -> None:
    """After `forget` an item shows only what it says itself."""
    decoder = Decoder()
    events(decoder, block(OPTIONS, {"key": CALL, "2": 1.0}))

    decoder.forget()
    (event,) = events(decoder, block(OPTIONS, {"key": CALL, "3": 2.0}))

    assert isinstance(event, OptionQuote)
    assert (event.bid, event.ask) == (None, 2.0)


# --- futures, their options, currencies -----------------------------------------------------------


def test_a_future_shows_the_top_of_the_book_that_schwab_has_not() -> None:
    """Beside the quote, when a side changed; not for a sale or the quote's time alone."""
    decoder = Decoder()
    image = {
        "key": "/NQ",
        "1": 25_000.25,
        "2": 25_000.5,
        "4": 3,
        "5": 7,
        "3": 25_000.5,
        "10": 1_000,
    }

    quote, sale, top = events(decoder, block(FUTURES, image))
    changed = events(decoder, block(FUTURES, {"key": "/NQ", "4": 5, "10": 2_000}))
    others = events(
        decoder, block(FUTURES, {"key": "/NQ", "3": 25_000.25}, {"key": "/NQ", "10": 3_000})
    )

    assert (type(quote), type(sale)) == (Quote, Trade)
    assert top == BookUpdate(
        "/NQ",
        10**9,
        RECV_NS,
        bid_prices=(25_000.25,),
        bid_sizes=(3,),
        ask_prices=(25_000.5,),
        ask_sizes=(7,),
        venue="level_one",
    )
    assert [type(event) for event in changed] == [Quote, BookUpdate]
    assert isinstance(changed[1], BookUpdate)
    assert (changed[1].bid_sizes, changed[1].ts_event_ns) == ((5,), 2 * 10**9)
    assert [type(event) for event in others] == [Trade, Quote]


def test_a_side_without_price_or_size_has_no_level() -> None:
    """Nobody made one up; without both sides there is no book at all."""
    decoder = Decoder()

    one = events(decoder, block(FUTURES, {"key": "/NQ", "1": 1.0, "4": 2, "2": 3.0, "5": None}))
    none = events(decoder, block(FUTURES, {"key": "/NQ", "1": "NaN"}))

    assert isinstance(one[1], BookUpdate)
    assert (one[1].bid_prices, one[1].ask_prices) == ((1.0,), ())
    assert [type(event) for event in none] == [Quote]


@pytest.mark.parametrize(
    ("said", "underlying"),
    [("/GCG26", "/GCG26"), ("/GC", "/GC"), ("GC", "/GC"), ("?", ""), (None, "")],
)
def test_an_option_on_a_future_is_of_the_future_that_schwab_names(
    said: str | None, underlying: str
) -> None:
    """Whole at each change, as other options; without greeks, for Schwab gives none."""
    decoder = Decoder()
    image = {"key": "./OGG26C4240", "1": 110.5, "2": 111.5, "4": 25, "18": 40, "19": 111.0}

    events(decoder, block(FUTURES_OPTIONS, image | {"24": said}))
    (event,) = events(decoder, block(FUTURES_OPTIONS, {"key": "./OGG26C4240", "5": 9, "11": 5_000}))

    assert event == OptionQuote(
        "./OGG26C4240",
        5 * 10**9,
        RECV_NS,
        underlying=underlying,
        bid=110.5,
        ask=111.5,
        bid_size=25,
        ask_size=9,
        mark=111.0,
        open_interest=40,
    )


def test_a_pair_of_currencies_has_quotes_and_sales() -> None:
    """Its fields have numbers of their own: 6 and 7 are volume and size, 8 and 9 the times."""
    pair = {"key": "EUR/USD", "1": 1.1643, "2": 1.16443, "3": 1.1644, "4": 1e5, "5": 2e5}

    assert events(Decoder(), block(FOREX, pair | {"6": 9, "7": 4, "8": 1_000, "9": 2_000})) == [
        Quote("EUR/USD", 10**9, RECV_NS, bid=1.1643, ask=1.16443, bid_size=1e5, ask_size=2e5),
        Trade("EUR/USD", 2 * 10**9, RECV_NS, price=1.1644, size=4, volume=9),
    ]


def test_a_service_takes_its_own_kind_of_symbol_only() -> None:
    """A share among the futures, a future among the books: not one that we know there."""
    decoder = Decoder()

    told = events(
        decoder,
        block(FUTURES, {"key": "SPY", "1": 1.0}),
        block("NYSE_BOOK", {"key": "/ES", "2": [], "3": []}),
        block("OPTIONS_BOOK", {"key": "SPY", "2": [], "3": []}),
    )

    assert told == []
    assert decoder.tally.rejected == {"symbol": 3}


def test_a_time_that_no_clock_shows_is_as_good_as_none() -> None:
    """Neither of the item nor of the block: then the time of receipt is all that is known."""
    odd = Block(FOREX, msgspec.Raw(b'[{"key":"EUR/USD","1":1.0,"8":9e14}]'), -5)

    (quote,) = events(Decoder(), odd)

    assert quote.ts_event_ns == RECV_NS
