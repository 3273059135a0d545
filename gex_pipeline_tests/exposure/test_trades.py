"""Bought or sold: the quote rule by hand, and one by one as many at once."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.exposure.columns import Columns
from gex_pipeline.exposure.live import Image, Rows
from gex_pipeline.exposure.quotes import QuoteBatch
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.hot.chains import COMPRESSED, decode_image, encode_image
from gex_pipeline.hot.imagecolumns import OpenImage
from gex_pipeline.market import sessions
from gex_pipeline.market.events import OptionQuote
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

S = sessions.SECOND_NS
NAMES = tuple(f"SPXW  250606C0{strike}000" for strike in (5900, 5950, 6000))
RESET_NS = sessions.et_ns(DAY, 3, 30)
_NUMBERS = ("bid", "ask", "iv", "gamma", "last", "open_interest")


def quote(name: str = NAMES[0], recv_ns: int = ASOF_NS, **fields: Any) -> OptionQuote:
    """Return a quote of 1.00 to 1.20, unless told otherwise."""
    known: dict[str, Any] = {"bid": 1.0, "ask": 1.2, "open_interest": 100} | fields
    return OptionQuote(name, recv_ns, recv_ns, underlying="SPX", **known)


def batch_of(events: list[OptionQuote]) -> QuoteBatch:
    """Return events as columns."""

    def numbers(name: str, missing: float) -> Any:
        values = [getattr(event, name) for event in events]
        return np.array([missing if v is None else v for v in values], dtype=np.float64)

    def stamps(name: str) -> Any:
        return np.array([getattr(event, name) for event in events], dtype=np.int64)

    return QuoteBatch(
        names=NAMES,
        name=np.array([NAMES.index(event.symbol) for event in events], dtype=np.int64),
        ts_event_ns=stamps("ts_event_ns"),
        ts_recv_ns=stamps("ts_recv_ns"),
        **{name: numbers(name, np.nan) for name in _NUMBERS},
        volume=numbers("volume", 0.0),
        settlement=np.array([event.settlement or "" for event in events], dtype="U1"),
        streamed=np.array([event.streamed for event in events], dtype=bool),
    )


def sides(events: list[OptionQuote], since_ns: int = 0) -> tuple[float, float]:
    """Return what is bought and sold of the first contract; the same in both ways."""
    single, many = Columns("SPX"), Columns("SPX")
    single.since_ns = many.since_ns = since_ns
    for event in events:
        single.write(event)
    many.write_many(batch_of(events))
    assert bits(single.copy()) == bits(many.copy())
    rows = single.copy()
    return rows.bought[1], rows.sold[1]


def bits(rows: Rows) -> dict[str, bytes]:
    """Return every column's bytes."""
    return {name: getattr(rows, name).tobytes() for name in rows.__struct_fields__}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (1.2, (5, 0)),
        (1.25, (5, 0)),
        (1.19, (0, 0)),
        (1.01, (0, 0)),
        (1.0, (0, 5)),
        (0.9, (0, 5)),
        (0.0, (0, 0)),
        (None, (0, 0)),
    ],
)
def test_the_quote_rule(last: float | None, expected: tuple[float, float]) -> None:
    """At the ask of 1.20 or above bought, at the bid of 1.00 or below sold, else unknown."""
    assert sides([quote(volume=0), quote(volume=5, last=last)]) == expected


@pytest.mark.parametrize(("bid", "ask"), [(1.1, 1.1), (1.2, 1.0), (None, 1.2), (1.0, None)])
def test_a_quote_that_is_no_quote_judges_nothing(bid: float | None, ask: float | None) -> None:
    """Locked, crossed, or one side missing."""
    assert sides([quote(volume=0, bid=bid, ask=ask), quote(volume=5, last=1.1)]) == (0, 0)


def test_growth_is_judged_by_the_quote_that_stood_before() -> None:
    """5 at the ask; 3 at the old bid although the quote has moved under it; 2 in between."""
    events = [
        quote(volume=10, last=1.2),  # first seen: no quote stood before
        quote(volume=15, last=1.2),
        quote(volume=18, last=1.0, bid=0.8, ask=0.9),
        quote(volume=20, last=0.85, bid=0.8, ask=0.9),
        quote(volume=20, last=0.9, bid=0.8, ask=0.9),  # no trade: the price of the last one stays
    ]

    assert sides(events) == (5, 3)


