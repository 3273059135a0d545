"""SQL over the lake, and the catalog for others."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.errors import QueryError
from gex_pipeline.lake import reader
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.parts import Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import answering, look, query
from gex_pipeline.lake.verify import faults_of
from gex_pipeline.market.tables import TABLES
from gex_pipeline_tests.archive.builders import ORIGIN, TAPE, MemorySource, frames
from gex_pipeline_tests.lake.builders import add_part, derive, finish_day


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """A lake of one tape of 100 events, in four parts."""
    paths = LakePaths(tmp_path / "it's a root")
    archive_tape(MemorySource(frames(100)), paths, ORIGIN, part_events=25)
    return paths


@pytest.fixture
def catalog(paths: LakePaths) -> Iterator[duckdb.DuckDBPyConnection]:
    """The catalog of that lake, opened as a user would."""
    with duckdb.connect(str(build_catalog(paths)), read_only=True) as connection:
        yield connection


def test_a_query_sees_every_part(paths: LakePaths) -> None:
    """The query of the README."""
    answer = query(paths, "select count(*), min(seq), max(seq) from trades")

    assert answer.columns == ("count_star()", "min(seq)", "max(seq)")
    assert answer.rows == ((20, 2, 93),)
    assert query(paths, "from _ends").rows == ((TAPE, 1, 100),)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_there_before_it_has_rows(tmp_path: Path, name: str) -> None:
    """Empty, with its columns and types."""
    paths = LakePaths(tmp_path)

    answer = query(paths, f"select * from {name}")  # noqa: S608 # a name of ours

    assert answer.columns == TABLES[name].column_names
    assert answer.rows == ()


@pytest.mark.parametrize(
    "statement",
    [
        "drop view trades",
        "select 1; select 2",
        "",
        "copy trades to 'stolen.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from nothing",
        "set enable_external_access = true",
        "install httpfs",
        "attach '/tmp/x.db'",
        "explain analyze copy (select 1) to '{lake}/evil.csv'",
        "explain (analyze, format json) copy trades to '{part}'",
        "explain explain analyze copy (select 1) to '{lake}/evil.csv'",
        "select * from read_parquet('{lake}/**/*.parquet')",
        "select * from read_text('{part}/../part.json')",
        "select * from glob('{lake}/*')",
    ],
)
def test_a_query_reads_the_lake_and_nothing_else(paths: LakePaths, statement: str) -> None:
    """One SELECT; no other file, no change, no setting."""
    part = paths.part(TAPE, 1) / "trades.parquet"
    before = part.read_bytes()

    with pytest.raises(QueryError):
        query(paths, statement.format(lake=paths.lake, part=str(part).replace("'", "''")))

    assert part.read_bytes() == before
    assert not (paths.lake / "evil.csv").exists()


@pytest.mark.parametrize("statement", ["show tables", "from duckdb_views() where not internal"])
def test_the_tables_can_be_looked_up(paths: LakePaths, statement: str) -> None:
    """All of them, whatever the statement names."""
    told = str(query(paths, statement).rows)

    assert [name for name in TABLES if f"'{name}'" not in told] == []


def test_a_plan_can_be_asked_for(paths: LakePaths) -> None:
    """EXPLAIN and EXPLAIN ANALYZE of a SELECT."""
    assert "trades.parquet" not in str(query(paths, "explain select 1").rows)
    assert "rows" in str(query(paths, "explain analyze select * from trades").rows)


def test_a_table_may_be_named_in_pieces(paths: LakePaths) -> None:
    """What the statement makes of texts is found, too."""
    assert query(paths, "select count(*) from query_table('tra' || 'des')").rows == ((20,),)


def test_new_york_is_a_macro_away(paths: LakePaths) -> None:
    """et() and day_ns(), summer and winter: 10:00 is 14:00 or 15:00 UTC."""
    told = query(
        paths,
        "select day_ns('2026-07-01', '10:00'), day_ns(DATE '2026-11-20', '10:00:01'),"
        " et(day_ns('2026-07-01', '10:00')) = TIMESTAMP '2026-07-01 10:00'",
    )

    july = 1_782_914_400 * 10**9  # 2026-07-01 14:00 UTC
    november = 1_795_186_801 * 10**9  # 2026-11-20 15:00:01 UTC
    assert told.rows == ((july, november, True),)


def test_what_was_lost_is_a_gap(tmp_path: Path) -> None:
    """Ranges that nothing holds stand in `gaps` beside the gap events, in SQL and frames."""
    paths = LakePaths(tmp_path)
    add_part(paths, {"trades": [{"price": 1.0}]})
    add_part(paths, {"gaps": [{"cause": "silence", "symbol": "SPX"}]}, lost=10)
    told = "select tape, seq, symbol, cause, first_seq, last_seq from gaps order by seq nulls last"

    assert query(paths, told).rows == (
        (TAPE, 12, "SPX", "silence", None, None),
        (TAPE, None, "", "lost", 2, 11),
    )
    frame = Lake(tmp_path).scan("gaps").sort("seq", nulls_last=True).collect()
    assert frame.select("cause", "last_seq").rows() == [("silence", None), ("lost", 11)]
    with duckdb.connect(str(build_catalog(paths)), read_only=True) as connection:
        assert connection.execute("select cause, last_seq from gaps").fetchall() == [
            ("silence", None),
            ("lost", 11),
        ]


def test_derived_tables_are_read(tmp_path: Path) -> None:
    """gex_1m beside the chain's; a recomputed gex beside the recorded one, told by convention."""
    paths = LakePaths(tmp_path)
    add_part(paths, {"gex": [{"convention": "gexc-1:356bfcae", "spot": 1.0}]}, tape="gex.index")
    derive(paths, "gex_1m", [{"spot": 2.0}])
    derive(paths, "gex", [{"convention": "other", "spot": 3.0}], key="other")

    answer = query(paths, "select spot from gex_1m union all select spot from gex order by 1")

    assert answer.rows == ((1.0,), (2.0,), (3.0,))


