"""End of day: what is over becomes one sorted file a table, and not an event is lost or doubled."""

import datetime
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from gex_pipeline.archive import day as end
from gex_pipeline.archive.day import end_of_day, is_over, pending_days
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.clean import MARK, clean
from gex_pipeline.lake.durable import locked
from gex_pipeline.lake.merge import PartFile, merged, sorted_whole
from gex_pipeline.lake.parts import Manifest, Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.codec import SCHEMA_VERSION
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.market.tables import OPTION_QUOTES, TRADES
from gex_pipeline_tests.archive.builders import (
    FRIDAY,
    MONDAY,
    ORIGIN,
    TAPE,
    MemorySource,
    frame,
    frames,
)

MINUTE_NS = 60 * SECOND_NS
ROLL_NS = et_ns(FRIDAY, 17)
"""Of the index calendar."""


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """An empty lake."""
    return LakePaths(tmp_path)


def read(paths: LakePaths) -> list[Event]:
    """Return all events of the lake in order."""
    return [each for part in recorded(paths, read_chain(paths, TAPE)) for each in part.events]


def told(source: MemorySource) -> list[Event]:
    """Return all events of a tape."""
    return [event for each in source.tape for event in each.events]


def manifests(paths: LakePaths) -> list[tuple[int, int]]:
    """Return the ranges of the finished days."""
    nodes = read_chain(paths, TAPE).nodes
    return [(node.first, node.last) for node in nodes if isinstance(node, Manifest)]


@pytest.mark.parametrize(
    ("tape", "day", "hour", "minute", "over"),
    [
        ("schwab.index", datetime.date(2026, 11, 20), 16, 59, False),
        ("schwab.index", datetime.date(2026, 11, 20), 17, 0, True),
        ("schwab.equity", datetime.date(2026, 11, 20), 19, 59, False),
        ("schwab.equity", datetime.date(2026, 11, 20), 20, 0, True),
        ("schwab.cme", datetime.date(2026, 11, 20), 17, 59, False),
        ("schwab.cme", datetime.date(2026, 11, 20), 18, 0, True),
        ("gex.index", datetime.date(2026, 11, 27), 16, 59, False),  # half day: it rolls as ever
        ("gex.index", datetime.date(2026, 11, 27), 17, 0, True),
        ("import.2024", datetime.date(2026, 11, 20), 20, 0, True),
    ],
)
def test_a_date_is_over_when_its_calendar_rolls(
    tape: str, day: datetime.date, hour: int, minute: int, over: bool
) -> None:
    """Each tape by its own calendar."""
    assert is_over(tape, day, et_ns(day, hour, minute)) is over


def test_a_day_is_finished_after_its_roll(paths: LakePaths) -> None:
    """By a grace, and only when nothing of it waits; a second run finds nothing to do."""
    source = MemorySource(frames(100))
    archive_tape(source, paths, ORIGIN, part_events=30)
    late = frame(101, 105)
    source.tape.append(late)

    assert pending_days(source, paths, ROLL_NS + 2 * MINUTE_NS) == ()
    archive_tape(source, paths, ORIGIN)
    assert pending_days(source, paths, ROLL_NS + MINUTE_NS - 1) == ()
    assert [day.date for day in pending_days(source, paths, ROLL_NS + MINUTE_NS)] == [FRIDAY]
    done = end_of_day(source, paths, ROLL_NS + MINUTE_NS)

    assert done is not None
    assert manifests(paths) == [(1, 105)]
    assert read(paths) == told(source)
    assert end_of_day(source, paths, ROLL_NS + MINUTE_NS) == end.Finished()


