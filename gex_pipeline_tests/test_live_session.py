"""A live session with all that a market and a vendor do to us: simulator, streamer and engine.

At 60 market seconds a second. Here a stretch of an OPEX Friday, from before its open (reset, AM
settlement) through every fault of the script, one kill -9 of the engine and the close to the next
date; GEX_LIVE_SESSION=whole has all 6.5 hours of it, with every fault eight times.
"""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import msgspec
import pytest

from gex_pipeline.archive.recompute import recompute
from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.lane import SILENCE_RECORDED_S, Lane
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.moment import PUBLISHED, figures, gex_second, second_events
from gex_pipeline.exposure.pairing import IndexSecond, Pairing
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.gateway.asof import figures_at, image_of
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import (
    Basis,
    ChainHeader,
    Event,
    GexSecond,
    GexStrikes,
    Heartbeat,
    LedgerCount,
    LevelChange,
)
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.simulator.acts import read_script
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.script import Script
from gex_pipeline_tests.live_session import (
    DATE,
    FUTURES,
    GONE_AT,
    LISTED_AT,
    MONDAY,
    SHORT,
    TAPES,
    WHOLE,
    Fault,
    Form,
    Session,
    after_open_ns,
    faults,
    script,
)
from gex_pipeline_tests.streamer.stage import staged

FORM: Form = WHOLE if os.environ.get("GEX_LIVE_SESSION") == "whole" else SHORT
GROWS_MB = 25.0
"""Of an engine that has warmed up, through the rest of its life."""
OPEN_NS, CLOSE_NS = et_ns(DATE, 9, 30), et_ns(DATE, 16)
LATE_S = 120
"""At a minute a second what comes takes some market time to come."""
AS_OF = 8
"""Seconds that are asked for as of, of each underlying."""
Row = tuple[str, str, str, int]


# --- what was recorded, and the same computed again -----------------------------------------------


def kept(events: Iterable[Event]) -> dict[Row, Event]:
    """Return figures by what they are of, without their numbers on the tape."""
    found: dict[Row, Event] = {}
    for event in events:
        if isinstance(event, GexSecond | GexStrikes | LevelChange | Basis):
            scope = getattr(event, "scope", "")
            key = (type(event).__name__, event.symbol, scope, event.ts_recv_ns)
            assert key not in found, key
            found[key] = msgspec.structs.replace(event, seq=0)
    return found


def computed_again(root: Path, tape: str) -> dict[Row, Event]:
    """Return the figures that a tape's events make, from the first on, without any engine."""
    paths, symbol = LakePaths(root), TAPES[tape]
    lane, levels = Lane(tape, {symbol: Underlying(symbol, "simulator", "simulated")}), Levels()
    pairing = Pairing(FUTURES)
    for stretch in recorded(paths, read_chain(paths, FUTURES)):
        assert list(pairing.take(stretch.epoch, tuple(stretch.events))) == []
    found: list[Event] = []
    for stretch in recorded(paths, read_chain(paths, tape)):
        for second in lane.take(stretch.epoch, tuple(stretch.events)):
            (image,) = second.images
            snapshots = figures(image, PUBLISHED, final=True)
            found += second_events(second.ts_ns, [(image, snapshots)], levels)
            index = index_at(image, snapshots["all"], second.ts_ns)
            if roots_of(symbol):
                paired = IndexSecond(second.ts_ns, (index,), image.positions)
                found += [row for joined in pairing.put(paired) for row in joined.rows]
    return kept(found)


class Story:
    """What was recorded of one symbol and scope, second by second."""

    def __init__(self, live: dict[Row, Event], symbol: str, scope: str = "all") -> None:
        mine = sorted(
            ((key[3], row) for key, row in live.items() if key[1:3] == (symbol, scope)),
            key=lambda each: each[0],
        )
        self.rows = {ts_ns: row for ts_ns, row in mine if isinstance(row, GexSecond)}
        self.changes = {ts_ns: row for ts_ns, row in mine if isinstance(row, LevelChange)}

    def at(self, ts_ns: int) -> GexSecond:
        """Return the row of the second that a moment is in, or of the next one that has any."""
        return next(row for second_ns, row in self.rows.items() if second_ns >= ts_ns)

    def before(self, ts_ns: int) -> GexSecond:
        """Return the last row before a second."""
        return self.rows[max(second_ns for second_ns in self.rows if second_ns < ts_ns)]

    def between(self, from_ns: int, until_ns: int) -> list[GexSecond]:
        """Return the rows of a span, its end included."""
        return [row for ts_ns, row in self.rows.items() if from_ns < ts_ns <= until_ns]

    def usual(self) -> float:
        """Return the confidence of a second in which nothing is wrong with the feed."""
        sound = (row for row in self.rows.values() if "feed:" not in (row.reasons or ""))
        return median(row.confidence or 0.0 for row in sound)


def has(reasons: str | None, reason: str) -> bool:
    """Whether a reason is among those of a row."""
    return reason in (reasons or "").split(",")


