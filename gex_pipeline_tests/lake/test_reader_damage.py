"""Row 33 of the fault matrix: a damaged file is left out and named; the rest answers."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from gex_pipeline.errors import LakeDamagedError
from gex_pipeline.lake import reader
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.frames import DamagedFileWarning, Lake
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import answering, query
from gex_pipeline_tests.lake.builders import FRIDAY, TAPE, add_part, finish_day

ROWS = 2000
Damaging = Callable[[Path], None]


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """Two parts, of which a test damages the second one's trades."""
    paths = LakePaths(tmp_path)
    for part in range(2):
        rows = [{"price": 6000 + n * 0.25, "conditions": f"{part}:{n}"} for n in range(ROWS)]
        add_part(paths, {"trades": rows, "quotes": [{"bid": 1.0}]})
    return paths


@pytest.fixture
def second(paths: LakePaths) -> Path:
    """The file that is damaged."""
    return paths.part(TAPE, ROWS + 2) / "trades.parquet"


def cut(path: Path) -> None:
    """Take the footer's last bytes away."""
    path.write_bytes(path.read_bytes()[:-10])


def emptied(path: Path) -> None:
    """Leave nothing of it."""
    path.write_bytes(b"")


def no_parquet(path: Path) -> None:
    """Overwrite it with something else."""
    path.write_bytes(b"x" * path.stat().st_size)


def removed(path: Path) -> None:
    """Remove it, as nobody should."""
    path.unlink()


@pytest.mark.parametrize("damage", [cut, emptied, no_parquet, removed])
def test_the_rest_answers_and_the_file_is_named(
    paths: LakePaths, second: Path, damage: Damaging
) -> None:
    """In the answer, and in the table `_damaged` beside the rows that it should have held."""
    damage(second)

    answer = query(paths, "select count(*), (select sum(rows) from _damaged) from trades")

    assert answer.rows == ((ROWS, ROWS),)
    (found,) = answer.damaged
    assert (found.table, found.tape, found.date, found.path) == ("trades", TAPE, FRIDAY, second)


@pytest.mark.parametrize("damage", [cut, removed])
def test_other_tables_are_not_asked(paths: LakePaths, second: Path, damage: Damaging) -> None:
    """A query of quotes does not meet the damaged trades."""
    damage(second)

    answer = query(paths, "select count(*) from quotes")

    assert (answer.rows, answer.damaged) == (((2,),), ())


def test_damage_can_be_asked_for_alone(paths: LakePaths, second: Path) -> None:
    """The table is of all files, whichever a statement names."""
    removed(second)

    assert query(paths, "select path, rows from _damaged").rows == ((str(second), ROWS),)


def test_every_flipped_byte_is_found_when_files_are_checked(paths: LakePaths, second: Path) -> None:
    """Most of them decode to other numbers without a word: the checksum of the record tells."""
    whole = second.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 40, 1)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        second.write_bytes(flipped)

        answer = query(paths, "select count(*) from trades", checked=True)

        assert (answer.rows, len(answer.damaged)) == (((ROWS,),), 1), place


def test_damage_that_shows_late_ends_the_answer_loudly(
    paths: LakePaths, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When rows are already out, the answer stops with the file's name; checked, it is whole."""
    monkeypatch.setattr(reader, "HELD_ROWS", 100)
    monkeypatch.setattr(reader, "BATCH_ROWS", 100)
    monkeypatch.setattr(reader, "_prepare", single_threaded(reader._prepare))
    pq.write_table(pq.read_table(second), second, row_group_size=200)
    told = pq.read_metadata(second).row_group(9).column(15)  # the last rows' conditions
    data = bytearray(second.read_bytes())
    start, size = told.dictionary_page_offset, told.total_compressed_size
    data[start : start + size] = b"\xff" * size
    second.write_bytes(data)
    every = "select price, conditions from trades"

    with answering(paths, every) as stream, pytest.raises(LakeDamagedError, match=str(second)):
        for _ in stream.batches:
            pass
    assert len(query(paths, every, checked=True).rows) == ROWS


def single_threaded(prepare: Callable[..., None]) -> Callable[..., None]:
    """Return what prepares a connection that reads on one thread, and not far ahead."""

    def prepared(connection: duckdb.DuckDBPyConnection, *rest: object) -> None:
        connection.execute("SET threads = 1")
        connection.execute("SET streaming_buffer_size = '1KB'")
        prepare(connection, *rest)

    return prepared


def test_the_catalog_leaves_out_what_does_not_open(paths: LakePaths, second: Path) -> None:
    """The first file of a view, and one that is gone: both are in `_damaged`."""
    cut(paths.part(TAPE, 1) / "trades.parquet")
    removed(second)

    with duckdb.connect(str(build_catalog(paths)), read_only=True) as connection:
        assert connection.execute("select count(*) from trades").fetchall() == [(0,)]
        assert connection.execute("select count(*) from _damaged").fetchall() == [(2,)]
        assert connection.execute("select count(*) from quotes").fetchall() == [(2,)]


def test_a_frame_warns_of_what_it_leaves_out(tmp_path: Path) -> None:
    """A day file of another length, at once; altered bytes, once the lake was asked to look."""
    paths = LakePaths(tmp_path)
    manifest = finish_day(paths, {"trades": [{"price": 1.0}], "quotes": [{"bid": 1.0}]})
    trades, quotes = (paths.lake / file.file for file in manifest.files)
    cut(trades)
    no_parquet(quotes)
    lake = Lake(tmp_path)

    with pytest.warns(DamagedFileWarning, match="trades of 2026-11-20"):
        assert lake.scan("trades").collect().height == 0
    assert [each.path for each in lake.damaged("quotes")] == [quotes]
    with pytest.warns(DamagedFileWarning, match="quotes of 2026-11-20"):
        assert lake.scan("quotes").collect().height == 0
    with pytest.warns(DamagedFileWarning):
        assert lake.sql("select * from trades").height == 0
