"""Figures over a gap say so, until all that it may have hidden has been received again."""

import datetime

import msgspec
import pytest

from gex_pipeline.exposure.gaps import KEPT, Lost, lost_s, opened, still_open
from gex_pipeline.exposure.lane import Lane
from gex_pipeline.exposure.moment import LiveSnapshot, figures, gex_second
from gex_pipeline.hot.chains import decode_image, encode_image
from gex_pipeline.market.events import SOURCE_SEQUENCE, ChainHeader, Event, Gap
from gex_pipeline_tests.engine.builders import (
    S,
    beat,
    feed,
    header_of,
    lane_of,
    numbered,
    spot_of,
    told,
)
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

CHAIN = synthetic_chain(600, 4)
FAR = ChainHeader(
    "SPX",
    ASOF_NS,
    ASOF_NS,
    first_expiry=datetime.date(2027, 1, 1),
    last_expiry=datetime.date(2027, 2, 1),
    contracts=0,
    complete=True,
)


def gap(
    from_s: float,
    to_s: float,
    *,
    cause: str = "disconnect",
    filled_by: str | None = None,
    first_seq: int | None = None,
) -> Gap:
    """Return what the feed says of a stretch, in seconds after the start."""
    from_ns, to_ns = (ASOF_NS + round(at * S) for at in (from_s, to_s))
    times = {"ts_from_ns": from_ns, "ts_to_ns": to_ns}
    return Gap("", to_ns, to_ns, **times, cause=cause, filled_by=filled_by, first_seq=first_seq)


def heard(lane: Lane, at_s: int) -> LiveSnapshot:
    """Return the newest figures after a heartbeat."""
    feed(lane, [beat(ASOF_NS + at_s * S)])
    image = lane.preview("SPX", ASOF_NS + at_s * S)
    assert image is not None
    return figures(decode_image(encode_image(image)), ("all",), final=False)["all"]


def test_a_disconnect_stays_under_the_figures_until_all_was_received_again() -> None:
    """Two windows and the spot: each must come, whole, after the gap; then nothing is missing."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN), FAR])
    assert (heard(lane, 1).gap_s, heard(lane, 2).gap_causes) == (0.0, ())

    feed(lane, [gap(2, 4.5)])
    assert (heard(lane, 5).gap_s, heard(lane, 6).gap_causes) == (2.5, ("disconnect",))
    feed(lane, [header_of(CHAIN, ASOF_NS + 7 * S), *spot_of(CHAIN, ASOF_NS + 7 * S)])
    assert heard(lane, 7).gap_s == 2.5
    again = msgspec.structs.replace(FAR, ts_recv_ns=ASOF_NS + 8 * S)
    feed(lane, [msgspec.structs.replace(again, complete=False)])
    assert heard(lane, 8).gap_s == 2.5
    feed(lane, [again])
    assert heard(lane, 9).gap_s == 0

    feed(lane, [msgspec.structs.replace(again, complete=False)])
    assert heard(lane, 10).gap_s == 0  # a failure is not a gap: it costs confidence


def test_the_spot_must_come_again_too() -> None:
    """A whole chain with the underlying's own price from before the gap does not close it."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN), gap(1, 3), header_of(CHAIN, ASOF_NS + 4 * S)])
    assert heard(lane, 4).gap_s == 2
    feed(lane, spot_of(CHAIN, ASOF_NS + 5 * S))
    assert heard(lane, 5).gap_s == 0


def test_a_gap_changes_no_figure() -> None:
    """Confidence and exposure are those of the same events without it."""
    plain, over = lane_of("SPX"), lane_of("SPX")
    feed(plain, told(CHAIN))
    feed(over, [*told(CHAIN), gap(-2, 0.5)])
    ours, theirs = heard(plain, 1), heard(over, 1)

    assert theirs.gap_s == 2.5
    same = {"gap_s": 0.0, "gap_causes": (), "tapes": ours.tapes}
    assert msgspec.structs.replace(theirs, **same) == ours


@pytest.mark.parametrize(
    "filled", [gap(0, 1, filled_by="chain"), gap(0, 1, cause="unspooled", first_seq=2)]
)
def test_what_was_made_up_for_is_no_gap(filled: Gap) -> None:
    """A filled gap, and numbers that somebody else lacks: the tape itself shows its holes."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN), filled])
    assert heard(lane, 2).gap_s == 0


def test_candles_that_did_not_come_are_no_gap_under_figures() -> None:
    """The source's numbers of its candles jumped: of quotes and sales nothing is missing."""
    lane = lane_of("SPX")
    jump = msgspec.structs.replace(gap(0, 1, cause=SOURCE_SEQUENCE), symbol="SPX")
    feed(lane, [*told(CHAIN), jump])
    assert heard(lane, 2).gap_s == 0


