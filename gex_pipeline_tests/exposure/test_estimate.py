"""The estimate of open interest by hand; without trades it is the open's."""

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure.estimate import WEIGHT, estimated, signed
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import PUBLISHED, figures, second_events
from gex_pipeline.market.events import OptionQuote
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.engine.builders import beat, feed, lane_of, quote_of, told
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

CHAIN = synthetic_chain(400, 4)


def market(trades: dict[int, tuple[int, str]]) -> Image:
    """Return a second of the chain in which rows traded so many, at the ask or bid of before."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    now, events = ASOF_NS + SECOND_NS // 2, []
    for row, (size, side) in trades.items():
        quote = quote_of(CHAIN, row, now, streamed=True)
        volume = (quote.volume or 0) + size
        price = {"ask": quote.ask, "bid": quote.bid, "mid": None}[side]
        events.append(msgspec.structs.replace(quote, volume=volume, last=price))
    seconds = feed(lane, [*events, beat(ASOF_NS + 2 * SECOND_NS)])
    return seconds[-1].images[0]


def row_of(image: Image, row: int) -> int:
    """Return the image's row of a chain's row."""
    event: OptionQuote = quote_of(CHAIN, row, 0)
    return image.contracts.index(event.symbol) + 1


def test_bought_adds_sold_takes_and_nothing_goes_below_zero() -> None:
    """100 at the ask, 60 at the bid, more than there is at the bid, 50 that nobody knows of."""
    held = int(CHAIN.open_interest[12])
    image = market({10: (100, "ask"), 11: (60, "bid"), 12: (held + 5, "bid"), 13: (50, "mid")})

    now, before = estimated(image).rows.open_interest, image.rows.open_interest
    change = {row: now[row_of(image, row)] - before[row_of(image, row)] for row in (10, 11, 12, 13)}
    assert change == {10: 100, 11: -60, 12: -held, 13: 0}
    others = np.delete(now - before, [row_of(image, row) for row in (10, 11, 12, 13)])
    assert not others.any()


def test_the_share_that_was_signed() -> None:
    """Of the volume of the scope alone; what traded before we looked is in it, unsigned."""
    image = market({10: (100, "ask"), 11: (60, "bid"), 13: (50, "mid")})
    found = signed(image, "all")

    assert (found.bought, found.sold) == (100, 60)
    assert found.volume == CHAIN.volume.sum() + 210
    assert found.share == 160 / found.volume
    assert found.open_interest_estimate - found.open_interest == 40
    assert found.open_interest == CHAIN.open_interest.sum()
    later = signed(image, f"expiry:{CHAIN.expiry[-1]}")
    assert (later.bought, later.sold, later.share) == (0, 0, 0)
    assert signed(image, "expiry:2031-01-17").share is None


def test_without_trades_the_figures_are_the_plain_ones() -> None:
    """To the bit, in every scope."""
    image = market({13: (50, "mid")})
    plain, ours = (figures(each, PUBLISHED, final=True) for each in (image, estimated(image)))

    assert msgspec.json.encode(plain) == msgspec.json.encode(ours)


def test_more_held_is_more_exposure_by_as_much() -> None:
    """A call's strike gains its gamma x 100 bought x 100 x S^2 x 1%; the volume stays."""
    row = int(np.flatnonzero((CHAIN.strike == 6000) & (CHAIN.right > 0))[1])
    image = market({row: (100, "ask")})
    plain, ours = (figures(each, ("all",), final=True)["all"] for each in (image, estimated(image)))

    assert plain.call_gex is not None
    assert ours.call_gex is not None
    assert ours.call_gex > plain.call_gex
    assert (ours.put_gex, ours.net_gex_volume) == (plain.put_gex, plain.net_gex_volume)
    more = {
        o.strike: (o.call_gex or 0) - (p.call_gex or 0)
        for o, p in zip(ours.strikes, plain.strikes, strict=True)
    }
    assert {strike for strike, value in more.items() if value} == {6000}
    assert ours.call_gex - plain.call_gex == pytest.approx(more[6000])


def test_no_recorded_row_knows_of_it() -> None:
    """What the tape keeps of a second is the same whatever was signed."""
    image = market({10: (100, "ask"), 11: (60, "bid")})
    unsigned = msgspec.structs.replace(
        image,
        rows=msgspec.structs.replace(
            image.rows, bought=image.rows.bought * 0, sold=image.rows.sold * 0
        ),
    )

    rows = [
        second_events(each.asof_ns, [(each, figures(each, PUBLISHED, final=True))], Levels())
        for each in (image, unsigned)
    ]
    assert rows[0] == rows[1]
    assert WEIGHT not in repr(rows[0])
