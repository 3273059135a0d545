"""SQL over the lake, and the catalog for others."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.errors import QueryError
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.parts import Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.lake.verify import faults_of
from gex_pipeline.market.tables import TABLES
from gex_pipeline_tests.archive.builders import ORIGIN, TAPE, MemorySource, frames


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
    ],
)
def test_a_query_reads_the_lake_and_nothing_else(paths: LakePaths, statement: str) -> None:
    """One SELECT; no other file, no change, no setting."""
    with pytest.raises(QueryError):
        query(paths, statement)


def test_the_catalog_names_the_files_of_the_chain(
    paths: LakePaths, catalog: duckdb.DuckDBPyConnection
) -> None:
    """Views over explicit files, the list of them, read-only for all."""
    assert catalog.execute("select count(*) from option_quotes").fetchall() == [(40,)]
    assert catalog.execute("select count(*) from _files").fetchall() == [(20,)]
    assert catalog.execute("select count(*) from depth").fetchall() == [(0,)]
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

    assert any("rows outside" in fault for fault in faults_of(paths, first))
