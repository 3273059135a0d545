"""The basis of a date computed anew: what live recorded, to the bit, over a roll and a night."""

from pathlib import Path

import msgspec
import pytest

from gex_pipeline.archive.recompute import recompute
from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.exposure.moment import PUBLISHED, figures
from gex_pipeline.exposure.pairing import IndexSecond, Pairing
from gex_pipeline.lake.basis import TAPE
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Basis, Event, Quote, Trade
from gex_pipeline_tests.engine.builders import S, beat, numbered, quote_of, told
from gex_pipeline_tests.gateway.recording import FEED, OWN, archive, engine_events, live_seconds
from gex_pipeline_tests.synthetic import DAY, synthetic_chain

CHAIN = synthetic_chain(200, 3)
NEXT = sessions.next_trading_day(DAY)
CLOSE_NS = sessions.et_ns(DAY, 16)
OPEN_NS = sessions.regular_open_ns(NEXT)
SPANS = ((CLOSE_NS - 25 * S, CLOSE_NS + 5 * S), (OPEN_NS - 3 * S, OPEN_NS + 25 * S))
CME = "schwab.cme"


def index_events() -> tuple[Event, ...]:
    """Return the last minute of a session and the first seconds of the next."""
    events = told(CHAIN, SPANS[0][0] - S)
    for first_ns, last_ns in SPANS:
        for ts_ns in range(first_ns, last_ns, S):
            events += [Trade("SPX", ts_ns, ts_ns, price=6000 + ts_ns % 7 / 8), beat(ts_ns)]
        events.append(quote_of(CHAIN, 100, last_ns, streamed=True))
    return numbered(events)


def future_events() -> tuple[Event, ...]:
    """Return quotes of /ES, which stands for another contract in the morning."""
    events: list[Event] = []
    for (first_ns, last_ns), contract in zip(SPANS, ("/ESM25", "/ESU25"), strict=True):
        for ts_ns in range(first_ns, last_ns, S):
            mid = 6021 + ts_ns % 11 / 4
            events.append(Quote("/ES", ts_ns, ts_ns, bid=mid, ask=mid, contract=contract))
            events.append(beat(ts_ns))
        events.append(beat(last_ns))
    return numbered(events)


@pytest.fixture(scope="module")
def made() -> list[Event]:
    """What live recorded of the index."""
    return engine_events(live_seconds(index_events(), "SPX"))


@pytest.fixture(scope="module")
def rows() -> list[Basis]:
    """What live recorded of the basis."""
    pairing = Pairing(CME)
    list(pairing.take(1, future_events()))
    found: list[Basis] = []
    for second in live_seconds(index_events(), "SPX"):
        image = second.images[0]
        index = index_at(image, figures(image, ("all",), final=True)["all"], second.ts_ns)
        for each in pairing.put(IndexSecond(second.ts_ns, (index,), image.positions)):
            found += each.rows
    return found


def lake(root: Path, made: list[Event], rows: list[Basis]) -> LakePaths:
    """Keep both feeds' tapes and the engine's as parts."""
    archive(root, FEED, index_events())
    archive(root, CME, future_events())
    archive(root, OWN, numbered(made), part_events=400)
    archive(root, TAPE, numbered(list(rows)), part_events=50)
    return LakePaths(root)


def test_each_row_of_both_dates_is_equal(
    tmp_path: Path, made: list[Event], rows: list[Basis]
) -> None:
    """The morning goes on from the evening's rows: a roll, and why there is none at first."""
    paths = lake(tmp_path, made, rows)
    for date in (DAY, NEXT):
        (done,) = recompute(paths, date)
        seconds = done.rows // len(PUBLISHED)
        assert done.basis.rows == done.basis.equal == 2 * seconds > 40, done.basis
        assert (done.basis.different, done.basis.unrecorded) == (0, 0)
    morning = [row for row in rows if row.ts_recv_ns > OPEN_NS and row.symbol == "/ES"]
    assert {row.contract for row in morning[1:]} == {"/ESU25"}
    assert {row.method for row in morning} == {"parity", "live"} or morning[1].reason == "roll"


def test_a_row_that_differs_is_counted_and_named(
    tmp_path: Path, made: list[Event], rows: list[Basis]
) -> None:
    """And one that is not there."""
    altered = [msgspec.structs.replace(rows[10], samples=7), *rows[11:-1]]
    (done,) = recompute(lake(tmp_path, made, [*rows[:10], *altered]), DAY)
    assert (done.basis.different, done.basis.unrecorded) == (1, 0)
    assert done.basis.first_different == f"{rows[10].symbol} {rows[10].ts_recv_ns}: samples"
    (done,) = recompute(LakePaths(tmp_path), NEXT)
    assert (done.basis.different, done.basis.unrecorded) == (0, 1)


def test_another_convention_has_no_basis(
    tmp_path: Path, made: list[Event], rows: list[Basis]
) -> None:
    """What is recorded stands on live's forwards."""
    (done,) = recompute(lake(tmp_path, made, rows), DAY, Convention(floor_minutes=1.0))
    assert done.basis.rows == 0
