"""A market that never sits still: contracts, days, sessions and feeds change under a lane."""

import datetime

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import LiveSnapshot, figures
from gex_pipeline.exposure.underlying import Underlying, figures_due
from gex_pipeline.market import sessions
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.events import Event, OptionQuote
from gex_pipeline_tests.engine.builders import (
    TAPE,
    S,
    beat,
    feed,
    lane_of,
    numbered,
    quote_of,
    told,
)
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(400, 4)
OPEX = datetime.date(2025, 6, 20)
"""A third Friday: SPX settles on its open, SPXW on its close."""
HALF = datetime.date(2025, 7, 3)
NEXT = sessions.next_trading_day(DAY)


def at(day: datetime.date, hour: int, minute: int, second: float = 0) -> int:
    """Return a moment of New York."""
    return sessions.et_ns(day, hour, minute) + round(second * S)


def of(chain: OptionChain, day: datetime.date, root: str = "SPXW") -> OptionChain:
    """Return the chain as if all of it expired on one date."""
    size = len(chain)
    return msgspec.structs.replace(
        chain, root=np.full(size, root), expiry=np.full(size, np.datetime64(day))
    )


def shown(image: Image, scope: str = "all") -> LiveSnapshot:
    """Return the figures of an image."""
    return figures(image, (scope,), final=True)[scope]


def newest(lane: Lane, symbol: str = "SPX") -> Image:
    """Return the state after all that the lane has."""
    image = lane.preview(symbol, lane.seen_ns)
    assert image is not None
    return image


def by_time(seconds: list[Second]) -> dict[int, Image]:
    """Return the first underlying of each second."""
    return {second.ts_ns: second.images[0] for second in seconds}


