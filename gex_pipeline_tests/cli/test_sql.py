"""`gex sql`: the committed data, as a table or as JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.cli import gex
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.archive.builders import ORIGIN, MemorySource, frames

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
        "columns": ["session_date", "last"],
        "rows": [["2026-11-20", 95]],
    }


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