# --- what is asked of them ------------------------------------------------------------------------


def assert_dense(story: Story, beats: list[Heartbeat]) -> None:
    """Every second is there, and tells of silence: until the tape has been silent for a minute."""
    heard = [beat.ts_recv_ns for beat in beats if beat.connected]
    assert min(story.rows) == OPEN_NS
    for before_ns, ts_ns in pairwise(story.rows):
        silent_ns = ts_ns - heard[bisect_left(heard, ts_ns + 1) - 1]
        assert has(story.rows[ts_ns].reasons, "feed:silent") == (silent_ns > 5 * SECOND_NS), ts_ns
        if ts_ns - before_ns > SECOND_NS and before_ns < CLOSE_NS - SECOND_NS:
            last_ns = heard[bisect_left(heard, before_ns + 1) - 1]
            assert before_ns + SECOND_NS > last_ns + SILENCE_RECORDED_S * SECOND_NS, before_ns


def told_within(story: Story, fault: Fault) -> tuple[float, float]:
    """Return how soon confidence falls for the fault's reason, and rises again after its end."""
    usual = story.usual()
    rows = story.between(fault.from_ns, fault.until_ns + LATE_S * SECOND_NS)
    fallen = next((row for row in rows if has(row.reasons, fault.reason)), None)
    assert fallen is not None, fault
    assert (fallen.confidence or 0.0) < 0.9 * usual, fault
    before = story.before(fallen.ts_recv_ns)
    if before.confidence_level != fallen.confidence_level:
        change = story.changes[fallen.ts_recv_ns]
        levels = change.level_before, change.level
        assert levels == (before.confidence_level, fallen.confidence_level)
        assert has(change.reasons, fault.reason)
    since_ns = max(fault.until_ns, fallen.ts_recv_ns)
    later = story.between(since_ns, since_ns + 3 * LATE_S * SECOND_NS)
    risen = next((row for row in later if (row.confidence or 0.0) > 0.9 * usual), None)
    assert risen is not None, fault
    assert not has(risen.reasons, fault.reason)
    falls_ns, rises_ns = fallen.ts_recv_ns - fault.from_ns, risen.ts_recv_ns - fault.until_ns
    return falls_ns / SECOND_NS, rises_ns / SECOND_NS


def assert_windows_told(story: Story, headers: list[ChainHeader], fault: Fault) -> None:
    """A window that fails stands in the second of its header."""
    failed = next(h for h in headers if h.ts_recv_ns > fault.from_ns and not h.complete)
    row = story.at(failed.ts_recv_ns)

    assert (row.windows_complete or 0) < (row.windows or 0)


def assert_goes_on(story: Story, fault: Fault) -> None:
    """Over a fifth of the price figures go on, on the new one, and confidence tells why it fell."""
    before = story.at(fault.from_ns).spot or 0.0
    rows = story.between(fault.from_ns, fault.until_ns + LATE_S * SECOND_NS)
    moved = [row for row in rows if (row.spot or before) < 0.81 * before]

    assert moved, fault
    assert all(row.net_gex_oi is not None for row in rows)
    assert all(row.confidence_level == "unusable" and row.reasons for row in moved)
    after = story.between(moved[-1].ts_recv_ns, fault.until_ns + 4 * LATE_S * SECOND_NS)
    assert any(row.confidence_level == "high" for row in after)


def assert_settled_and_listed(story: Story, headers: list[ChainHeader]) -> None:
    """AM contracts leave at 09:30, PM at 16:00, the born and the vanished with a chain's rounds."""
    played = Script()
    played.add(read_script(msgspec.json.encode(script(FORM))), et_ns(DATE, 9, 27))
    market = Market(1, FORM.contracts, script=played)
    groups = [g for g in market.board(OPEN_NS).groups if g.symbol == "SPX"]
    size = {g.expiry: g.last - g.first for g in groups}
    am, pm = (
        sum(size[g.expiry] for g in groups if g.settle_ns == ns) for ns in (OPEN_NS, CLOSE_NS)
    )
    later = sum(size.values()) - am - pm
    whole = [h.ts_recv_ns for h in headers if h.complete]
    behind = {at: [ns for ns in whole if ns > after_open_ns(at)] for at in (LISTED_AT, GONE_AT)}

    assert am > 0 < pm
    assert story.at(OPEN_NS).contracts == pm + later
    assert story.at(behind[LISTED_AT][1]).contracts in (pm + later + 4, pm + later + 2)
    assert story.at(behind[GONE_AT][2]).contracts == pm + later + 2
    left = story.before(CLOSE_NS).contracts - story.at(CLOSE_NS).contracts
    assert left == pm  # one strike was born, one has gone
    board = market.board(et_ns(MONDAY, 9, 31))
    assert list(story.rows.values())[-1].contracts == int((board.under == 0).sum())