def test_a_gap_that_is_told_late_may_be_over() -> None:
    """All was received again before the feed said what it had lost."""
    lane = lane_of("SPX")
    feed(lane, [*told(CHAIN), msgspec.structs.replace(gap(-9, -1), ts_recv_ns=ASOF_NS + S)])
    assert heard(lane, 2).gap_s == 0


def test_missing_numbers_are_a_gap_of_the_seconds_around_them() -> None:
    """The tape lacks one number between 10:30:01 and :04; seconds 2 and 3 know of it too."""
    lane = lane_of("SPX")
    events = [*told(CHAIN), beat(ASOF_NS + S)]
    feed(lane, events)
    (later,) = numbered([beat(ASOF_NS + 4 * S)], len(events) + 2)
    seconds = list(lane.take(1, (later,)))

    assert [(second.ts_ns - ASOF_NS) // S for second in seconds] == [1, 2, 3]
    rows = [
        gex_second(second.ts_ns, image, figures(image, ("all",), final=True)["all"])
        for second in seconds
        for image in second.images
    ]
    assert [row.gap_s for row in rows] == [0, 1, 2]
    assert heard(lane, 9).gap_s == 3
    assert heard(lane, 9).gap_causes == ("lost",)


def test_a_silence_is_a_gap_while_it_lasts() -> None:
    """From the last heartbeat with a connection on, once it is longer than 5 s."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN))
    for at in range(1, 8):
        feed(lane, [beat(ASOF_NS + at * S, connected=False)])
    image = lane.preview("SPX", ASOF_NS + 7 * S)
    assert image is not None
    assert [(one.cause, one.from_ns) for one in image.lost] == [("silence", ASOF_NS)]
    assert image.gap_s == 7
    assert heard(lane, 8).gap_s == 0


def test_a_feed_that_was_never_heard_has_an_unknown_gap() -> None:
    """Null with its reason."""
    lane = lane_of("SPX")
    feed(lane, told(CHAIN)[:-1])
    image = lane.preview("SPX", ASOF_NS)
    assert image is not None
    found = figures(image, ("all",), final=False)["all"]
    assert (found.gap_s, found.null_reasons["gap_s"]) == (None, "no_heartbeat")


def test_a_lane_that_goes_on_from_an_image_knows_its_gaps() -> None:
    """Gap and hole before the image are not counted twice, those behind it are."""
    lane, events = lane_of("SPX"), list[Event]()
    events += [*told(CHAIN), gap(0, 1), beat(ASOF_NS + 2 * S)]
    whole = numbered(events)
    behind = numbered([gap(2, 3), beat(ASOF_NS + 4 * S)], len(whole) + 3)
    seconds = [*lane.take(1, whole), *lane.take(1, behind)]
    again = lane_of("SPX")
    again.resume([decode_image(encode_image(seconds[0].images[0]))], seconds[0].ts_ns)
    assert again.position is not None

    remade = [*again.take(1, whole[again.position[1] :]), *again.take(1, behind)]

    assert [s.images[0].gaps for s in remade] == [s.images[0].gaps for s in seconds]
    assert lane.preview("SPX", 0).gaps == again.preview("SPX", 0).gaps  # type: ignore[union-attr]


def test_seconds_in_two_gaps_count_once() -> None:
    """[0, 10], [5, 15] and [40, 60] up to 50 are 25 s; one that is over by then is forgotten."""
    gaps = (Lost(0, 10 * S, "a"), Lost(5 * S, 15 * S, "b"), Lost(40 * S, 60 * S, "c"))
    assert lost_s(gaps, 50 * S) == 25
    assert still_open(gaps, 15 * S) == gaps[2:]


def test_open_gaps_are_bounded() -> None:
    """More than are kept, and the oldest two become one; none is forgotten."""
    gaps: tuple[Lost, ...] = ()
    for at in range(KEPT + 10):
        gaps = opened(gaps, Lost(at * 10 * S, at * 10 * S + S, "disconnect"))
    assert len(gaps) == KEPT
    assert (gaps[0].from_ns, gaps[-1].to_ns) == (0, (KEPT + 9) * 10 * S + S)