def test_the_vendors_reset_counts_from_zero() -> None:
    """A volume that falls to less than half starts again, one that falls a little does not."""
    events = [
        quote(volume=0),
        quote(volume=40, last=1.2),
        quote(volume=38, last=1.2),  # an answer older than what the stream has said
        quote(volume=40, last=1.0),
    ]
    assert sides(events) == (40, 2)
    assert sides([*events, quote(volume=0), quote(volume=7, last=1.0)]) == (0, 7)
    assert sides([*events, quote(volume=None)]) == (0, 0)


def test_a_quote_of_the_day_before_judges_nothing() -> None:
    """The opening trades are signed only once a quote of the day stands."""
    yesterday = quote(recv_ns=RESET_NS - S, volume=0)
    assert sides([yesterday, quote(volume=9, last=1.2)], since_ns=RESET_NS) == (0, 0)
    assert sides([yesterday, quote(volume=0), quote(volume=9, last=1.2)], RESET_NS) == (9, 0)


def underlying_at(recv_ns: int) -> Underlying:
    """Return an underlying with a contract that traded 9 bought and 4 sold."""
    found = Underlying("SPX", "simulator", "simulated")
    found.roll(sessions.previous_trading_day(DAY))
    for event in (quote(volume=0), quote(volume=9, last=1.2), quote(volume=13, last=1.0)):
        found.take(msgspec.structs.replace(event, ts_recv_ns=recv_ns))
    return found


def test_a_new_day_counts_from_zero() -> None:
    """With the volume: what was seen since the vendor's reset is of the day already."""
    for recv_ns, expected in ((RESET_NS - S, (0, 0, 0)), (RESET_NS + S, (13, 9, 4))):
        underlying = underlying_at(recv_ns)
        underlying.roll(DAY)
        rows = underlying.columns.copy()
        assert (rows.volume[1], rows.bought[1], rows.sold[1]) == expected


def image_of(underlying: Underlying) -> Image:
    """Return its image at the chain's moment."""
    return underlying.image(ASOF_NS, ASOF_NS, ASOF_NS, {"schwab.index": (1, 3)})


def test_an_image_carries_both_sides_on() -> None:
    """Through its bytes to an underlying that goes on as the first one does."""
    first, second = underlying_at(ASOF_NS), Underlying("SPX", "simulator", "simulated")
    first.roll(DAY)
    second.restore(decode_image(encode_image(image_of(first))))

    for underlying in (first, second):
        underlying.take(quote(volume=20, last=1.2))
    assert bits(first.columns.copy()) == bits(second.columns.copy())
    assert first.columns.since_ns == second.columns.since_ns == RESET_NS


def test_an_older_image_has_no_sides() -> None:
    """Images written before there were any load as if nothing had been signed."""
    image = pa.ipc.open_stream(encode_image(image_of(underlying_at(ASOF_NS)))).read_all()
    sink, older = pa.BufferOutputStream(), image.drop_columns(["bought", "sold"])
    with pa.ipc.new_stream(sink, older.schema, options=COMPRESSED) as writer:
        writer.write_table(older)
    data = sink.getvalue().to_pybytes()

    rows = decode_image(data).rows
    assert (rows.volume[1], rows.bought.tolist(), rows.sold.tolist()) == (13, [0, 0], [0, 0])
    assert OpenImage(data).contracts() == ([NAMES[0]], [""])


PRICES = st.sampled_from([None, -1.0, 0.0, 0.9, 1.0, 1.1, 1.2, 1.3])
QUOTES = st.builds(
    lambda name, gap, **fields: (name, gap, fields),
    st.sampled_from(NAMES),
    st.integers(0, 5),
    bid=PRICES,
    ask=PRICES,
    last=st.sampled_from([None, 0.0, 0.9, 1.0, 1.1, 1.2, 1.3]),
    volume=st.sampled_from([None, 0, 1, 2, 3, 5, 8, 9, 10]),
    settlement=st.sampled_from([None, "A", "P"]),
)


@settings(max_examples=300, deadline=None)
@given(
    told=st.lists(QUOTES, max_size=40),
    cut=st.integers(0, 40),
    since=st.integers(0, 30),
)
def test_many_at_once_are_as_one_by_one(told: list[Any], cut: int, since: int) -> None:
    """Every column of every row to the bit, whatever comes, and wherever a batch ends."""
    now, events = ASOF_NS, []
    for name, gap, fields in told:
        now += gap
        events.append(quote(name, now, **fields))
    single, many = Columns("SPX"), Columns("SPX")
    single.since_ns = many.since_ns = ASOF_NS + since

    for event in events:
        single.write(event)
    for part in (events[:cut], events[cut:]):
        many.write_many(batch_of(part))

    assert single.contracts == many.contracts
    assert single.settlements == many.settlements
    assert bits(single.copy()) == bits(many.copy())
