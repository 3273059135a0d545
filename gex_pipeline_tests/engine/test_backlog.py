"""An engine that comes back to a trimmed tape: from spool or lake it records what it would have."""

from collections.abc import Callable

import msgspec
import pytest

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.engine.backlog import Backlog
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.moment import PUBLISHED, figures, second_events
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, Position
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import trim
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Event, GexSecond
from gex_pipeline_tests.archive.builders import MemorySource
from gex_pipeline_tests.engine.builders import TAPE, S, beat, lane_of, numbered, quote_of, told
from gex_pipeline_tests.engine.conftest import Market, wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(300, 3)


def told_in_second(at: int) -> list[Event]:
    """Return what the feed tells in a second behind the first."""
    rows = range(at, 99)
    quotes = [quote_of(CHAIN, row, ASOF_NS + at * S, streamed=True) for row in rows]
    return [*quotes, beat(ASOF_NS + at * S + S // 3)]


EVENTS = numbered([*told(CHAIN), *(event for at in range(1, 9) for event in told_in_second(at))])
FIRST_STOP = next(at for at, event in enumerate(EVENTS) if event.ts_recv_ns > ASOF_NS + 3 * S)


def frames() -> list[Frame]:
    """Return the whole tape, in frames."""
    parts = [EVENTS[start : start + MAX_EVENTS] for start in range(0, len(EVENTS), MAX_EVENTS)]
    return [Frame(TAPE, 1, part[0].seq, part[-1].seq, DAY, part) for part in parts]


def spooled(market: Market, after_seq: int = 0) -> None:
    """Have the streamer's spool hold the tape, from about a number on."""
    folder = market.root / "spool" / TAPE
    with Spool.open(folder, TAPE, fsync_ms=0, segment_bytes=1) as spool:
        for frame in frames():
            spool.append(frame.events, DAY)
        spool.drop_through(after_seq)


def archived(market: Market, last: int | None = None) -> None:
    """Have the lake hold the tape, up to a frame."""
    origin = Origin(source="schwab", mode="live", tape=TAPE)
    archive_tape(MemorySource(frames()[:last]), LakePaths(market.root), origin, part_events=300)


def nowhere(market: Market) -> None:
    """Have nobody hold what the tape lost."""


def never_stopped() -> list[GexSecond]:
    """Return the rows of an engine that read everything."""
    return [
        row
        for second in lane_of("SPX").take(1, EVENTS)
        for row in second_events(
            second.ts_ns,
            [(image, figures(image, PUBLISHED, final=True)) for image in second.images],
            Levels(),
        )
        if isinstance(row, GexSecond)
    ]


def unnumbered(rows: list[GexSecond]) -> list[GexSecond]:
    """Return the rows without their place on the tape."""
    return [msgspec.structs.replace(row, seq=0) for row in rows]


def run_until(market: Market, ts_ns: int) -> None:
    """Run an engine until it has recorded a second."""

    def there() -> bool:
        rows = market.seconds()
        return bool(rows) and rows[-1].ts_recv_ns >= ts_ns

    with market.running():
        wait_until(there)
        wait_until(lambda: market.store.exists(market.keys.chain("SPX")))


def stopped_and_trimmed(market: Market) -> None:
    """Let an engine work for three seconds; the tape goes on without it and loses its start."""
    market.tell(list(EVENTS[: FIRST_STOP + 1]))
    run_until(market, ASOF_NS + 2 * S)
    market.tell(list(EVENTS[FIRST_STOP + 1 :]))
    trim(market.store, market.keys, TAPE, Position(1, len(EVENTS) - 60))


@pytest.mark.parametrize("kept", [spooled, archived])
@pytest.mark.parametrize("chain", ["kept", "lost"])
def test_what_was_trimmed_comes_from_spool_or_lake(
    market: Market, kept: Callable[[Market], None], chain: str
) -> None:
    """Dense seconds, each equal to those of an engine that never stopped; with its chain or not."""
    stopped_and_trimmed(market)
    kept(market)
    if chain == "lost":
        market.store.delete(market.keys.chain("SPX"))

    run_until(market, ASOF_NS + 8 * S)

    assert unnumbered(market.seconds()) == never_stopped()


@pytest.mark.parametrize("kept", [spooled, archived])
def test_a_first_engine_begins_with_the_tapes_first_event(
    market: Market, kept: Callable[[Market], None]
) -> None:
    """No chain anywhere, and the hot store has the tape's end only."""
    market.tell(list(EVENTS))
    trim(market.store, market.keys, TAPE, Position(1, len(EVENTS) - 60))
    kept(market)

    run_until(market, ASOF_NS + 8 * S)

    assert unnumbered(market.seconds()) == never_stopped()


def test_what_nobody_holds_is_a_gap_under_the_figures(market: Market) -> None:
    """The same seconds are recorded; those over the hole say so, and the engine counts it."""
    stopped_and_trimmed(market)
    run_until(market, ASOF_NS + 8 * S)

    rows, whole = market.seconds(), never_stopped()
    assert [(row.ts_recv_ns, row.scope) for row in rows] == [
        (row.ts_recv_ns, row.scope) for row in whole
    ]
    known = 3 * len(PUBLISHED)
    assert unnumbered(rows[:known]) == whole[:known]
    assert {row.gap_s for row in rows[:known]} == {0.0}
    assert all(row.gap_s for row in rows[known + len(PUBLISHED) :])


def test_the_backlog_is_one_from_two_places(market: Market) -> None:
    """The lake has the start, the spool the rest; each event comes once, within the limits."""
    archived(market, 2)
    spooled(market, frames()[1].last_seq)
    backlog = Backlog(market.root, TAPE)

    def read(after: int, before: int) -> list[Event]:
        return [event for _, events in backlog.between(after, before) for event in events]

    assert len(list((market.root / "spool" / TAPE).glob("*.seg"))) == len(frames()) - 2
    for after, before in ((0, len(EVENTS) + 1), (5, 11), (500, 520), (600, 900), (0, 2)):
        assert read(after, before) == list(EVENTS[after : before - 1])
    assert list(Backlog(market.root, "schwab.cme").between(0, 9)) == []
