"""The kinds of event."""

import msgspec
import pytest

from gex_pipeline.market.events import KINDS, Event, Heartbeat, Trade, tag_of

SHARED = ("symbol", "ts_event_ns", "ts_recv_ns", "seq", "source_seq")


@pytest.mark.parametrize("kind", KINDS)
def test_each_event_says_what_and_when(kind: type[Event]) -> None:
    """Symbol, two clocks and two numbers come first in every kind."""
    assert kind.__struct_fields__[: len(SHARED)] == SHARED


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_made_up(kind: type[Event]) -> None:
    """No number has a default but `seq`: what a source does not say is None."""
    for field in msgspec.structs.fields(kind):
        if field.name == "seq" or field.required:
            continue
        assert field.default in (None, "") or isinstance(field.default, bool), field.name


def test_tags_are_the_kinds() -> None:
    """One tag a kind: they are what is on the wire."""
    assert [tag_of(kind) for kind in KINDS] == [
        "trade",
        "quote",
        "option_quote",
        "book",
        "candle",
        "chain",
        "gap",
        "heartbeat",
        "gex",
        "gex_strikes",
        "chain_image",
        "level_change",
        "basis",
        "ledger",
        "gexbot",
        "api_usage",
    ]
    assert tag_of(Heartbeat("", 1, 1, received=0)) == "heartbeat"


def test_events_are_facts() -> None:
    """An event cannot be changed, and equal events are one in a set."""
    trade = Trade("SPY", 1, 2, price=687.25)

    with pytest.raises(AttributeError):
        setattr(trade, "price", 0.0)  # noqa: B010
    assert len({trade, Trade("SPY", 1, 2, price=687.25)}) == 1
