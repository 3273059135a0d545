"""Events on their way to the spool: dates, heartbeats and gaps."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline.hot.frame import Frame, decode_frame
from gex_pipeline.hot.spool import Spool
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.events import Event, Gap, Heartbeat, LedgerCount, OptionQuote, Trade
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.tapes import Tape, Tapes, open_spools

DAY = datetime.date(2026, 11, 20)
NOON_NS = et_ns(DAY, 12)


def trade(ts_ns: int) -> Trade:
    """A trade received then."""
    return Trade("SPX", ts_ns, ts_ns, price=7000.0)


def row(ts_ns: int) -> OptionQuote:
    """A row of a chain, received then."""
    return OptionQuote(
        "SPXW  261120C07000000", ts_ns, ts_ns, underlying="SPX", bid=1.0, streamed=False
    )


def at(ts_ns: int) -> MarketTime:
    """A market time that stands still."""
    time = MarketTime()
    time.follow(MarketClock(ts_ns, 0, 0.0))
    return time


def frames(spool: Spool) -> list[Frame]:
    """Every frame of a spool."""
    return [decode_frame(data) for data in spool.read_after(0)]


def events(spool: Spool) -> list[Event]:
    """Every event of a spool."""
    return [event for frame in frames(spool) for event in frame.events]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    with Spool.open(tmp_path / "spool", "schwab.index") as spool:
        yield spool


def test_a_frame_is_full_or_of_one_minute_and_date(spool: Spool) -> None:
    """256 events make a frame; 17:00 New York starts another, dated Monday.

    Behind each minute that ends stands the ledger's count of it, on its own date.
    """
    tape = Tape(spool, "index")
    roll_ns = et_ns(DAY, 17)

    for ts_ns in (*range(NOON_NS, NOON_NS + 300), roll_ns - 1, roll_ns):
        tape.put(trade(ts_ns))
    tape.flush()

    assert [(len(frame.events), frame.session_date) for frame in frames(spool)] == [
        (256, DAY),
        (44, DAY),
        (1, DAY),
        (1, DAY),
        (1, DAY),
        (1, datetime.date(2026, 11, 23)),
    ]


@pytest.mark.parametrize("beaten", [True, False])
def test_a_roll_leaves_the_counts_of_a_date_on_it(tmp_path: Path, beaten: bool) -> None:
    """Whether a heartbeat or an event is the first of the new date."""
    time = at(et_ns(DAY, 17) - 5)
    tapes = Tapes({"index": Spool.open(tmp_path, "schwab.index")}, time)
    tapes.put("index", trade(time.stamp_ns()))
    time.follow(MarketClock(et_ns(DAY, 17), 0, 0.0))
    if beaten:
        tapes.beat({"index": True})
    tapes.put("index", trade(time.stamp_ns()))
    tapes.settle()

    counts = [
        (frame.session_date == DAY, event.ts_minute_ns == et_ns(DAY, 16, 59))
        for frame in frames(tapes.by_calendar["index"].spool)
        for event in frame.events
        if isinstance(event, LedgerCount)
    ]
    tapes.close()

    assert counts == [(True, True), (False, False)]


def test_an_event_that_no_frame_can_hold_costs_itself_only(spool: Spool) -> None:
    """The others of its batch are spooled, and it is counted."""
    tape = Tape(spool, "index")
    bad = Trade("SPX", NOON_NS, NOON_NS, price=float("nan"))

    for event in (trade(NOON_NS), bad, trade(NOON_NS + 1)):
        tape.put(event)
    tape.flush()

    assert [event.ts_recv_ns for event in events(spool)] == [NOON_NS, NOON_NS + 1]
    assert tape.refused == 1


def test_after_a_heartbeat_every_stamp_is_later(spool: Spool) -> None:
    """A heartbeat at T says that all up to T is on the tape."""
    tapes = Tapes({"index": spool}, at(NOON_NS))

    tapes.put("index", trade(tapes.time.stamp_ns()))
    tapes.by_calendar["index"].ledger.add("received", "", NOON_NS, 7)
    tapes.beat({"index": True})
    tapes.put("index", trade(tapes.time.stamp_ns()))
    tapes.flush()

    first, received, written, beat, last = events(spool)
    assert isinstance(received, LedgerCount)
    assert isinstance(written, LedgerCount)
    assert beat == Heartbeat("", NOON_NS, NOON_NS, 4, received=7, connected=True)
    assert first.ts_recv_ns == beat.ts_recv_ns < last.ts_recv_ns


def test_a_restart_tells_the_gap_since_data_last_flowed(tmp_path: Path) -> None:
    """Heartbeats without a connection are no sign of data; time never goes back behind the tape."""
    first = Tapes(open_spools(tmp_path, {}, fsync_ms=50), at(NOON_NS))
    assert first.note_restart() is None
    first.put("index", trade(NOON_NS))
    first.time.not_before(NOON_NS + 10)
    first.beat({})
    first.close()

    again = Tapes(open_spools(tmp_path, {}, fsync_ms=50), at(NOON_NS - 5))

    assert again.note_restart() == NOON_NS + 10
    spool = again.by_calendar["index"].spool
    gap = events(spool)[-1]
    assert isinstance(gap, Gap)
    assert (gap.ts_from_ns, gap.ts_to_ns, gap.cause) == (NOON_NS, NOON_NS + 10, "restart")
    again.close()


@pytest.mark.parametrize("rows", [10, 10_000])
def test_what_was_asked_for_is_no_sign_of_a_stream(tmp_path: Path, rows: int) -> None:
    """Chains go on while the stream is down: a restart tells the gap since the stream lived."""
    first = Tapes(open_spools(tmp_path, {}, fsync_ms=50), at(NOON_NS))
    first.put("index", trade(NOON_NS))
    first.time.not_before(NOON_NS + 10)
    first.put_all("index", [row(NOON_NS + 10)] * rows, NOON_NS + 10)
    first.close()

    again = Tapes(open_spools(tmp_path, {}, fsync_ms=50), at(NOON_NS + 20))

    assert again.note_restart() == NOON_NS + 20
    gap = events(again.by_calendar["index"].spool)[-1]
    assert isinstance(gap, Gap)
    assert (gap.ts_from_ns, gap.ts_to_ns) == (NOON_NS, NOON_NS + 20)
    again.close()


def test_a_market_second_is_waited_for_in_real_time() -> None:
    """A paused clock has no next second; a fast one has it sooner."""
    fast = MarketTime()
    fast.follow(MarketClock(NOON_NS, 0, 100.0))
    wait_s = fast.to_next_second_s()

    assert at(NOON_NS).to_next_second_s() is None
    assert wait_s is not None
    assert 0 <= wait_s <= 0.01
