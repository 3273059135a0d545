"""Events to bytes and back."""

import datetime
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from gex_pipeline.errors import CodecError
from gex_pipeline.market.codec import (
    OLDEST_VERSION,
    SCHEMA_VERSION,
    decode_events,
    decode_json,
    encode_events,
    encode_json,
)
from gex_pipeline.market.events import (
    KINDS,
    ApiUsage,
    Basis,
    BookUpdate,
    Candle,
    ChainHeader,
    ChainImage,
    Event,
    Gap,
    GexbotAnswer,
    GexSecond,
    GexStrikes,
    Heartbeat,
    LedgerCount,
    LevelChange,
    OptionQuote,
    Quote,
    Trade,
)

RECV_NS = 1_765_204_200_000_000_123
TRADE = Trade("SPY", RECV_NS - 1000, RECV_NS, 7, price=687.25, size=100.0)
ONE_OF_EACH: tuple[Event, ...] = (
    TRADE,
    Quote("/NQ", RECV_NS, RECV_NS, bid=25_700.25, ask=25_700.5, bid_size=1.0, ask_size=2.0),
    OptionQuote("SPXW  251208C06880000", RECV_NS, RECV_NS, underlying="SPX", bid=0.0, iv=0.115),
    BookUpdate(
        "SPY",
        RECV_NS,
        RECV_NS,
        bid_prices=(687.2, 687.1),
        bid_sizes=(100.0, 300.0),
        ask_prices=(),
        ask_sizes=(),
        venue="NASDAQ_BOOK",
    ),
    Candle("SPX", RECV_NS, RECV_NS, interval_s=60, open=1.0, high=2.0, low=0.5, close=1.5),
    ChainHeader(
        "SPX",
        RECV_NS,
        RECV_NS,
        first_expiry=datetime.date(2025, 12, 8),
        last_expiry=datetime.date(2025, 12, 12),
        contracts=1500,
        complete=True,
    ),
    Gap("", RECV_NS, RECV_NS, ts_from_ns=1, ts_to_ns=2, cause="restart", first_seq=3, last_seq=9),
    Heartbeat("", RECV_NS, RECV_NS, received=12_345),
    GexSecond(
        "SPX",
        RECV_NS,
        RECV_NS,
        scope="0dte",
        convention="gexc-1:356bfcae",
        positions='{"schwab.index":[1,7]}',
        net_gex_oi=-1.5e9,
        contracts=1500,
        null_reasons="{}",
    ),
    GexStrikes(
        "SPX",
        RECV_NS,
        RECV_NS,
        scope="all",
        convention="gexc-1:356bfcae",
        positions='{"schwab.index":[1,7]}',
        strikes=(6880.0, 6885.0),
        call_gex_oi=(1.0, 2.0),
        put_gex_oi=(-1.0, -2.0),
        call_gex_volume=(0.0, 0.0),
        put_gex_volume=(0.0, 0.0),
    ),
    ChainImage("SPX", RECV_NS, RECV_NS, positions="{}", contracts=2, image=b"\x00\xff arrow"),
    LevelChange(
        "SPX",
        RECV_NS,
        RECV_NS,
        scope="all",
        convention="gexc-1:0",
        level="low",
        reasons="feed:silent",
    ),
    Basis("/ES", RECV_NS, RECV_NS, index="SPX", positions="{}", method="live", basis=12.25),
    LedgerCount("", RECV_NS, RECV_NS, ts_minute_ns=1, table="trades", outcome="written", events=3),
    GexbotAnswer("SPX", RECV_NS, RECV_NS, package="classic", category="gex_zero", body="{}"),
    ApiUsage(
        "",
        RECV_NS,
        RECV_NS,
        key_id="a",
        method="GET",
        route="/",
        status=200,
        requests=1,
        bytes_out=2,
    ),
)

