"""Rules on a day of the lake: flagged where it lies, and told in the table `quality`."""

import datetime
import itertools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.archive.quality import Judged, judge, write_quality
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.defs.quality import LEDGER, quality
from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.spool import Spool
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.market.events import Event, Gap, Heartbeat, OptionQuote, Trade
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.quality.rules import RULES
from gex_pipeline.streamer.tapes import Tape
from gex_pipeline_tests.archive.builders import ORIGIN, TAPE, MemorySource
from gex_pipeline_tests.archive.conftest import Recording

# Dagster 1.13 warns of parameters that it gives to itself.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")

DAY = datetime.date(2026, 11, 20)
HALF_DAY = datetime.date(2026, 11, 27)
CALL = "SPXW  261120C06000000"


def trade(ts_ns: int, price: float = 6000.0, ts_event_ns: int | None = None) -> Trade:
    """A value of SPX received then."""
    return Trade("SPX", ts_ns if ts_event_ns is None else ts_event_ns, ts_ns, price=price)


def option(ts_ns: int, bid: float, ask: float, ts_event_ns: int | None = None) -> OptionQuote:
    """A quote of one call received then."""
    at = ts_ns if ts_event_ns is None else ts_event_ns
    return OptionQuote(CALL, at, ts_ns, underlying="SPX", bid=bid, ask=ask)


def recorded(root: Path, events: Sequence[Event]) -> LakePaths:
    """The lake of events that went through tape, spool and archive, in this order."""
    paths = LakePaths(root)
    with Spool.open(root / "spool" / TAPE, TAPE, fsync_ms=1000) as spool:
        tape = Tape(spool, "index")
        for event in events:
            tape.put(event)
        tape.flush()
        frames = [decode_frame(data) for data in spool.read_after(0)]
    archive_tape(MemorySource(frames), paths, ORIGIN)
    return paths


def judged(root: Path, events: Sequence[Event], date: datetime.date = DAY) -> dict[str, Judged]:
    """The verdicts on SPX and its tape, by rule."""
    paths = recorded(root, events)
    found = judge(paths, date, symbols=("SPX",), capture=root / "capture")
    return {each.rule: each for each in found}


def beats(start_ns: int, seconds: int, step: int = 60) -> list[Event]:
    """Heartbeats."""
    stamps = range(start_ns, start_ns + seconds * SECOND_NS + 1, step * SECOND_NS)
    return [Heartbeat("", ts_ns, ts_ns, received=0) for ts_ns in stamps]


def by_time(events: Sequence[Event]) -> list[Event]:
    """Events in the order in which they came."""
    return sorted(events, key=lambda event: event.ts_recv_ns)


def test_a_good_half_hour_passes(tmp_path: Path) -> None:
    """Every rule that has something to look at; the others are absent."""
    start = et_ns(DAY, 10)
    ticks = [trade(start + n * SECOND_NS, 6000 + n % 3) for n in range(1800)]
    quotes = [option(start + n * SECOND_NS + 1, 10.0 + n % 5, 10.2 + n % 5) for n in range(1800)]

    found = judged(tmp_path, by_time([*beats(start, 1800), *ticks, *quotes]))

    verdicts = {rule: each.verdict for rule, each in found.items()}
    absent = {rule for rule, verdict in verdicts.items() if verdict == "absent"}
    assert absent == {"source_seq", "spot_check"}
    assert {verdicts[rule] for rule in verdicts.keys() - absent} == {"pass"}
    assert verdicts.keys() == RULES.keys() - {"crossed"}
    assert found["rate"].finding.checked == 30


def test_what_is_wrong_is_counted_and_stays_where_it_is(tmp_path: Path) -> None:
    """One of each kind in half an hour: found by its time, and the row is still in the lake."""
    start = et_ns(DAY, 10)
    ticks = [trade(start + n * SECOND_NS, 6000 + n % 3) for n in range(1800) if not 600 <= n < 750]
    late = trade(start + 900 * SECOND_NS + 5, 6001.0, ts_event_ns=start)
    wild = trade(start + 1000 * SECOND_NS + 5, 9000.0)
    nothing = trade(start + 1100 * SECOND_NS + 5, 0.0)
    cross = option(start + 5, 10.0, 9.0)
    below = option(start + 6, -1.0, 9.0)

    events = [*beats(start, 1800), *ticks, late, wild, nothing, cross, below]
    found = judged(tmp_path, by_time(events))

    assert (found["rate"].finding.found, found["rate"].verdict) == (2, "fail")
    assert (found["silence"].finding.found, found["silence"].verdict) == (151, "fail")
    assert (found["order"].finding.found, found["order"].verdict) == (1, "warn")
    assert found["order"].finding.ts_first_ns == late.ts_recv_ns
    assert (found["outlier"].finding.found, found["outlier"].verdict) == (1, "warn")
    assert found["outlier"].finding.ts_first_ns == wild.ts_recv_ns
    assert "9000" in found["outlier"].finding.detail
    assert found["price"].finding.ts_first_ns == nothing.ts_recv_ns
    assert found["crossed_options"].finding.ts_first_ns == cross.ts_recv_ns
    assert "bid 10 above ask 9" in found["crossed_options"].finding.detail
    assert found["price_options"].finding.ts_first_ns == below.ts_recv_ns
    rows = query(LakePaths(tmp_path), "select count(*) from trades").rows
    assert rows == ((len(ticks) + 3,),)


