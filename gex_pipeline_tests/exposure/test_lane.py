"""From events to the figures of a moment, without store or threads."""

import datetime
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gex_pipeline.errors import CodecError
from gex_pipeline.exposure.columns import Columns
from gex_pipeline.exposure.feed import feed_of
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.lane import SILENCE_RECORDED_S, Lane
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import EVERY, PUBLISHED, LiveSnapshot, figures, gex_second
from gex_pipeline.exposure.windows import Window, answered
from gex_pipeline.hot.chains import chain_positions, decode_image, encode_image
from gex_pipeline.market import sessions
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.market.events import ChainHeader, Event, Quote, Trade
from gex_pipeline_tests.engine.builders import (
    TAPE,
    S,
    beat,
    feed,
    header_of,
    lane_of,
    numbered,
    quote_of,
    spot_of,
    told,
)
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(800, 5)
FIGURES = ("net_gex", "call_gex", "put_gex", "dex", "vex", "cex", "net_gex_volume")
LEVELS = ("spot", "zero_gamma", "call_wall", "put_wall", "max_pain")


def preview(lane: Lane, now_ns: int = ASOF_NS, symbol: str = "SPX") -> Image:
    """Return the newest state of an underlying that has contracts."""
    image = lane.preview(symbol, now_ns)
    assert image is not None
    return image


def changed(chain: OptionChain, seed: int) -> OptionChain:
    """Return the chain after its quotes moved."""
    move = np.random.default_rng(seed).integers(0, 3, len(chain)) * 0.05
    return msgspec.structs.replace(chain, bid=chain.bid + move, ask=chain.ask + move)


def bits(snapshots: dict[str, LiveSnapshot]) -> bytes:
    """Return all figures of all scopes, to the last bit."""
    return msgspec.json.encode(snapshots)


