"""Three readers count the updates of any frame alike: socket, decoder, and the one of `verify`."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.archive.recount import Recount
from gex_pipeline.feeds.capture import WireFrame
from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.fields import ITEMS
from gex_pipeline.feeds.schwab.stream import read_frame
from gex_pipeline.feeds.schwab.updates import NOWHERE, Place, SocketCount, count_chain
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.quality.ledger import table_of

CALL = "SPXW  251208C06880000"
KEYS = ("SPY", "$SPX", "/ES", CALL, "EUR/USD", "./OGG26C4240", "???", "")
NUMBERS = tuple(str(number) for number in (*range(1, 13), 18, 24, 28, 34, 35, 38, 43))
NUMBER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 10**16),
    st.sampled_from([-999, -999.0, 10**30, 2**63, 1e308, "NaN", "Infinity", "1e999", "", "1.5"]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEVELS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(["0", "1", "2", "3"]), NUMBER, max_size=4),
        st.fixed_dictionaries({"0": st.floats(1, 9), "1": st.integers(0, 9)}),
        NUMBER,
    ),
    max_size=3,
)
VALUES: st.SearchStrategy[Any] = st.one_of(NUMBER, st.sampled_from(["P", "/GC", "?"]), LEVELS)
FIELDS = st.dictionaries(st.sampled_from(NUMBERS), VALUES, max_size=5)
ITEM: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda key, fields: {"key": key} | fields, st.sampled_from(KEYS), FIELDS),
    FIELDS,
    st.sampled_from([None, 7, "text", [], {"key": 5}]),
)
SERVICE = st.sampled_from([*ITEMS, "NEWS_HEADLINE"])
BLOCK = st.builds(
    lambda service, content: {"service": service, "timestamp": 1, "content": content},
    SERVICE,
    st.one_of(st.lists(ITEM, max_size=4), st.sampled_from([None, {}, "x"])),
)


def recount(data: bytes) -> Counter[Any]:
    """What the reader of `gex verify` counts."""
    return Recount().updates(WireFrame(1, 1, 1, 1, "stream", data))


def socket_count(data: bytes) -> Counter[Any]:
    """What the socket counts."""
    frame = read_frame(data)
    if frame is None:
        return Counter({NOWHERE: 1})
    count, found = SocketCount(), Counter[Any]()
    for block in frame.data:
        found.update(count.of_block(block.service, block.content))
    return found


def decoded(data: bytes) -> Counter[Any]:
    """What the decoder made of it: events by table, and refusals."""
    frame, decoder, found = read_frame(data), Decoder(), Counter[Any]()
    if frame is None:
        return Counter({NOWHERE: 1})
    for block in frame.data:
        for calendar, event in decoder.events(block, 1):
            assert decode_events(encode_events([event])) == [event]
            if table := table_of(event):  # else it is our own word: a gap, the top of a book
                found[calendar, table] += 1
        found.update(refusal.place for refusal in decoder.drain())
    return found


@given(st.lists(BLOCK, max_size=3))
def test_socket_decoder_and_verify_count_alike(blocks: list[dict[str, Any]]) -> None:
    """Whatever is in a frame, of any service: received = written + rejected, by calendar and table.

    Nothing raises, what is refused has a reason, and what is told goes through the tape's codec.
    """
    data = json.dumps({"data": blocks}).encode()

    assert socket_count(data) == recount(data) == decoded(data)


@given(st.binary(max_size=80))
def test_noise_is_one_update_of_no_table(data: bytes) -> None:
    """If it is no JSON object, all say so; none raises."""
    assert socket_count(data) == recount(data) == decoded(data)


@pytest.mark.parametrize(
    ("service", "item", "expected"),
    [
        ("LEVELONE_OPTIONS", {"key": CALL, "2": 1}, {("index", "option_quotes"): 1}),
        ("LEVELONE_OPTIONS", {"key": CALL}, {("index", "option_quotes"): 1}),
        (
            "LEVELONE_EQUITIES",
            {"key": "SPY", "1": 1, "3": 2},
            {("equity", "quotes"): 1, ("equity", "trades"): 1},
        ),
        ("LEVELONE_EQUITIES", {"key": "SPY", "34": 1}, {("equity", "quotes"): 1}),
        ("LEVELONE_EQUITIES", {"key": "SPY", "34": 1, "35": 1}, {("equity", "trades"): 1}),
        ("LEVELONE_FUTURES", {"key": "/ES", "10": 1}, {("cme", "quotes"): 1}),
        ("LEVELONE_EQUITIES", {"key": "$SPX", "1": 0}, {("index", "quotes"): 1}),
        ("LEVELONE_EQUITIES", {"key": "SPY"}, {("equity", ""): 1}),
        ("LEVELONE_FUTURES", {"key": "/ES", "1": 5, "4": 1}, {("cme", "quotes"): 1}),
        ("LEVELONE_FOREX", {"key": "EUR/USD", "6": 1, "8": 1}, {("cme", "trades"): 1}),
        ("LEVELONE_FOREX", {"key": "EUR/USD", "8": 1}, {("cme", "quotes"): 1}),
        ("LEVELONE_FUTURES_OPTIONS", {"key": "./OGG26C4240"}, {("cme", "option_quotes"): 1}),
        ("CHART_EQUITY", {"key": "SPY"}, {("equity", "candles"): 1}),
        ("CHART_FUTURES", {"key": "/ES", "2": 1}, {("cme", "candles"): 1}),
        ("NASDAQ_BOOK", {"key": "SPY", "2": [], "3": []}, {("equity", "depth"): 1}),
        ("OPTIONS_BOOK", {"key": CALL, "2": 7}, {("index", "depth"): 1}),
        ("NEWS_HEADLINE", {"key": "SPY"}, {("equity", ""): 1}),
    ],
)
def test_what_counts_as_one_update(
    service: str, item: dict[str, Any], expected: dict[Any, int]
) -> None:
    """The rule, by hand."""
    data = json.dumps({"data": [{"service": service, "content": [item]}]}).encode()

    assert socket_count(data) == recount(data) == decoded(data) == expected


def test_the_reasons_of_what_is_refused() -> None:
    """Each update that became no event, with what it came in."""
    items = [
        {"key": "$SPX", "1": 0, "3": 7.0},
        {"key": "SPY", "9": 5},
        {"key": "???", "1": 1},
        {"key": "SPY", "1": {}},
        {"key": "SPY"},
        7,
    ]
    frame = read_frame(json.dumps({"data": [{"service": "LEVELONE_EQUITIES", "content": items}]}))
    decoder = Decoder()
    assert frame is not None
    list(decoder.events(frame.data[0], 1))

    refused = decoder.drain()
    assert Counter((each.place, each.reason) for each in refused) == {
        (Place("index", "quotes"), "index_quote"): 1,
        (Place("equity", "trades"), "no_price"): 1,
        (Place("equity", "quotes"), "symbol"): 1,
        (Place("equity", "quotes"), "item"): 1,
        (NOWHERE, "empty"): 1,
        (NOWHERE, "item"): 1,
    }
    assert decoder.drain() == []
    assert msgspec.json.decode(refused[-1].item)["key"] == "SPY"


@pytest.mark.parametrize(
    ("service", "item", "reason"),
    [
        ("CHART_EQUITY", {"key": "SPY", "2": 1, "3": 1, "4": 1, "7": 1}, "incomplete"),
        ("CHART_EQUITY", {"key": "SPY", "2": 1, "3": 1, "4": 1, "5": 1}, "incomplete"),
        ("CHART_FUTURES", {"key": "/ES", "1": 1, "2": "NaN", "3": 1, "4": 1, "5": 1}, "incomplete"),
        ("NYSE_BOOK", {"key": "SPY", "1": 1, "2": []}, "incomplete"),
        ("NYSE_BOOK", {"key": "SPY", "2": [], "3": None}, "incomplete"),
        ("NYSE_BOOK", {"key": "SPY", "2": [{"0": 1, "1": 2}], "3": [{"0": None, "1": 1}]}, "level"),
        ("NYSE_BOOK", {"key": "SPY", "2": [{"0": -999, "1": 2}], "3": []}, "level"),
        ("NYSE_BOOK", {"key": "SPY", "2": [{"0": 1}], "3": []}, "level"),
        ("NYSE_BOOK", {"key": "SPY", "2": [{"0": 1e18, "1": 1}], "3": []}, "level"),
        ("NYSE_BOOK", {"key": "SPY", "2": [7], "3": []}, "item"),
        ("LEVELONE_FUTURES_OPTIONS", {"key": "/ES", "1": 1}, "symbol"),
    ],
)
def test_a_candle_or_book_that_is_not_whole_is_refused(
    service: str, item: dict[str, Any], reason: str
) -> None:
    """All of it, with a reason: half a book would be another book."""
    frame = read_frame(json.dumps({"data": [{"service": service, "content": [item]}]}))
    decoder = Decoder()
    assert frame is not None

    assert list(decoder.events(frame.data[0], 1)) == []
    (refusal,) = decoder.drain()
    assert refusal.reason == reason
    assert msgspec.json.decode(refusal.item)["key"] == item["key"]


def test_contracts_of_a_chain_are_counted_before_they_are_read() -> None:
    """Usable or not; an answer that is no chain is None."""
    rows = {"6000.0": [{"symbol": CALL}, {"no": "contract"}], "6001.0": [7]}
    data = json.dumps({"callExpDateMap": {"2025-12-08:1": rows}, "putExpDateMap": None}).encode()

    assert count_chain(data) == 3
    assert count_chain(b"<html>") is None
    frame = WireFrame(1, 1, 1, 0, "chain", data, "SPX")
    assert Recount().updates(frame) == {
        ("index", "option_quotes"): 3,
        ("index", "chain_headers"): 1,
    }