def test_days_before_the_tape_s_last_are_over(paths: LakePaths) -> None:
    """Whatever the clock says; several of them at once, oldest first."""
    days = [FRIDAY + datetime.timedelta(days=n) for n in (-2, -1, 0, 3)]
    tape = [frame(10 * n + 1, 10 * n + 10, day) for n, day in enumerate(days)]
    source = MemorySource(tape)
    archive_tape(source, paths, ORIGIN)

    done = end_of_day(source, paths, 0)

    assert done is not None
    assert [each.date for each in done.manifests] == days[:-1]
    assert manifests(paths) == [(1, 10), (11, 20), (21, 30)]
    assert read(paths) == told(source)


def test_day_files_are_sorted_and_say_what_they_are(paths: LakePaths) -> None:
    """By symbol, time and seq; schema, table, tape and range in each file."""
    source = MemorySource([*frames(200, size=7), frame(201, 210, MONDAY)])
    archive_tape(source, paths, ORIGIN, part_events=20)

    end_of_day(source, paths, 0)

    (day,) = (n for n in read_chain(paths, TAPE).nodes if isinstance(n, Manifest))
    assert {each.table for each in day.files} == {
        "trades", "quotes", "option_quotes", "gaps", "heartbeats",
    }  # fmt: skip
    for each in day.files:
        file = paths.lake / each.file
        keys = pq.read_table(file, columns=["symbol", "ts_recv_ns", "seq"]).to_pylist()
        notes = pq.read_metadata(file).metadata
        assert file.parent.name == "date=2026-11-20"
        assert keys == sorted(keys, key=lambda row: tuple(row.values()))
        assert notes[b"gex.schema"] == b"%d" % SCHEMA_VERSION
        assert (notes[b"gex.table"], notes[b"gex.tape"]) == (each.table.encode(), TAPE.encode())
        assert (notes[b"gex.first"], notes[b"gex.last"]) == (b"1", b"200")


def test_more_of_a_finished_date_makes_a_longer_manifest(paths: LakePaths) -> None:
    """An early end of day, then the rest: the larger one wins, old files go after a grace."""
    source = MemorySource(frames(150))
    archive_tape(source, paths, ORIGIN)
    end_of_day(source, paths, ROLL_NS + MINUTE_NS)
    source.tape = frames(300)
    archive_tape(source, paths, ORIGIN)
    assert read(paths) == told(source)

    end_of_day(source, paths, ROLL_NS + MINUTE_NS)

    assert manifests(paths) == [(1, 300)]
    assert read(paths) == told(source)
    old = paths.lake / "trades" / "date=2026-11-20" / f"{TAPE}-1-150.parquet"
    build_catalog(paths)
    now_s = old.stat().st_mtime
    clean(paths, now_s)
    assert old.exists()
    clean(paths, now_s + 3600)
    assert not old.exists()
    assert read(paths) == told(source)
    assert query(paths, "select count(*) from trades").rows == ((60,),)


def test_what_was_lost_stays_told(paths: LakePaths) -> None:
    """A gap of a part is one of the day: rows and gaps make up its range."""
    whole = frames(100)
    source = MemorySource([*whole[:4], *whole[12:], frame(101, 110, MONDAY)])
    archive_tape(source, paths, ORIGIN)

    end_of_day(source, paths, 0)

    assert manifests(paths) == [(1, 100)]
    assert query(paths, "select first_seq, last_seq from _lost").rows == ((21, 60),)
    assert read(paths) == told(source)


def test_a_damaged_part_is_not_made_a_day_of(paths: LakePaths) -> None:
    """The problem names the file; other tapes' days, and what is there, are not touched."""
    source = MemorySource([*frames(100), frame(101, 110, MONDAY)])
    archive_tape(source, paths, ORIGIN, part_events=50)
    file = paths.part(TAPE, 51) / "trades.parquet"
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)

    done = end_of_day(source, paths, 0)

    assert done is not None
    assert (done.manifests, [each.tape for each in done.problems]) == ((), [TAPE])
    assert str(file) in done.problems[0].words
    assert manifests(paths) == []
    assert list(paths.lake.glob("*/date=*/*.parquet")) == []