def test_live_figures_are_those_of_the_same_rows_in_a_file() -> None:
    """Every total and level of every scope, within 1e-9."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))

    live = figures(preview(lane), EVERY, final=False)
    filed = fold(clean_chain(CHAIN, asof_ns=ASOF_NS), EVERY)

    for scope in EVERY:
        gross = filed[scope].gross_gex or 1.0
        for name in FIGURES:
            ours, theirs = getattr(live[scope], name), getattr(filed[scope], name)
            assert ours == (theirs and pytest.approx(theirs, abs=1e-9 * gross)), (scope, name)
        for name in LEVELS:
            ours, theirs = getattr(live[scope], name), getattr(filed[scope], name)
            assert ours == (theirs and pytest.approx(theirs, rel=1e-9)), (scope, name)
        assert live[scope].strikes == filed[scope].strikes
        assert live[scope].flips == filed[scope].flips


def test_the_payload_says_where_it_is_from() -> None:
    """Source, mode, receipt, whether it is final, and the last event of each tape that is in."""
    lane = lane_of("SPX")
    events = told(CHAIN)
    feed(lane, events)

    snapshot = figures(preview(lane), ("all",), final=False)["all"]

    assert (snapshot.source, snapshot.mode, snapshot.final) == ("simulator", "simulated", False)
    assert snapshot.tapes == {TAPE: f"1-{len(events)}"}
    assert (snapshot.ts_event_ns, snapshot.ts_recv_ns) == (ASOF_NS, ASOF_NS)


def test_the_order_of_contracts_changes_no_bit() -> None:
    """Contracts that appear in another order have other rows and the same figures."""
    events = told(CHAIN)
    head, quotes, tail = events[:1], events[1:-2], events[-2:]
    first, second = lane_of("SPX"), lane_of("SPX")
    feed(first, [*head, *quotes, *tail])
    random.Random(1).shuffle(quotes)  # noqa: S311 # an order, no secret
    feed(second, [*head, *quotes, *tail])

    assert bits(figures(preview(first), PUBLISHED, final=True)) == bits(
        figures(preview(second), PUBLISHED, final=True)
    )


def test_a_second_stands_on_exactly_the_events_until_its_end() -> None:
    """The figure of 10:30:01 has the quotes of 10:30:00.5 and not those of 10:30:01.5."""
    lane = lane_of("SPX")
    inside, outside = changed(CHAIN, 1), changed(CHAIN, 2)
    feed(lane, told(CHAIN))
    assert feed(lane, told(inside, ASOF_NS + S // 2)) != []

    (second,) = feed(lane, told(outside, ASOF_NS + 3 * S // 2))
    image = second.images[0]

    assert second.ts_ns == image.asof_ns == ASOF_NS + S
    filed = fold(clean_chain(inside, asof_ns=ASOF_NS + S))["all"]
    assert figures(image, ("all",), final=True)["all"].net_gex == filed.net_gex
    assert image.positions == {TAPE: (1, 2 * len(told(CHAIN)))}


def test_however_the_tape_is_cut_the_seconds_are_the_same() -> None:
    """One frame or many: the same seconds with the same figures, to the last bit."""
    events = [event for at in range(4) for event in told(changed(CHAIN, at), ASOF_NS + at * S)]
    whole, cut = lane_of("SPX"), lane_of("SPX")
    expected = feed(whole, events)
    found = [
        second
        for start in range(0, len(events), 97)
        for second in feed(cut, events[start : start + 97])
    ]

    assert [second.ts_ns for second in found] == [ASOF_NS, ASOF_NS + S, ASOF_NS + 2 * S]
    for ours, theirs in zip(found, expected, strict=True):
        assert bits(figures(ours.images[0], PUBLISHED, final=True)) == bits(
            figures(theirs.images[0], PUBLISHED, final=True)
        )


def test_a_lane_goes_on_from_stored_chains() -> None:
    """Two symbols stored at different moments and the tape behind them: no second differs."""
    spx, ndx = CHAIN, synthetic_chain(400, 4, spot=20_000, symbol="NDX", seed=2)
    events: list[Event] = []
    for at in range(5):
        events += told(changed(spx, at), ASOF_NS + at * S)[:-1]
        events += told(changed(ndx, at), ASOF_NS + at * S)
    events = list(numbered(events))
    seconds = list(lane_of("SPX", "NDX").take(1, tuple(events)))
    stored = [encode_image(seconds[2].images[0]), encode_image(seconds[1].images[1])]

    again = lane_of("SPX", "NDX")
    again.resume([decode_image(data) for data in stored], recorded_ns=seconds[2].ts_ns)
    assert again.position == seconds[1].images[1].positions[TAPE]
    rest = tuple(event for event in events if event.seq > again.position[1])
    remade = list(again.take(1, rest))
    assert [second.ts_ns for second in remade] == [seconds[2].ts_ns, seconds[3].ts_ns]
    for one, before in zip(remade, seconds[2:4], strict=True):
        for ours, theirs in zip(one.images, before.images, strict=True):
            assert bits(figures(ours, PUBLISHED, final=True)) == bits(
                figures(theirs, PUBLISHED, final=True)
            )


def test_a_stored_chain_comes_back_whole() -> None:
    """Numbers, flags, spot, windows and positions; and positions alone without the rows."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, streamed=True))
    image = preview(lane)

    data = encode_image(image)
    back = decode_image(data)

    for name in image.rows.__struct_fields__:
        np.testing.assert_array_equal(getattr(back.rows, name), getattr(image.rows, name))
    for name in image.__struct_fields__:
        if name not in ("rows", "layout", "spot"):
            assert getattr(back, name) == getattr(image, name)
    assert back.spot.last == image.spot.last
    assert chain_positions(data) == image.positions


@pytest.mark.parametrize("data", [b"", b"chain", encode_events([beat(1)])])
def test_other_bytes_are_no_chain(data: bytes) -> None:
    """They are refused with our own error."""
    with pytest.raises(CodecError):
        decode_image(data)


def test_a_rest_row_grows_old_and_a_streamed_one_does_not() -> None:
    """After 301 s only what a living stream keeps still counts as a quote."""
    answered, streamed = lane_of("SPX"), lane_of("SPX")
    later = ASOF_NS + 301 * S
    for lane, pushed in ((answered, False), (streamed, True)):
        feed(lane, told(CHAIN, streamed=pushed))
        for at in range(1, 302):
            feed(lane, [beat(ASOF_NS + at * S)])
        feed(lane, spot_of(CHAIN, later))

    assert not live_chain(preview(answered, later)).two_sided.any()
    assert live_chain(preview(streamed, later)).two_sided.any()


