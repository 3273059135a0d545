"""`gex sql`: the committed data, as a table or as JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.cli import gex
from gex_pipeline.lake import reader
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.archive.builders import ORIGIN, TAPE, MemorySource, frames

COUNT = "select count(*), min(seq), null as nothing from trades"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose simulated lake holds 100 events."""
    archive_tape(MemorySource(frames(100)), LakePaths(tmp_path / "sim"), ORIGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    return tmp_path


def sql(*arguments: str) -> Result:
    """Return how the command ended."""
    return CliRunner().invoke(gex, ["sql", *arguments])


@pytest.mark.usefixtures("data")
def test_a_table_says_that_it_is_simulated() -> None:
    """Names, a rule, rows with null for nothing, and how many."""
    done = sql(COUNT)

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "count_star()  min(seq)  nothing",
        "------------  --------  -------",
        "          20         2     null",
        "(1 row, SIMULATED)",
    ]


@pytest.mark.usefixtures("data")
def test_json_has_columns_and_rows() -> None:
    """Dates as text."""
    done = sql("select session_date, max(seq) as last from quotes group by all", "--json")

    assert json.loads(done.output) == {
        "mode": "simulated",
        "columns": ["session_date", "last"],
        "rows": [["2026-11-20", 95]],
        "damaged": [],
    }


@pytest.mark.usefixtures("data")
def test_csv_is_for_other_programs() -> None:
    """A header, nothing for null, texts quoted where they must be; SIMULATED beside it."""
    done = sql("select seq, source_seq, 'a,b' as text from quotes order by seq limit 2", "--csv")

    assert done.stdout == 'seq,source_seq,text\n4,,"a,b"\n5,,"a,b"\n'
    assert done.stderr == "SIMULATED\n"
    assert sql(COUNT, "--csv", "--json").exit_code == 2


@pytest.mark.usefixtures("data")
def test_a_big_answer_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every form, the same rows as at once."""
    monkeypatch.setattr(reader, "HELD_ROWS", 7)
    monkeypatch.setattr(reader, "BATCH_ROWS", 3)
    statement = "select seq from option_quotes order by seq"

    rows = json.loads(sql(statement, "--json").output)["rows"]

    assert [row[0] for row in rows] == [n for n in range(100) if n % 10 > 5]
    assert sql(statement, "--csv").stdout.split() == ["seq", *(str(row[0]) for row in rows)]
    assert sql(statement).output.splitlines()[-1] == "(40 rows, SIMULATED)"


def test_a_damaged_file_is_a_warning(data: Path) -> None:
    """Named with its rows on standard error; what is left is the answer."""
    (part,) = (data / "sim/lake/_intraday" / TAPE).iterdir()
    whole = (part / "trades.parquet").read_bytes()
    (part / "trades.parquet").write_bytes(whole[:-1])

    done = sql(COUNT)

    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "(1 row, SIMULATED)"
    assert "WARNING: left out of the answer: trades of 2026-11-20 (20 rows)" in done.stderr


def test_altered_bytes_are_found_by_a_check(data: Path) -> None:
    """Which decode without an error."""
    (part,) = (data / "sim/lake/_intraday" / TAPE).iterdir()
    altered = bytearray((part / "trades.parquet").read_bytes())
    altered[-10] ^= 1
    (part / "trades.parquet").write_bytes(altered)

    told = json.loads(sql(COUNT, "--json", "--check").stdout)

    assert (told["rows"], len(told["damaged"])) == ([[0, None, None]], 1)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("select * from trade", 'Did you mean "trades"'),
        ("select prize from trades", '"price"'),
        ("select 1; select 2", "not one SELECT"),
        ("selekt 1", "syntax error"),
        ("select * from read_csv('/etc/passwd')", "disabled"),
    ],
)
def test_an_error_says_what_is_wrong(statement: str, told: str) -> None:
    """And where: DuckDB's own words, exit code 2."""
    done = sql(statement)

    assert done.exit_code == 2
    assert told in done.output


@pytest.mark.usefixtures("data")
def test_what_is_no_query_ends_with_2() -> None:
    """And says what is."""
    done = sql("drop view trades")

    assert done.exit_code == 2
    assert "It takes one SELECT" in done.output


def test_real_and_simulated_data_are_apart(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real source, the same folder holds no simulated row."""
    monkeypatch.setenv("GEX_SOURCE", "schwab")
    monkeypatch.setenv("SCHWAB_CLIENT_ID", "id")
    monkeypatch.setenv("SCHWAB_CLIENT_SECRET", "secret")

    assert json.loads(sql(COUNT, "--json").output)["rows"] == [[0, None, None]]
    assert not (data / "lake").exists()