PLAIN: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.BoolType: st.booleans(),
    inspect.DateType: st.dates(),
    inspect.NoneType: st.none(),
}


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Return a strategy for all that a field's type allows, bounds included."""
    match kind:
        case inspect.UnionType(types=types):
            return st.one_of(*map(values_of, types))
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.VarTupleType(item_type=item_type):
            return st.lists(values_of(item_type), min_size=3, max_size=3).map(tuple)
        case _:
            return scalars_of(kind)


def scalars_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Return a strategy for all numbers, texts and dates of a type."""
    match kind:
        case inspect.IntType(gt=gt, ge=ge, le=le):
            return st.integers(ge if gt is None else gt + 1, le)
        case inspect.FloatType(ge=ge, le=le):
            return st.floats(ge, le)
        case inspect.BytesType():
            return st.binary(max_size=40)
        case inspect.StrType(max_length=max_length):
            return st.text(st.characters(codec="utf-8"), max_size=max_length or 40)
        case _:
            return PLAIN[type(kind)]


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Return a strategy for all events of a kind."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return st.builds(kind, **{field.name: values_of(field.type) for field in info.fields})


events = st.one_of(*map(events_of, KINDS))


def test_one_of_each() -> None:
    """All kinds survive in one batch, in order."""
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS)
    assert decode_events(encode_events(ONE_OF_EACH)) == list(ONE_OF_EACH)


def test_wire_by_hand() -> None:
    """A batch is [version, [[tag, symbol, event time, receive time, seq, …], …]]."""
    wire = msgspec.msgpack.decode(encode_events([TRADE]))

    shared = ["trade", "SPY", RECV_NS - 1000, RECV_NS, 7, None]
    assert wire == [SCHEMA_VERSION, [[*shared, 687.25, 100.0, *[None] * 4, True]]]


@given(st.lists(events, max_size=5))
def test_round_trip(batch: list[Event]) -> None:
    """Any batch comes back equal, to the last bit of each float."""
    assert decode_events(encode_events(batch)) == batch


@given(events)
def test_json_round_trip(event: Event) -> None:
    """Any event comes back equal from its JSON object."""
    assert decode_json(encode_json(event)) == event


def test_json_is_for_people() -> None:
    """An object with the kind first, a name for each value, null for what is missing."""
    assert encode_json(TRADE) == (
        b'{"type":"trade","symbol":"SPY","ts_event_ns":1765204199999999123,'
        b'"ts_recv_ns":1765204200000000123,"seq":7,"source_seq":null,"price":687.25,"size":100.0,'
        b'"volume":null,"aggressor":null,"exchange":null,"conditions":null,'
        b'"streamed":true}'
    )


def test_json_may_leave_out_what_is_missing() -> None:
    """Fields with a default need not be written."""
    text = '{"type":"trade","symbol":"SPX","ts_event_ns":1,"ts_recv_ns":2,"price":6880}'

    assert decode_json(text) == Trade("SPX", 1, 2, price=6880.0)


@pytest.mark.parametrize(
    "event",
    [
        Trade("SPY", RECV_NS, RECV_NS, price=math.nan),
        Trade("SPY", RECV_NS, RECV_NS, price=math.inf),
        Trade("SPY", RECV_NS, RECV_NS, price=1.0, size=-1.0),
        Trade("SPY", -1, RECV_NS, price=1.0),
        Trade("SPY", RECV_NS, 2**63, price=1.0),
        Trade("SPY", RECV_NS, 2**64, price=1.0),
        Trade("S" * 33, RECV_NS, RECV_NS, price=1.0),
        Trade("\ud800", RECV_NS, RECV_NS, price=1.0),
        Quote("SPY", RECV_NS, RECV_NS, bid=math.nan),
    ],
)
def test_what_no_reader_could_read_is_not_written(event: Event) -> None:
    """NaN, infinities, negative sizes and times out of bounds are refused by the writer."""
    with pytest.raises(CodecError):
        encode_events([event])
    with pytest.raises(CodecError):
        encode_json(event)


def test_a_level_has_price_and_size() -> None:
    """A book with a price too many is refused when it is built, and when it is read."""
    with pytest.raises(ValueError, match="price and a size"):
        BookUpdate("SPY", 1, 1, bid_prices=(1.0,), bid_sizes=(), ask_prices=(), ask_sizes=())

    book = ["book", "SPY", 1, 1, 0, None, [1.0], [], [], [], True, None]
    with pytest.raises(CodecError, match="price and a size"):
        decode_events(msgspec.msgpack.encode([SCHEMA_VERSION, [book]]))


@pytest.mark.parametrize(
    "wire",
    [
        [],
        [SCHEMA_VERSION],
        [SCHEMA_VERSION, [["rumour", "SPY", 1, 1]]],
        [SCHEMA_VERSION, [["trade", "SPY", 1, 1, 0, None]]],  # no price
        [SCHEMA_VERSION, [["trade", "SPY", 1.5, 1, 0, None, 1.0]]],
        [SCHEMA_VERSION, [["trade", "SPY", 1, 1, 0, None, "1.0"]]],
        [SCHEMA_VERSION, [["trade", "SPY", 1, 1, 0, None, 1.0, 1.0, 1, "cross"]]],
        [SCHEMA_VERSION, [["trade", "SPY", 1, 1, 0, None, 1.0, 1.0, 1, "buy", "", "", 0]]],
        [SCHEMA_VERSION, [], "more"],
        {"version": SCHEMA_VERSION, "events": []},
        "events",
    ],
)
def test_other_messages_are_refused(wire: object) -> None:
    """Wrong shapes, kinds, types and extra fields raise; nothing is coerced or dropped."""
    with pytest.raises(CodecError):
        decode_events(msgspec.msgpack.encode(wire))


def test_another_version_says_so() -> None:
    """Also where the events themselves could not be read, the version is the reason given."""
    reason = f"schema version {SCHEMA_VERSION + 1}, and this reads {OLDEST_VERSION} to"
    for rows in ([], [["rumour", 1]]):
        with pytest.raises(CodecError, match=reason):
            decode_events(msgspec.msgpack.encode([SCHEMA_VERSION + 1, rows]))


def test_an_older_version_is_read() -> None:
    """What version 1 wrote has no gap_s: it is unknown there, and the rest is as it was."""
    second = ONE_OF_EACH[8]
    assert isinstance(second, GexSecond)
    _, (row,) = msgspec.msgpack.decode(encode_events([second]))

    assert decode_events(msgspec.msgpack.encode([1, [row[:-1]]])) == [second]
    assert second.gap_s is None


@given(st.binary(max_size=60))
def test_random_bytes_are_refused(data: bytes) -> None:
    """Bytes are a batch or a CodecError, never another exception."""
    try:
        batch = decode_events(data)
    except CodecError:
        return
    assert batch == []


@given(st.dictionaries(st.text(max_size=9), st.none() | st.floats() | st.text(), max_size=4))
def test_random_objects_are_refused(fields: dict[str, object]) -> None:
    """A JSON object without the fields of a kind is a CodecError, never another exception."""
    with pytest.raises(CodecError):
        decode_json(msgspec.json.encode({"type": "trade"} | fields))


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_batch_is_refused(cut: int) -> None:
    """A batch that lost its end does not decode to fewer events."""
    with pytest.raises(CodecError):
        decode_events(encode_events(ONE_OF_EACH)[:-cut])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "kind None is none of trade"),
        ('{"type":["trade"]}', "is none of trade"),
        ('{"type":"rumour"}', "kind 'rumour'"),
        ('{"type":"heartbeat","symbol":"","ts_event_ns":1,"ts_recv_ns":1}', "lacks the field"),
        (
            '{"type":"heartbeat","symbol":"","ts_event_ns":1,"ts_recv_ns":1,"received":1,"x":1}',
            "has no field x",
        ),
        (
            '{"type":"heartbeat","symbol":"","ts_event_ns":-1,"ts_recv_ns":1,"received":1}',
            "Expected `int` >= 0",
        ),
        ('{"a":' * 9000 + "1" + "}" * 9000, "recursion"),
    ],
)
def test_other_json_is_refused(text: str, reason: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(CodecError, match=reason):
        decode_json(text)
