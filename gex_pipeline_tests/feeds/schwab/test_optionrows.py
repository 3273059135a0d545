"""Options by the short way: what it reads is what the long way makes of the same item."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.feeds.schwab.fields import OptionItem
from gex_pipeline.feeds.schwab.optionrows import blank, made_usual, put, read_usual
from gex_pipeline.market.codec import event_of, row_of
from gex_pipeline.market.events import OptionQuote

CALL = "SPXW  251208C06880000"
PRICES, SIZES = ("2", "3", "4", "10", "28", "29", "30", "31", "32", "35", "37"), ("16", "17", "18")
COUNTS, TIMES = ("8", "9"), ("38", "39")

fields = st.fixed_dictionaries(
    {"key": st.just(CALL)},
    optional={
        **dict.fromkeys(PRICES, st.none() | st.floats(-998, 1e14) | st.integers(-998, 10**14)),
        **dict.fromkeys(SIZES, st.none() | st.floats(0, 1e14)),
        **dict.fromkeys(COUNTS, st.none() | st.integers(0, 10**14)),
        **dict.fromkeys(TIMES, st.none() | st.integers(0, 2**42)),
        "43": st.none() | st.sampled_from("AP"),
        "delayed": st.booleans(),
        "1": st.text(max_size=5),
    },
)


@given(st.lists(fields, min_size=1, max_size=4))
def test_both_ways_agree(items: list[dict[str, Any]]) -> None:
    """A row is an event's array, whichever way its item took, item after item."""
    data = msgspec.json.encode(items)
    short, long = blank(CALL, "SPX"), blank(CALL, "SPX")
    usual = read_usual(msgspec.Raw(data))
    others = map(made_usual, msgspec.json.decode(data, type=list[OptionItem]))
    for one, other in zip(usual, others, strict=True):
        row = put(short, one, 5, 7)
        assert row == put(long, other, 5, 7)
        event = event_of(row)
        assert isinstance(event, OptionQuote)
        assert (event.symbol, event.underlying, event.ts_recv_ns) == (CALL, "SPX", 7)
        assert repr(row_of(event)) == repr(row)  # each number is of its field's kind


@pytest.mark.parametrize(
    "field",
    [
        {"2": -999},
        {"2": "NaN"},
        {"2": 1e15},
        {"16": -1},
        {"8": 1.5},
        {"38": -5},
        {"43": "C"},
        {"3": True},
    ],
)
def test_what_is_unusual_is_left_to_the_long_way(field: dict[str, Any]) -> None:
    """Schwab's -999 for none, text, numbers out of bounds or of another kind."""
    with pytest.raises(msgspec.DecodeError):
        read_usual(msgspec.Raw(msgspec.json.encode([{"key": CALL} | field])))
