"""What stands behind a live chain: it falls at once, says why, and rises again."""

import datetime
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure.coverage import Live
from gex_pipeline.exposure.feed import feed_of
from gex_pipeline.exposure.lane import Lane
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import PUBLISHED, LiveSnapshot, figures, gex_second, second_events
from gex_pipeline.hot.chains import decode_image, encode_image
from gex_pipeline.market import sessions
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.events import ChainHeader, Event, LevelChange
from gex_pipeline_tests.engine.builders import (
    S,
    beat,
    feed,
    header_of,
    lane_of,
    quote_of,
    told,
)
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(600, 4)
NEAR = int(np.argmin(np.abs(CHAIN.strike - CHAIN.spot)))
FAR = ChainHeader(
    "SPX",
    ASOF_NS,
    ASOF_NS,
    first_expiry=datetime.date(2026, 1, 1),
    last_expiry=datetime.date(2026, 2, 1),
    contracts=0,
    complete=True,
)


def image_of(lane: Lane, at_s: float) -> Image:
    """Return the newest state, by way of its bytes."""
    image = lane.preview("SPX", ASOF_NS + round(at_s * S))
    assert image is not None
    return decode_image(encode_image(image))


def shown(lane: Lane, at_s: float, scope: str = "all") -> LiveSnapshot:
    """Return the newest figures."""
    return figures(image_of(lane, at_s), (scope,), final=False)[scope]


def live_of(lane: Lane, at_s: float) -> Live:
    """Return what only a feed has of them."""
    coverage = shown(lane, at_s).coverage
    assert coverage is not None
    assert coverage.live is not None
    return coverage.live


def moving(at_s: int, *, row: int = NEAR) -> Event:
    """Return a streamed quote that differs from second to second."""
    shift = 0.05 * (at_s % 2)
    moved = msgspec.structs.replace(CHAIN, bid=CHAIN.bid + shift, ask=CHAIN.ask + shift)
    return quote_of(moved, row, ASOF_NS + at_s * S, streamed=True)


def alive(first_s: int, last_s: int) -> list[Event]:
    """Return seconds in which a quote moves and the heart beats."""
    return [e for at in range(first_s, last_s + 1) for e in (moving(at), beat(ASOF_NS + at * S))]


def stream_dies() -> tuple[list[Event], int, str]:
    """Ten seconds without a connection: more than five without a heartbeat that counts."""
    dead: list[Event] = [beat(ASOF_NS + at * S, connected=False) for at in range(3, 13)]
    return [*alive(1, 2), *dead, *alive(13, 15)], 8, "feed:silent"