def test_a_stream_without_heartbeat_vouches_for_nothing() -> None:
    """Heartbeats that say `connected: false` do not keep streamed quotes fresh."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, streamed=True))
    for at in range(1, 302):
        feed(lane, [beat(ASOF_NS + at * S, connected=False)])
    feed(lane, spot_of(CHAIN, ASOF_NS + 301 * S))

    image = preview(lane, ASOF_NS + 301 * S)
    assert not live_chain(image).two_sided.any()
    assert feed_of(image, live_chain(image)).factor == 0


@pytest.mark.parametrize(("silence_s", "factor"), [(5, 1.0), (6, 0.0)])
def test_a_silent_tape_takes_the_confidence(silence_s: int, factor: float) -> None:
    """More than 5 s of market time without a heartbeat: feed 0, and so unusable."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))

    image = preview(lane, ASOF_NS + silence_s * S)
    snapshot = figures(image, ("all",), final=False)["all"]

    assert snapshot.coverage is not None
    assert snapshot.coverage.factors.feed == factor
    assert (snapshot.confidence_level == "unusable") == (factor == 0)
    assert snapshot.ts_event_ns == ASOF_NS  # nothing newer was seen


def test_windows_of_the_chain_that_failed_lower_the_confidence() -> None:
    """One of two windows incomplete is 0.5; its next, whole answer makes it 1 again."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    far = ChainHeader(
        "SPX",
        ASOF_NS,
        ASOF_NS,
        first_expiry=datetime.date(2026, 1, 1),
        last_expiry=datetime.date(2026, 2, 1),
        contracts=0,
        complete=False,
    )

    feed(lane, [far])
    image = preview(lane)
    assert feed_of(image, live_chain(image)).factor == 0.5

    feed(lane, [msgspec.structs.replace(far, complete=True)])
    image = preview(lane)
    assert feed_of(image, live_chain(image)).factor == 1


def answer(first: datetime.date, last: datetime.date, ts_ns: int, *, whole: bool) -> Window:
    """Return what an answer for some expiries says."""
    return Window(first, last, whole, ts_ns)


def test_a_window_goes_on_from_those_that_it_takes_the_place_of() -> None:
    """Asked for in halves for a while and whole again: no contract that was gone comes back.

    (whole answers at 1 and 2, the second half fails at 3, all comes at 4)
    """
    days = [datetime.date(2025, 6, day) for day in (3, 6, 13, 20)]
    windows: tuple[Window, ...] = ()
    for ts_ns in (1, 2):
        windows = answered(windows, answer(days[0], days[3], ts_ns, whole=True))
    assert (windows[0].answered_ns, windows[0].before_ns) == (2, 1)
    windows = answered(windows, answer(days[0], days[1], 3, whole=True))
    windows = answered(windows, answer(days[2], days[3], 3, whole=False))
    assert [(w.answered_ns, w.before_ns) for w in windows] == [(3, 2), (0, 2)]

    (window,) = answered(windows, answer(days[0], days[3], 4, whole=True))
    assert (window.answered_ns, window.before_ns) == (4, 2)


def test_no_window_answered_is_no_confidence() -> None:
    """Quotes alone do not say how much of the chain they are."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN)[1:])

    image = preview(lane)
    assert feed_of(image, live_chain(image)).factor == 0


def test_quotes_that_stand_still_are_a_dead_feed() -> None:
    """No near-money quote changed for a minute in session: 0; one that changes: 1 again."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, streamed=True))
    for at in range(1, 62):
        feed(lane, [beat(ASOF_NS + at * S)])
    late = ASOF_NS + 61 * S
    image = preview(lane, late)
    assert feed_of(image, live_chain(image)).factor == 0

    near = int(np.argmin(np.abs(CHAIN.strike - CHAIN.spot)))
    feed(lane, [quote_of(changed(CHAIN, 3), near, late, streamed=True)])
    moved = msgspec.structs.replace(CHAIN, bid=CHAIN.bid + 0.05, ask=CHAIN.ask + 0.05)
    feed(lane, [quote_of(moved, near, late, streamed=True)])
    image = preview(lane, late)
    assert feed_of(image, live_chain(image)).factor == 1


def test_a_long_silence_makes_no_endless_row_of_seconds() -> None:
    """A minute of it is recorded, then nothing until the tape speaks again."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))

    seconds = feed(lane, [beat(ASOF_NS + 3600 * S)])

    assert len(seconds) == SILENCE_RECORDED_S + 1
    last = figures(seconds[-1].images[0], ("all",), final=True)["all"]
    assert last.confidence == 0
    assert [each.ts_ns for each in feed(lane, [beat(ASOF_NS + 3601 * S)])] == [ASOF_NS + 3600 * S]