def assert_basis_told(live: dict[Row, Event], fault: Fault) -> None:
    """A step of the basis is measured before its end; over a halt the micro is taken instead."""
    rows = [row for key, row in live.items() if key[:2] == ("Basis", "/ES")]
    told = {row.ts_recv_ns: row for row in rows if isinstance(row, Basis) and row.method == "live"}
    before = told[max(ts_ns for ts_ns in told if ts_ns <= fault.from_ns)]
    late_ns = fault.until_ns + 10 * SECOND_NS
    newest = [row for ts_ns, row in told.items() if fault.from_ns < ts_ns <= late_ns]
    if fault.verb == "halt":
        assert any(row.quoted == "/MES" for row in newest), fault
    else:
        steps = [(row.basis or 0.0) - (before.basis or 0.0) for row in newest]
        assert any(step == pytest.approx(12.0, abs=1.0) for step in steps), fault


def assert_as_of(paths: LakePaths, live: dict[Row, Event]) -> None:
    """Some seconds, asked for as of, are to the bit what is recorded of them."""
    for symbol in TAPES.values():
        seconds = list(Story(live, symbol).rows)
        for ts_ns in seconds[:: len(seconds) // AS_OF]:
            row, image = live["GexSecond", symbol, "0dte", ts_ns], image_of(paths, symbol, ts_ns)
            found = figures_at(paths, symbol, "0dte", ts_ns)
            assert msgspec.structs.replace(gex_second(ts_ns, image, found), seq=0) == row


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The session, played to its end; its lake is there."""
    with staged(tmp_path_factory.mktemp("session"), FORM.memory_mb) as stage:
        session = Session(stage, FORM)
        session.play()
        yield session


@pytest.fixture(scope="module")
def live(played: Session) -> dict[Row, Event]:
    """What the engine recorded."""
    tapes = ("gex.equity", "gex.index", "gex.cme")
    return kept(event for tape in tapes for event in played.events(tape))


@pytest.mark.timeout(3600)
def test_every_recorded_second_equals_the_recomputation(
    played: Session, live: dict[Row, Event]
) -> None:
    """To the bit, each row of each kind; as of, too; and none is missing, silent ones neither."""
    tell(played, live)
    paths = LakePaths(played.stage.root)

    with ProcessPoolExecutor(len(TAPES), mp_context=get_context("spawn")) as pool:
        again = list(pool.map(partial(computed_again, paths.root), TAPES))
    assert {key: row for each in again for key, row in each.items()} == live
    assert_as_of(paths, live)
    for tape, symbol in TAPES.items():
        beats = [event for event in played.events(tape) if isinstance(event, Heartbeat)]
        assert_dense(Story(live, symbol), beats)
    if FORM is WHOLE:
        for done in recompute(paths, DATE):
            assert (done.different, done.unrecorded) == (0, 0), done.first_different


def test_confidence_tells_every_fault(played: Session, live: dict[Row, Event]) -> None:
    """In time and with its reason, and is what it was when the fault is over."""
    spx, headers = Story(live, "SPX"), headers_of(played)
    for fault in faults(FORM):
        if fault.reason:
            falls_s, rises_s = told_within(spx, fault)
            print(f"{fault.verb}: falls {falls_s:.0f} s after, rises {rises_s:.0f} s after")  # noqa: T201 # for whoever runs it by hand
        if fault.verb == "fail":
            assert_windows_told(spx, headers, fault)
        if fault.verb == "jump":
            assert_goes_on(spx, fault)
        if fault.verb in ("halt", "basis"):
            assert_basis_told(live, fault)


def test_contracts_come_and_go(played: Session, live: dict[Row, Event]) -> None:
    """Settlements, births, a vanished strike, a new date; adjusted ones are dropped and counted."""
    assert played.first_published_ns >= OPEN_NS
    assert_settled_and_listed(Story(live, "SPX"), headers_of(played))
    counts = (e for e in played.events("schwab.equity") if isinstance(e, LedgerCount))
    assert sum(count.events for count in counts if count.reason == "adjusted") > 0


def test_memory_stays_flat(played: Session) -> None:
    """Once warm an engine's memory stays what it is, and its next process needs no more."""
    for seen in played.memory_mb:
        warm = seen[len(seen) // 3 :]
        assert max(warm) - warm[0] < GROWS_MB, seen


def headers_of(played: Session) -> list[ChainHeader]:
    """Return what came with the answers of the index's chain."""
    events = played.events("schwab.index")
    return [e for e in events if isinstance(e, ChainHeader) and e.symbol == "SPX"]


def tell(played: Session, live: dict[Row, Event]) -> None:
    """Print what the run came to, for whoever runs it by hand."""
    kinds = Counter(key[0] for key in live)
    seconds = len({key[3] for key in live if key[0] == "GexSecond"})
    memory = [f"{seen[len(seen) // 3]:.0f} to {max(seen):.0f}" for seen in played.memory_mb]
    told = (
        f"{seconds:,} seconds at {played.speed}x, {dict(kinds)}; engines of {memory} MB,"
        f" resumed in {played.resumed_s} s, {played.engine_lags_s:.0f} s behind at the end"
    )
    print(told)  # noqa: T201 # for whoever runs it by hand