def test_an_answer_of_any_size_is_a_stream(paths: LakePaths) -> None:
    """A hundred million rows begin at once and are never held."""
    with answering(paths, "select range from range(100000000)") as stream:
        batches = [next(stream.batches), next(stream.batches)]

    assert (batches[0][0], batches[1][-1]) == ((0,), (59_999,))


def test_a_file_that_end_of_day_replaced_is_listed_again(
    paths: LakePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first list names parts that are gone; the answer has the day's rows once."""
    stale = look(paths)
    rows = {"trades": [{"price": float(n)} for n in range(100)]}
    finish_day(paths, rows)
    for part in paths.tape(TAPE).iterdir():
        shutil.rmtree(part)
    lists = iter([stale])
    monkeypatch.setattr(reader, "look", lambda *what: next(lists, None) or look(*what))

    answer = query(paths, "select count(*) from trades")

    assert (answer.rows, answer.damaged) == (((100,),), ())


def test_the_catalog_names_the_files_of_the_chain(
    paths: LakePaths, catalog: duckdb.DuckDBPyConnection
) -> None:
    """Views over explicit files, the list of them, read-only for all."""
    assert catalog.execute("select count(*) from option_quotes").fetchall() == [(40,)]
    assert catalog.execute("select count(*) from _files").fetchall() == [(20,)]
    assert catalog.execute("select count(*) from depth").fetchall() == [(0,)]
    hour = "select extract('hour' from et(day_ns(DATE '2026-11-20', '10:00')))"
    assert catalog.execute(hour).fetchall() == [(10,)]
    assert paths.catalog.stat().st_mode & 0o777 == 0o444


def test_the_catalog_is_swapped_whole(paths: LakePaths) -> None:
    """A new one takes its place, and a stale log of a user's write goes with the old."""
    build_catalog(paths)
    stale = paths.root / "gex.duckdb.wal"
    stale.write_bytes(b"not of this file")
    archive_tape(MemorySource(frames(200)), paths, ORIGIN)

    build_catalog(paths)

    with duckdb.connect(str(paths.catalog), read_only=True) as connection:
        assert connection.execute("select seq from _ends").fetchall() == [(200,)]
    assert not stale.exists()
    assert list(paths.root.glob(".cat-*")) == []


def test_a_part_reads_back_as_it_says(paths: LakePaths) -> None:
    """And one whose file is another part's does not."""
    first, second = (n for n in read_chain(paths, TAPE).nodes[:2] if isinstance(n, Part))
    assert faults_of(paths, first) == ()
    trades = paths.part(TAPE, second.first) / "trades.parquet"

    trades.replace(paths.part(TAPE, first.first) / "trades.parquet")

    assert any("other bytes" in fault for fault in faults_of(paths, first))