def test_a_closed_market_makes_no_seconds_and_holds_the_close() -> None:
    """At 17:00 an index stands at 16:15; no second after that is recorded."""
    lane = lane_of("SPX")
    close = sessions.quote_close_ns(DAY, late=True)
    feed(lane, told(CHAIN, close - 2 * S))
    for at in range(-1, 3):
        feed(lane, [beat(close + at * S)])

    assert feed(lane, [beat(close + 4 * S)]) == []
    assert preview(lane, close + 2700 * S).asof_ns == close


def test_a_new_day_drops_yesterdays_expiries_and_volume() -> None:
    """At the open: 0DTE of the day before has gone, volumes start at 0, open interest stays."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    tomorrow = sessions.regular_open_ns(sessions.next_trading_day(DAY))
    feed(lane, [beat(tomorrow + S // 2)])

    chain = live_chain(preview(lane, tomorrow + S // 2))

    assert chain.groups[0].settle_date > DAY
    assert chain.contracts == int(np.count_nonzero(CHAIN.expiry > np.datetime64(DAY)))
    assert chain.volume.sum() == 0
    assert chain.open_interest.sum() == CHAIN.open_interest[CHAIN.expiry > np.datetime64(DAY)].sum()
    assert not chain.two_sided.any()


def test_a_contract_keeps_its_row_when_others_appear() -> None:
    """Ids are stable; the layout is made anew only when contracts come."""
    columns = Columns("SPX")
    columns.write(quote_of(CHAIN, 0, ASOF_NS))
    first = columns.layout
    columns.write(quote_of(changed(CHAIN, 1), 0, ASOF_NS + 1))
    assert columns.layout is first

    for row in range(1, len(CHAIN)):
        columns.write(quote_of(CHAIN, row, ASOF_NS))

    assert columns.layout is not first
    assert columns.contracts[0] == quote_of(CHAIN, 0, ASOF_NS).symbol
    assert columns.copy().seen_ns[1] == ASOF_NS + 1


def test_spot_of_a_share_is_the_middle_of_its_quote() -> None:
    """Else its last price; the price of a chain only where the feed of the share is old."""
    chain = synthetic_chain(400, 4, spot=600, symbol="SPY")
    lane = Lane("schwab.equity", lane_of("SPY").underlyings)
    feed(lane, [header_of(chain, ASOF_NS), quote_of(chain, 0, ASOF_NS)])
    assert live_chain(preview(lane, symbol="SPY")).spot == 600

    feed(lane, [Trade("SPY", ASOF_NS, ASOF_NS, price=601.0)])
    assert live_chain(preview(lane, symbol="SPY")).spot == 601

    feed(lane, [Quote("SPY", ASOF_NS, ASOF_NS, bid=602.0, ask=604.0)])
    assert live_chain(preview(lane, symbol="SPY")).spot == 603


def test_what_a_second_leaves_on_the_tape() -> None:
    """The row of a scope has the snapshot's figures and survives the codec."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    image = preview(lane)
    snapshot = figures(image, ("all",), final=True)["all"]

    row = gex_second(ASOF_NS, image, snapshot)

    assert decode_events(encode_events([row])) == [row]
    assert (row.net_gex_oi, row.net_gex_volume) == (snapshot.net_gex, snapshot.net_gex_volume)
    assert (row.zero_gamma_oi, row.call_wall_oi) == (snapshot.zero_gamma, snapshot.call_wall)
    assert row.open_interest == CHAIN.open_interest.sum()
    assert msgspec.json.decode(row.positions) == {TAPE: [1, len(told(CHAIN))]}


def test_every_live_field_is_explained() -> None:
    """docs/conventions.md names what a live snapshot adds."""
    page = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")

    assert [name for name in LiveSnapshot.__struct_fields__ if f"`{name}`" not in page] == []
