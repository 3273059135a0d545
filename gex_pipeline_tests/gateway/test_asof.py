"""As of any second the lake gives what live recorded, to the bit, without the table `gex`."""

import datetime
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gex_pipeline.errors import NotRecordedError
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import PUBLISHED, LiveSnapshot, figures, gex_second
from gex_pipeline.gateway.asof import figures_at, image_of
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.retention import retire
from gex_pipeline.market import sessions
from gex_pipeline.market.events import (
    BookUpdate,
    ChainHeader,
    Event,
    Gap,
    Heartbeat,
    OptionQuote,
    Quote,
    Trade,
)
from gex_pipeline_tests.engine.builders import S, beat, header_of, numbered, quote_of, spot_of, told
from gex_pipeline_tests.gateway.recording import (
    FEED,
    archive,
    archive_engine,
    engine_events,
    live_seconds,
    recorded_rows,
)
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(300, 3)
NDX = synthetic_chain(200, 2, spot=20_000.0, symbol="NDX", seed=2)
NEXT_OPEN = sessions.regular_open_ns(sessions.next_trading_day(DAY))


def session(last_s: int = 75) -> tuple[Event, ...]:
    """Return two chains told once, then quotes, spots and heartbeats, off the whole seconds."""
    events: list[Event] = [*told(NDX)[:-1], *told(CHAIN)]
    rng = np.random.default_rng(1)
    for at in range(1, last_s):
        now = ASOF_NS + at * S + 1_000_000
        for row in rng.integers(0, len(CHAIN), 9).tolist():
            moved = msgspec.structs.replace(CHAIN, bid=CHAIN.bid + 0.05 * rng.integers(0, 3))
            now += int(rng.integers(0, 100_000_000))
            events.append(quote_of(moved, row, now, streamed=True))
        events += [quote_of(NDX, at, now, streamed=True), *spot_of(CHAIN, now)]
        events.append(beat(ASOF_NS + at * S + 990_000_000))
    return numbered(events)


@pytest.fixture(scope="module")
def live() -> list[Second]:
    """The seconds that live made of the session."""
    return live_seconds(session(), "SPX", "NDX")