def test_a_contract_that_is_born_counts_from_its_second_on() -> None:
    """Pushed by the stream or in a chain's answer, between others that stay as they were."""
    born = len(CHAIN) // 2 - 3
    before = [e for e in told(CHAIN) if getattr(e, "symbol", "") != quote_of(CHAIN, born, 0).symbol]
    lane = lane_of("SPX")
    seconds = feed(
        lane,
        [
            *before,
            quote_of(CHAIN, born, ASOF_NS + S // 2, streamed=True),
            beat(ASOF_NS + S // 2),
            beat(ASOF_NS + 3 * S // 2),
        ],
    )
    images = by_time(seconds)
    assert shown(images[ASOF_NS]).contracts == len(CHAIN) - 1
    assert shown(images[ASOF_NS + S]).contracts == len(CHAIN)


def test_am_settlement_leaves_at_the_open_and_pm_at_the_close() -> None:
    """The third Friday: SPX is in the figures until 09:30, SPXW of the same date until 16:00."""
    am, pm = of(synthetic_chain(100, 1), OPEX, "SPX"), of(synthetic_chain(80, 1), OPEX)
    later = synthetic_chain(60, 1)
    later = of(later, sessions.next_trading_day(OPEX))
    lane = lane_of("SPX")
    open_ns, close_ns = at(OPEX, 9, 30), at(OPEX, 16, 0)
    events: list[Event] = []
    for stamp in (open_ns - S, open_ns + 1, close_ns - S, close_ns + 1):
        events += [*told(am, stamp)[:-2], *told(pm, stamp)[:-2], *told(later, stamp)]
        events += [beat(stamp + S)]
    images = by_time(feed(lane, events))

    assert open_ns in images
    first = shown(images[open_ns + S])
    assert {(row.root, row.contracts) for row in first.expiries} == {("SPXW", 80), ("SPXW", 60)}
    assert first.coverage is not None
    assert first.coverage.expired_contracts == 100
    assert shown(images[close_ns], "0dte").confidence is None
    assert shown(images[close_ns - S], "0dte").contracts == 80
    assert shown(images[close_ns + S]).contracts == 60


def test_a_half_day_ends_at_one() -> None:
    """3 July: 0DTE leaves at 13:00, the last second is 13:15, the figures stay those of it."""
    chain = of(synthetic_chain(100, 1), HALF)
    lane = lane_of("SPX")
    close = at(HALF, 13, 0)
    events: list[Event] = []
    for stamp in (close - S, close + 1, at(HALF, 13, 15, -0.5), at(HALF, 13, 15, 1.5)):
        events += [*told(chain, stamp), *told(CHAIN, stamp)]
    images = by_time(feed(lane, [*events, beat(at(HALF, 13, 20))]))

    assert shown(images[close - S], "0dte").contracts == 100
    assert shown(images[close], "0dte").contracts == 0
    assert max(images) == at(HALF, 13, 15)
    assert newest(lane).asof_ns == at(HALF, 13, 15)


def test_a_new_day_begins_without_a_restart() -> None:
    """At the next open: yesterday's expiry and volume are gone, its quotes are none, OI stays."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, at(DAY, 16, 0)))
    opened = at(NEXT, 9, 30)
    morning = msgspec.structs.replace(CHAIN, volume=np.full(len(CHAIN), 3.0))
    seconds = feed(lane, [beat(opened + S // 2), *told(morning, opened + S), beat(opened + 3 * S)])
    images = by_time(seconds)

    gone = int(np.count_nonzero(CHAIN.expiry == np.datetime64(DAY)))
    first, then = images[opened + S], images[opened + 2 * S]
    assert live_chain(first).volume.sum() == 3.0 * len(CHAIN)
    coverage = shown(then).coverage
    assert coverage is not None
    assert coverage.expired_contracts == gone
    assert shown(then, "0dte").contracts == int(
        np.count_nonzero(CHAIN.expiry == np.datetime64(NEXT))
    )


@pytest.mark.parametrize(
    ("hour", "minute", "due"),
    [(3, 29, True), (3, 30, False), (9, 29, False), (9, 30, True), (16, 30, True)],
)
def test_no_figure_while_vendors_reset(hour: int, minute: int, due: bool) -> None:
    """From 03:30 to the open of a trading day; on a Saturday there is no reset."""
    assert figures_due(at(NEXT, hour, minute)) is due
    assert figures_due(at(datetime.date(2025, 6, 7), hour, minute))


def test_resets_of_volume_and_volatility_leave_no_trace() -> None:
    """Rows of 0 and nothing at 04:00; what comes at the open counts, and no second lies between."""
    reset = msgspec.structs.replace(
        CHAIN,
        volume=np.zeros(len(CHAIN)),
        iv=np.full(len(CHAIN), np.nan),
        bid=np.zeros(len(CHAIN)),
        ask=np.zeros(len(CHAIN)),
    )
    plain, through = lane_of("SPX"), lane_of("SPX")
    evening, opened = at(DAY, 16, 0), at(NEXT, 9, 30, 0.25)
    for lane in (plain, through):
        feed(lane, told(CHAIN, evening))
    assert feed(through, [*told(reset, at(NEXT, 4, 0)), beat(at(NEXT, 9, 29))])[-1].ts_ns < at(
        DAY, 16, 15
    )
    feed(plain, [beat(at(NEXT, 9, 29))])
    last = []
    for lane in (plain, through):
        (*_, second) = feed(lane, [*told(CHAIN, opened), beat(opened + S)])
        last.append(shown(second.images[0]))
    same = {"tapes": last[0].tapes}
    assert msgspec.structs.replace(last[1], **same) == last[0]


def test_spot_jumps_by_a_fifth() -> None:
    """One second to the next: figures around the new spot, doubted until the quotes are of it."""
    jumped = synthetic_chain(400, 4, spot=4800.0)
    answers = [told(jumped, ASOF_NS + at * S + S // 2) for at in range(3)]
    lane = lane_of("SPX")
    seconds = feed(
        lane, [*told(CHAIN), *(e for one in answers for e in one), beat(ASOF_NS + 4 * S)]
    )
    before, after, _, settled = (shown(second.images[0]) for second in seconds[:4])

    assert (before.spot, after.spot, before.confidence_level) == (6000, 4800, "high")
    assert after.contracts == len(CHAIN) + len(jumped)
    assert after.net_gex is not None
    assert after.profile[30].spot == pytest.approx(4800)
    assert (after.confidence_level, after.call_wall) == ("unusable", None)
    # by then two whole answers list the new strikes only
    assert (settled.confidence_level, settled.contracts) == ("high", len(jumped))
    assert settled.call_wall is not None
    assert settled.put_wall is not None
    assert settled.call_wall >= 4800 >= settled.put_wall


def test_another_streamer_goes_on_with_the_tape() -> None:
    """Its epoch is higher and its numbers go on: the same rows, positions of the new owner."""
    lane = lane_of("SPX")
    events = numbered([*told(CHAIN), beat(ASOF_NS + S)])
    list(lane.take(1, events))
    moved = msgspec.structs.replace(CHAIN, bid=CHAIN.bid + 0.05, ask=CHAIN.ask + 0.05)
    more = numbered([*told(moved, ASOF_NS + 2 * S), beat(ASOF_NS + 4 * S)], len(events) + 1)
    seconds = list(lane.take(2, more))

    image = seconds[-1].images[0]
    assert image.positions == {TAPE: (2, more[-2].seq)}
    assert image.gaps == ()
    assert len(image.contracts) == len(CHAIN)


def test_another_set_of_symbols_needs_no_old_state() -> None:
    """NDX joins an image of SPX alone: it is read from the tape's beginning, SPX goes on."""
    ndx = synthetic_chain(200, 2, spot=20_000.0, symbol="NDX", seed=2)
    events = numbered([*told(ndx)[:-1], *told(CHAIN), beat(ASOF_NS + 2 * S)])
    whole = list(lane_of("SPX", "NDX").take(1, events))
    alone = lane_of("SPX")
    list(alone.take(1, events))
    image = alone.preview("SPX", ASOF_NS + 2 * S)
    assert image is not None

    both = lane_of("SPX", "NDX")
    both.resume([image], 0)
    list(both.take(1, events))
    found = {symbol: newest(both, symbol) for symbol in ("SPX", "NDX")}
    assert shown(found["SPX"]).net_gex == shown(whole[-1].images[0]).net_gex
    assert shown(found["NDX"]).net_gex == shown(whole[-1].images[1]).net_gex

    fewer = Lane(TAPE, {"NDX": Underlying("NDX", "simulator", "simulated")})
    list(fewer.take(1, events))
    assert shown(newest(fewer, "NDX")).net_gex == shown(whole[-1].images[1]).net_gex


def test_a_settlement_that_the_vendor_corrects_moves_the_expiry() -> None:
    """A letter that comes late lays the chain out anew: from then on it settles on the open."""
    chain = of(synthetic_chain(60, 1), OPEX, "SPXW")
    lane = lane_of("SPX")
    feed(lane, told(chain))
    assert sessions.et_datetime(newest(lane).layout.chain.groups[0].settle_ns).hour == 16
    changed = [
        msgspec.structs.replace(event, settlement="A") if isinstance(event, OptionQuote) else event
        for event in told(chain, ASOF_NS + S)
    ]
    feed(lane, changed)
    assert sessions.et_datetime(newest(lane).layout.chain.groups[0].settle_ns).hour == 9