def window_fails() -> tuple[list[Event], int, str]:
    """The chain's one window fails at 4.5 s, and comes again at 8.5 s."""
    cut = header_of(CHAIN, ASOF_NS + 4 * S + S // 2, complete=False)
    again = told(CHAIN, ASOF_NS + 8 * S + S // 2)[:-1]
    return [*alive(1, 4), cut, *alive(5, 8), *again, *alive(9, 12)], 5, "feed:windows"


def quotes_freeze() -> tuple[list[Event], int, str]:
    """Heartbeats only, after 2 s; at 65 s a quote moves again."""
    still: list[Event] = [beat(ASOF_NS + at * S) for at in range(3, 65)]
    return [*alive(1, 2), *still, *alive(65, 67)], 62, "feed:frozen"


@pytest.mark.parametrize("fault", [stream_dies, window_fails, quotes_freeze])
def test_confidence_falls_at_once_and_rises_again(
    fault: Callable[[], tuple[list[Event], int, str]],
) -> None:
    """High before, 0 in the first second of the fault, high when it is over; two changes told."""
    events, falls_s, cause = fault()
    lane, levels = lane_of("SPX"), Levels()
    made: list[Event] = []
    for second in feed(lane, [*told(CHAIN, streamed=True), *events]):
        folded = [(image, figures(image, PUBLISHED, final=True)) for image in second.images]
        made += second_events(second.ts_ns, folded, levels)
    changes = [e for e in made if isinstance(e, LevelChange) and e.scope == "all"]

    fell, rose = changes
    assert (fell.ts_recv_ns - ASOF_NS) // S == falls_s
    assert (fell.level_before, fell.level, fell.reasons) == ("high", "unusable", cause)
    assert (rose.level_before, rose.level, rose.reasons_before) == ("unusable", "high", cause)
    assert (fell.confidence, rose.confidence_before) == (0, 0)


def test_a_chain_poll_that_stopped_shows_while_the_stream_lives() -> None:
    """Nothing fails, nothing comes: after ten minutes the windows are not complete."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN, streamed=True), FAR])
    feed(lane, alive(1, 600))
    found = live_of(lane, 600)
    assert (found.windows, found.windows_complete, found.feed_reason) == (2, 2, None)
    assert found.windows_age_s == 600

    feed(lane, alive(601, 601))
    found = live_of(lane, 601)
    assert (found.windows, found.windows_complete, found.feed_reason) == (2, 0, "windows")
    assert shown(lane, 601).confidence == 0

    feed(lane, [header_of(CHAIN, ASOF_NS + 602 * S), *alive(602, 602)])
    found = live_of(lane, 602)
    assert (found.windows_complete, found.windows_age_s, found.feed_reason) == (1, 602, "windows")


def test_windows_of_expiries_that_are_over_do_not_count() -> None:
    """Yesterday's window is none of today's chain."""
    lane = lane_of("SPX")
    over = msgspec.structs.replace(
        FAR, first_expiry=DAY - datetime.timedelta(3), last_expiry=DAY - datetime.timedelta(1)
    )
    feed(lane, [over, *told(CHAIN)])
    assert live_of(lane, 0).windows == 1


def test_before_any_answer() -> None:
    """No window: nothing says how much of the chain there is; never answered whole: no age."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN)[1:])
    found = live_of(lane, 0)
    assert (found.windows, found.windows_age_s, found.feed_reason) == (0, None, "no_windows")

    feed(lane, [header_of(CHAIN, ASOF_NS, complete=False)])
    found = live_of(lane, 0)
    assert (found.windows, found.windows_age_s, found.feed_reason) == (1, None, "windows")


def test_a_frozen_tape_is_judged_by_its_own_time() -> None:
    """An engine that is minutes behind, or a market whose clock stands, sees no frozen quotes."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN, streamed=True), *alive(1, 30)])
    image = image_of(lane, 30)
    late = msgspec.structs.replace(image, watched_ns=image.watched_ns + 3 * S)
    assert feed_of(late, live_chain(late)).reason is None


def test_frozen_counts_within_the_session_only() -> None:
    """In the first minute after the open nothing need have changed."""
    opened = sessions.regular_open_ns(DAY)
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, opened - 300 * S, streamed=True))
    for at, reason in ((59, None), (61, "frozen")):
        feed(lane, [beat(opened + at * S)])
        image = lane.preview("SPX", opened + at * S)
        assert image is not None
        assert feed_of(image, live_chain(image)).reason == reason


# --- what the stream vouches for ------------------------------------------------------------------


def test_the_share_that_is_streamed() -> None:
    """Of gross GEX: 0 after the chain's answer, a contract's own when the stream told it last."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    assert live_of(lane, 0).streamed_share == 0

    feed(lane, [quote_of(CHAIN, NEAR, ASOF_NS, streamed=True)])
    snapshot = shown(lane, 0)
    one = lane_of("SPX")
    alone = msgspec.structs.replace(CHAIN, open_interest=np.zeros(len(CHAIN)))
    alone.open_interest[NEAR] = CHAIN.open_interest[NEAR]
    feed(one, told(alone))
    share = live_of(lane, 0).streamed_share
    assert share is not None
    assert snapshot.gross_gex is not None
    assert share * snapshot.gross_gex == pytest.approx(shown(one, 0).gross_gex, rel=1e-9)

    feed(lane, told(CHAIN, ASOF_NS + S))  # a row of an answer is none of the stream's
    assert live_of(lane, 1).streamed_share == 0


def test_a_stream_that_is_not_heard_streams_nothing() -> None:
    """All of it streamed; six seconds without a heartbeat: none."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, streamed=True))
    assert live_of(lane, 0).streamed_share == pytest.approx(1)
    assert live_of(lane, 6).streamed_share == 0


def test_without_exposure_there_is_no_share() -> None:
    """Null, and not 0: nothing is held."""
    lane = lane_of("SPX")
    feed(lane, told(msgspec.structs.replace(CHAIN, open_interest=np.zeros(len(CHAIN)))))
    assert live_of(lane, 0).streamed_share is None


def test_what_the_stream_no_longer_holds_grows_old() -> None:
    """The next answer's row is none of the stream's: from there it ages as any other."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, streamed=True))
    feed(lane, [*told(CHAIN, ASOF_NS + 60 * S), *alive(61, 361)])
    chain = live_chain(image_of(lane, 361))
    assert int(chain.two_sided.sum()) == 1  # the one that still moves

    young = live_of(lane, 361)
    assert young.old_quotes is not None
    assert young.old_quotes > 0.99
    assert young.quote_age_p90_s == 301


def test_heartbeats_vouch_only_while_the_chain_is_answered() -> None:
    """Nobody says that a contract was dropped: ten minutes without an answer, and it ages."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN, streamed=True), *alive(1, 600)])
    assert live_chain(image_of(lane, 600)).two_sided.sum() > 100

    feed(lane, alive(601, 601))
    assert int(live_chain(image_of(lane, 601)).two_sided.sum()) == 1

    feed(lane, [header_of(CHAIN, ASOF_NS + 602 * S), *alive(602, 602)])
    assert live_chain(image_of(lane, 602)).two_sided.sum() > 100


def test_columns_of_a_second() -> None:
    """What confidence stands on is in the recorded row."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN, streamed=True), FAR])
    image = image_of(lane, 6)
    row = gex_second(ASOF_NS, image, figures(image, ("all",), final=True)["all"])
    assert (row.streamed_share, row.parity_share, row.quote_age_s) == (0, 1, 0)
    assert (row.windows, row.windows_complete, row.reasons) == (2, 2, "feed:silent")


# --- what is listed -------------------------------------------------------------------------------


def without(chain: OptionChain, *gone: int) -> OptionChain:
    """Return the chain without some rows."""
    keep = np.delete(np.arange(len(chain)), gone)
    names = [
        name for name in chain.__struct_fields__ if isinstance(getattr(chain, name), np.ndarray)
    ]
    return msgspec.structs.replace(chain, **{name: getattr(chain, name)[keep] for name in names})


def test_a_contract_that_two_answers_lack_has_vanished() -> None:
    """Still there after one; then out of every figure and counted; quoted again, it is back."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    feed(lane, told(without(CHAIN, NEAR), ASOF_NS + 60 * S))
    assert shown(lane, 60).contracts == len(CHAIN)

    feed(lane, told(without(CHAIN, NEAR), ASOF_NS + 120 * S))
    snapshot = shown(lane, 120)
    only = lane_of("SPX")
    feed(only, told(without(CHAIN, NEAR), ASOF_NS + 120 * S))
    assert snapshot.contracts == len(CHAIN) - 1
    assert snapshot.coverage is not None
    assert snapshot.coverage.vanished == 1
    assert snapshot.net_gex == shown(only, 120).net_gex
    assert snapshot.max_pain == shown(only, 120).max_pain

    feed(lane, [quote_of(CHAIN, NEAR, ASOF_NS + 121 * S, streamed=True)])
    assert shown(lane, 121).contracts == len(CHAIN)


def test_a_header_alone_makes_nothing_vanish() -> None:
    """Between an answer's header and its rows a preview has all contracts."""
    lane = lane_of("SPX")
    for at in (0, 60, 120):
        feed(lane, [header_of(CHAIN, ASOF_NS + at * S)])
        if at:
            assert shown(lane, at).contracts == len(CHAIN)
        feed(lane, told(CHAIN, ASOF_NS + at * S)[1:])


def test_what_a_stream_still_tells_has_not_vanished() -> None:
    """Two answers lack it and the stream pushed it since: it is listed somewhere."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    for at in (60, 120):
        feed(lane, told(without(CHAIN, NEAR), ASOF_NS + at * S))
        feed(lane, [quote_of(CHAIN, NEAR, ASOF_NS + (at + 1) * S, streamed=True)])
    assert shown(lane, 121).contracts == len(CHAIN)


def test_answers_that_were_cut_short_take_nothing_away() -> None:
    """A window that failed lacks everything, and says nothing of what is listed."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    for at in (60, 120, 180):
        feed(lane, [header_of(CHAIN, ASOF_NS + at * S, complete=False), beat(ASOF_NS + at * S)])
    assert shown(lane, 180).contracts == len(CHAIN)


def test_an_expiry_that_vanished_is_no_expiry_of_any_scope() -> None:
    """The next date is gone from the chain: `next` is the one after it."""
    days = np.unique(CHAIN.expiry)
    gone = np.flatnonzero(CHAIN.expiry == days[1])
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    assert shown(lane, 0, "next").expiries[0].expiry == days[1].item()
    for at in (60, 120):
        feed(lane, told(without(CHAIN, *gone.tolist()), ASOF_NS + at * S))

    snapshot = shown(lane, 120, "next")
    assert [row.expiry for row in snapshot.expiries] == [days[2].item()]
    assert shown(lane, 120).coverage is not None
    assert len(shown(lane, 120).expiries) == len(days) - 1


def test_an_expired_contract_does_not_vanish() -> None:
    """After 16:00 today's expiry is expired, also when answers leave it out."""
    close = sessions.quote_close_ns(DAY, late=False)
    today = np.flatnonzero(np.datetime64(DAY) == CHAIN.expiry)
    lane = lane_of("SPX")
    feed(lane, told(CHAIN, close - 60 * S))
    for at in (60, 120, 180):
        feed(lane, told(without(CHAIN, *today.tolist()), close + at * S))
    image = lane.preview("SPX", close + 180 * S)
    assert image is not None
    coverage = figures(image, ("all",), final=False)["all"].coverage
    assert coverage is not None
    assert (coverage.expired_contracts, coverage.vanished) == (today.size, 0)


def test_vanished_contracts_are_the_same_from_an_image() -> None:
    """A lane that goes on from stored bytes loses and finds the same ones."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN), *told(without(CHAIN, NEAR), ASOF_NS + 60 * S)])
    image = image_of(lane, 60)
    again = lane_of("SPX")
    again.resume([image], 0)
    for one in (lane, again):
        feed(one, told(without(CHAIN, NEAR), ASOF_NS + 120 * S))
        assert shown(one, 120).contracts == len(CHAIN) - 1
    assert live_chain(image_of(lane, 120)).listed.sum() == len(CHAIN) - 1