@pytest.fixture(scope="module", params=["images", "no images"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: Any, live: list[Second]) -> LakePaths:
    """The session as parts, with the engine's chains or without; rows of `gex` in neither."""
    root: Path = tmp_path_factory.mktemp("lake")
    archive(root, FEED, session())
    if request.param == "images":
        archive_engine(root, engine_events(live))
    return LakePaths(root)


def test_each_second_is_what_live_recorded(lake: LakePaths, live: list[Second]) -> None:
    """Every field of every scope's row, of both symbols, for seconds before and behind an image."""
    rows = recorded_rows(live[at] for at in (0, 1, 30, 59, 60, 61, -1))
    assert {row.gap_s for row in rows} == {0.0}
    for row in rows:
        image = image_of(lake, row.symbol, row.ts_recv_ns)
        snapshot = figures(image, PUBLISHED, final=True)[row.scope]
        assert gex_second(row.ts_recv_ns, image, snapshot) == row


def test_the_snapshot_is_the_one_that_live_published(lake: LakePaths, live: list[Second]) -> None:
    """Profile, strikes, expiries, coverage and where it is from: the same JSON."""
    image = live[44].images[1]
    for scope in PUBLISHED:
        published = figures(image, (scope,), final=True)[scope]
        found = figures_at(lake, image.symbol, scope, live[44].ts_ns + 999_999_999)
        assert msgspec.json.encode(found) == msgspec.json.encode(published)


def test_a_moment_outside_the_recording_is_refused(lake: LakePaths) -> None:
    """Before its first event, behind its last one, and of a symbol that it does not have."""
    for ts_ns in (ASOF_NS - S, ASOF_NS + 75 * S, NEXT_OPEN):
        with pytest.raises(NotRecordedError, match=r"schwab\.index it holds 2025-06-02T10:30"):
            image_of(lake, "SPX", ts_ns)
    with pytest.raises(NotRecordedError, match="no option quotes of it"):
        image_of(lake, "RUT", ASOF_NS + S)
    with pytest.raises(NotRecordedError, match="no option quotes of it"):
        image_of(LakePaths(lake.root / "empty"), "SPX", ASOF_NS)


def test_at_night_it_is_the_close(tmp_path: Path) -> None:
    """18:00, and the weekend's Sunday: the figures of 16:15."""
    close = sessions.quote_close_ns(DAY, late=True)
    events = numbered([*told(CHAIN, close - S // 2), beat(close + S), beat(NEXT_OPEN + S)])
    archive(tmp_path, FEED, events)
    (row, *_) = recorded_rows(live_seconds(events, "SPX")[:1])

    for ts_ns in (close, close + 6300 * S, NEXT_OPEN - 1):
        found = figures_at(LakePaths(tmp_path), "SPX", "all", ts_ns)
        assert (found.ts_event_ns, found.net_gex) == (close, row.net_gex_oi)


def test_in_a_long_silence_it_is_where_live_stopped(tmp_path: Path) -> None:
    """Ten minutes without a heartbeat: the last second that was recorded, a minute after it."""
    events = numbered([*told(CHAIN), beat(ASOF_NS + 600 * S)])
    archive(tmp_path, FEED, events)
    last = live_seconds(events, "SPX")[-1]

    found = figures_at(LakePaths(tmp_path), "SPX", "all", ASOF_NS + 300 * S)

    assert found.ts_event_ns == last.ts_ns == ASOF_NS + 60 * S
    assert (found.confidence, found.gap_s, found.gap_causes) == (0, 60, ("silence",))


def test_over_a_lost_range_it_says_so(tmp_path: Path) -> None:
    """Seconds behind a hole of the lake have the gap that live had."""
    events = session(20)
    lost = (*events[:600], *events[640:])
    archive(tmp_path, FEED, lost)
    seconds = live_seconds(lost, "SPX", "NDX")

    rows = recorded_rows(seconds[-6::2])
    assert all(row.gap_s for row in rows[-5:])
    for row in rows:
        image = image_of(LakePaths(tmp_path), row.symbol, row.ts_recv_ns)
        snapshot = figures(image, (row.scope,), final=True)[row.scope]
        assert gex_second(row.ts_recv_ns, image, snapshot) == row


def test_a_gap_closes_where_live_closed_it(tmp_path: Path) -> None:
    """Between a whole answer and one that was cut short the spot came: then nothing was missing."""
    header, later = header_of(CHAIN, ASOF_NS + 2 * S), ASOF_NS + 5 * S
    cut = msgspec.structs.replace(header, ts_recv_ns=ASOF_NS + 4 * S, complete=False)
    gap = Gap("", 0, ASOF_NS + S, ts_from_ns=ASOF_NS, ts_to_ns=ASOF_NS + S, cause="disconnect")
    told_since = [gap, header, *spot_of(CHAIN, ASOF_NS + 3 * S), cut, *spot_of(CHAIN, later)]
    events = numbered([*told(CHAIN), *told_since, beat(later), beat(later + 2 * S)])
    archive(tmp_path, FEED, events)

    assert figures_at(LakePaths(tmp_path), "SPX", "all", ASOF_NS + 2 * S).gap_s == 1
    assert figures_at(LakePaths(tmp_path), "SPX", "all", later).gap_s == 0


def test_a_finished_day_answers_as_its_parts_did(lake: LakePaths, live: list[Second]) -> None:
    """Sorted by symbol in day files, the rows of both tapes give the same second."""
    before = [image_of(lake, symbol, live[50].ts_ns) for symbol in ("SPX", "NDX")]
    for tape in lake.tapes():
        for day in days_of(read_chain(lake, tape)):
            compact(lake, day)
    for image in before:
        assert_same(image_of(lake, image.symbol, live[50].ts_ns), image)


def test_what_retention_let_go_is_not_guessed(tmp_path: Path, live: list[Second]) -> None:
    """A moment whose events are gone is refused, though the image from before is still there."""
    lake = LakePaths(tmp_path)
    later = numbered([*session(3), beat(NEXT_OPEN - S), beat(NEXT_OPEN + S)])
    archive(tmp_path, FEED, later)
    archive_engine(tmp_path, engine_events(live[:1]))
    (day, _) = days_of(read_chain(lake, FEED))
    compact(lake, day)
    assert image_of(lake, "SPX", live[1].ts_ns).contracts
    retire(lake, DAY + datetime.timedelta(1))

    with pytest.raises(NotRecordedError, match="it holds 2025-06-03"):
        image_of(lake, "SPX", live[1].ts_ns)
    with pytest.raises(NotRecordedError, match=f"the events of {DAY} were let go"):
        image_of(lake, "SPX", NEXT_OPEN)


# --- any tape ---------------------------------------------------------------------------------

_ROWS = st.integers(0, 11)
_PRICE = st.sampled_from([None, 0.0, -0.0, 1.0, 1.05, -1.0, 2.5])
_COUNT = st.sampled_from([None, 0, 7, 9, 12_345])
_LETTER = st.sampled_from([None, None, "A", "P"])


def _option(row: int, **fields: Any) -> OptionQuote:
    symbol = quote_of(CHAIN, row * 25, 0).symbol if row < 9 else quote_of(NDX, row, 0).symbol
    underlying = "SPX" if row < 9 else "NDX"
    return OptionQuote(symbol, 0, 0, underlying=underlying, **fields)


def _header(low: int, days: int, price: float | None, complete: bool) -> ChainHeader:
    first = DAY + datetime.timedelta(low)
    last = first + datetime.timedelta(days)
    return ChainHeader(
        "SPX",
        0,
        0,
        first_expiry=first,
        last_expiry=last,
        contracts=1,
        complete=complete,
        underlying_price=price,
    )


_EVENT = st.one_of(
    st.builds(
        _option,
        _ROWS,
        bid=_PRICE,
        ask=_PRICE,
        iv=_PRICE,
        gamma=_PRICE,
        last=_PRICE,
        open_interest=_COUNT,
        volume=_COUNT,
        settlement=_LETTER,
        streamed=st.booleans(),
    ),
    st.builds(_header, st.integers(0, 3), st.integers(0, 9), _PRICE, st.booleans()),
    st.builds(lambda price: Trade("SPX", 0, 0, price=price), st.sampled_from([5000.0, 5001.5])),
    st.builds(lambda bid: Quote("SPX", 0, 0, bid=bid, ask=5001.0), _PRICE),
    st.builds(lambda on: Heartbeat("", 0, 0, received=1, connected=on), st.booleans()),
    st.builds(
        lambda symbol, filled: Gap(
            symbol, 0, 0, ts_from_ns=1, ts_to_ns=1, cause="disconnect", filled_by=filled
        ),
        st.sampled_from(["", "SPX"]),
        st.sampled_from([None, "chain"]),
    ),
    st.just(BookUpdate("SPX", 0, 0, bid_prices=(), bid_sizes=(), ask_prices=(), ask_sizes=())),
)
_STEP_NS = st.sampled_from([0, 1, S // 10, S // 2, S - 1, S, 7 * S, 80 * S])
_JUMP_NS = st.sampled_from([NEXT_OPEN - S, NEXT_OPEN - 1, NEXT_OPEN, NEXT_OPEN + S // 3])


@st.composite
def tapes(draw: st.DrawFn) -> tuple[Event, ...]:
    """Draw a tape of two days at most; heartbeats come at least every few events."""
    now = ASOF_NS + draw(_STEP_NS)
    events: list[Event] = []
    seq = 0
    for _ in range(draw(st.integers(1, 3))):
        for event in draw(st.lists(_EVENT, min_size=1, max_size=30)):
            now += draw(_STEP_NS)
            seq += draw(st.sampled_from([1] * 30 + [3]))
            events.append(_stamped(event, now, seq))
        if draw(st.booleans()):
            now = max(now, draw(_JUMP_NS))
        seq += 1
        events.append(_stamped(beat(0), now, seq))
        now += 1
    return (*events, _stamped(beat(0), now + 2 * S, seq + 1))


def _stamped(event: Event, ts_ns: int, seq: int) -> Event:
    fields: dict[str, int] = {"ts_event_ns": ts_ns - 5, "ts_recv_ns": ts_ns, "seq": seq}
    if isinstance(event, Gap):
        fields |= {"ts_from_ns": ts_ns - 3 * S, "ts_to_ns": ts_ns}
    return msgspec.structs.replace(event, **fields)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=tapes(),
    with_images=st.booleans(),
    picks=st.lists(st.integers(0, 999), min_size=2, max_size=6),
)
def test_any_tape_folds_by_columns_as_event_by_event(
    events: tuple[Event, ...], with_images: bool, picks: list[int]
) -> None:
    """New contracts, settlements, nulls, headers, gaps, holes, silences, the roll at the open."""
    seconds = live_seconds(events, "SPX", "NDX")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive(root, FEED, events, part_events=20)
        if with_images:
            archive_engine(root, engine_events(s for s in seconds if s.ts_ns % (60 * S) == 0))
        for second in {seconds[pick % len(seconds)].ts_ns: None for pick in picks if seconds}:
            whole = next(each for each in seconds if each.ts_ns == second)
            for image in whole.images:
                assert_same(image_of(LakePaths(root), image.symbol, second), image)


def assert_same(ours: Image, theirs: Image) -> None:
    """Fail unless two images are equal in every field, row by row and bit by bit."""
    for name in theirs.rows.__struct_fields__:
        left, right = getattr(ours.rows, name), getattr(theirs.rows, name)
        assert left.tobytes() == right.tobytes(), name
    for name in theirs.__struct_fields__:
        if name not in ("rows", "layout", "spot"):
            assert getattr(ours, name) == getattr(theirs, name), name
    assert repr(ours.spot) == repr(theirs.spot)
    assert figures(ours, ("all",), final=True) == figures(theirs, ("all",), final=True)
    assert isinstance(figures(ours, ("all",), final=True)["all"], LiveSnapshot)