def test_a_told_gap_is_no_silence(tmp_path: Path) -> None:
    """Five minutes away, and said so: `gap` counts them, `rate` and `silence` do not."""
    start = et_ns(DAY, 10)
    ticks = [trade(start + n * SECOND_NS) for n in range(1800) if not 600 <= n < 900]
    gap_ns = start + 900 * SECOND_NS
    told = Gap("", gap_ns, gap_ns, ts_from_ns=start + 599 * SECOND_NS, ts_to_ns=gap_ns, cause="x")

    found = judged(tmp_path, by_time([*beats(start, 1800), told, *ticks]))

    assert found["gap"].finding.found == 301
    assert found["gap"].verdict == "fail"
    assert (found["rate"].verdict, found["silence"].verdict) == ("pass", "pass")


def test_a_half_day_ends_at_one(tmp_path: Path) -> None:
    """Indexes are expected while shares trade: until 13:00, and nothing after."""
    start = et_ns(HALF_DAY, 12, 30)
    ticks = [trade(start + n * 10 * SECOND_NS, 6000 + n % 3) for n in range(180)]

    found = judged(tmp_path, by_time([*beats(start, 7200), *ticks]), HALF_DAY)

    assert (found["rate"].finding.checked, found["rate"].verdict) == (30, "pass")
    assert found["gap"].finding.checked == 45 * 60


def unstamped(event: Event) -> Event:
    """An event without its time of receipt."""
    return msgspec.structs.replace(event, ts_recv_ns=0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), min_size=1, max_size=60
    )
)
@settings(max_examples=15, deadline=None)
def test_duplicates_and_late_ticks_are_stored_as_received(
    drawn: list[tuple[int, int, bool]],
) -> None:
    """Whatever order the source sends in: rows by seq as they came, and each is flagged.

    A tick is an option quote or a value; its own time and its price come from small ranges, so that
    most repeat or go back.
    """
    start = et_ns(DAY, 10)
    ticks: list[Event] = [
        (option(n, price, 9.0, start + at) if is_option else trade(n, price, start + at))
        for n, (at, price, is_option) in enumerate(drawn, start + 10)
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = judged(Path(folder), [*beats(start, 0), *ticks, *beats(start + SECOND_NS, 0)])
        rows = query(
            LakePaths(Path(folder)),
            "select seq, ts_event_ns, bid from option_quotes"
            " union all select seq, ts_event_ns, price from trades order by seq",
        ).rows

    assert [row[1:] for row in rows] == [(start + at, price) for at, price, _ in drawn]
    assert [row[0] for row in rows] == list(range(2, len(ticks) + 2))
    for kind, suffix in ((Trade, ""), (OptionQuote, "_options")):
        mine = [tick for tick in ticks if isinstance(tick, kind)]
        pairs = list(itertools.pairwise(mine))
        late = sum(after.ts_event_ns < before.ts_event_ns for before, after in pairs)
        same = sum(unstamped(before) == unstamped(after) for before, after in pairs)
        if mine:
            assert found[f"order{suffix}"].finding.found == late
            assert found[f"duplicate{suffix}"].finding.found == same


def test_verdicts_are_a_table(tmp_path: Path) -> None:
    """In SQL, in the place of those before."""
    start = et_ns(DAY, 10)
    paths = recorded(tmp_path, [*beats(start, 60), trade(start + 1)])
    verdicts = judge(paths, DAY, symbols=("SPX",), capture=tmp_path / "capture")
    origin = Origin("simulator", "simulated", "")

    write_quality(paths, DAY, verdicts[:1], origin)
    write_quality(paths, DAY, verdicts, origin)

    answer = query(paths, "select tape, symbol, rule, verdict, checked, mode from quality")
    assert len(answer.rows) == len(verdicts)
    assert ("schwab.index", "", "lost", "pass", 3, "simulated") in answer.rows


def test_a_row_that_was_never_sent_fails_the_spot_check(recorded_root: Path) -> None:
    """All rows of a real recording equal the capture; one figure changed, and it is named."""
    paths = LakePaths(recorded_root)
    date = read_chain(paths, TAPE).nodes[-1].date

    def spots() -> Judged:
        found = judge(paths, date, symbols=(), capture=recorded_root / "capture", spots=100_000)
        return next(each for each in found if (each.tape, each.rule) == (TAPE, "spot_check"))

    good = spots()
    path = paths.part(TAPE, 1) / "trades.parquet"
    frame = pl.read_parquet(path)
    price = pl.when(pl.col("seq") == frame["seq"][3]).then(pl.col("price") + 1).otherwise("price")
    frame.with_columns(price.alias("price")).write_parquet(path)
    bad = spots()
    shutil.rmtree(recorded_root / "capture")

    assert good.verdict == "pass"
    assert good.finding.checked > 1_000
    assert (bad.verdict, bad.finding.found) == ("fail", 1)
    assert "price" in bad.finding.detail
    assert spots().verdict == "absent"


@pytest.fixture
def recorded_root(recording: Recording, tmp_path: Path) -> Path:
    """A copy of a recorded root, to break."""
    return Path(shutil.copytree(recording.kept, tmp_path / "sim"))


def test_the_asset_judges_each_finished_date_once(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule is a check of it, and so is the ledger; a second run finds nothing to judge."""
    root = Path(shutil.copytree(recording.finished, tmp_path / "sim"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")

    first, second = (
        dg.materialize([quality], resources={"pipeline": Pipeline()}) for _ in range(2)
    )

    checks = {each.check_name: each for each in first.get_asset_check_evaluations()}
    assert checks.keys() == {*RULES, LEDGER}
    assert checks[LEDGER].passed
    assert checks["spot_check"].passed
    assert checks["crossed"].passed
    days = [
        run.asset_materializations_for_node("quality")[0].metadata["days"].value
        for run in (first, second)
    ]
    assert [len(each) for each in days] == [1, 0]  # type: ignore[arg-type]
    answer = query(LakePaths(root), "select count(*) from quality where rule = 'spot_check'")
    assert answer.rows == ((3,),)