def test_without_disk_space_no_day_is_begun(paths: LakePaths) -> None:
    """It says so; the parts stay."""
    source = MemorySource([*frames(50), frame(51, 60, MONDAY)])
    archive_tape(source, paths, ORIGIN)

    done = end_of_day(source, paths, 0, stop_percent=100.0)

    assert done is not None
    assert "below 100% no day is finished" in done.problems[0].words
    assert manifests(paths) == []


def test_one_end_of_day_at_a_time(paths: LakePaths) -> None:
    """While another one is at work, nothing is done."""
    with locked(paths.days_lock):
        assert end_of_day(MemorySource([]), paths, 0) is None


def test_day_files_may_stand_elsewhere(paths: LakePaths, tmp_path: Path) -> None:
    """Their manifest then names them by their whole path, and readers find them there."""
    source = MemorySource([*frames(100), frame(101, 110, MONDAY)])
    archive_tape(source, paths, ORIGIN)

    end_of_day(source, paths, 0, tables=tmp_path / "elsewhere")

    assert len(list((tmp_path / "elsewhere").glob("*/date=*/*.parquet"))) == 5
    assert read(paths) == told(source)
    assert query(paths, "select count(*) from trades").rows == ((22,),)


def test_clean_up_waits_for_the_grace(paths: LakePaths) -> None:
    """A mark first; then the part goes, unless a catalog names it still."""
    source = MemorySource([*frames(100), frame(101, 110, MONDAY)])
    archive_tape(source, paths, ORIGIN, part_events=50)
    build_catalog(paths)
    end_of_day(source, paths, 0)
    part = paths.part(TAPE, 1)
    now_s = part.stat().st_mtime

    assert clean(paths, now_s + 9999) == clean(paths, now_s + 99999)  # the catalog names it
    assert not (part / MARK).exists()
    build_catalog(paths)
    first, second = clean(paths, now_s), clean(paths, now_s + 3600)

    assert (first, second) != (None, None)
    assert first is not None
    assert second is not None
    assert (first.marked, first.removed, second.marked, second.removed) == (2, 0, 0, 2)
    assert not part.exists()
    assert paths.part(TAPE, 101).exists()
    assert read(paths) == told(source)


def test_parts_out_of_order_are_sorted_whole(paths: LakePaths) -> None:
    """Time that went back on the tape is noticed and costs time, not order."""
    tape = frames(100)
    back = [frame(101, 150), frame(151, 200)]
    back = [
        type(each)(TAPE, 1, each.first_seq, each.last_seq, FRIDAY,
                   tuple(_earlier(event) for event in each.events))
        for each in back
    ]  # fmt: skip
    source = MemorySource([*tape, *back, frame(201, 210, MONDAY)])
    archive_tape(source, paths, ORIGIN, part_events=50)
    before = read(paths)

    end_of_day(source, paths, 0)

    assert manifests(paths) == [(1, 200)]
    assert read(paths) == before == told(source)
    keys = query(paths, "select symbol, ts_recv_ns, seq from trades where seq <= 200").rows
    assert sorted(keys) == list(keys)


def _earlier(event: Event) -> Event:
    return msgspec.structs.replace(event, ts_recv_ns=event.ts_recv_ns - 10**9)


@pytest.mark.parametrize("table", [TRADES, OPTION_QUOTES])
def test_both_ways_of_sorting_agree(paths: LakePaths, table: object) -> None:
    """Merged by symbol, and sorted whole."""
    archive_tape(MemorySource(frames(300)), paths, ORIGIN, part_events=40)
    parts = [node for node in read_chain(paths, TAPE).nodes if isinstance(node, Part)]
    files = [PartFile(paths.part(TAPE, p.first) / f"{table.name}.parquet", 2) for p in parts]  # type: ignore[attr-defined]

    one = [row for piece in merged(table, files) for row in piece.to_pylist()]  # type: ignore[arg-type]
    other = [r for p in sorted_whole(table, files, paths.root / "spill") for r in p.to_pylist()]  # type: ignore[arg-type]

    assert one == other
