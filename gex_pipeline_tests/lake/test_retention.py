"""Retention: files of old days go behind a grace, what the chain says stays."""

import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.cli.retention import retention
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.durable import locked
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.lake.retention import cutoff, expired, retire
from gex_pipeline_tests.archive.builders import FRIDAY, ORIGIN, TAPE, MemorySource, frame

DAYS = [FRIDAY - datetime.timedelta(days=n) for n in (2, 1, 0)]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakePaths:
    """A simulated lake of two finished days and one that goes on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    paths = LakePaths(tmp_path / "sim")
    tape = [frame(10 * n + 1, 10 * n + 10, day) for n, day in enumerate(DAYS)]
    source = MemorySource(tape)
    archive_tape(source, paths, ORIGIN)
    end_of_day(source, paths, 0)
    return paths


def test_ages_count_from_the_newest_date(paths: LakePaths) -> None:
    """A lake that nothing is added to loses nothing."""
    assert cutoff(paths, 1) == DAYS[1]
    assert [each.date for each in expired(paths, DAYS[1])] == [DAYS[0]]
    assert expired(paths, DAYS[0]) == ()


def test_files_go_and_the_chain_stays(paths: LakePaths) -> None:
    """The cursor is what it was, the rows are gone, the manifest says what it held."""
    before = read_chain(paths, TAPE)
    build_catalog(paths)
    (gone,) = expired(paths, DAYS[1])
    files = [paths.lake / name for name in gone.files]

    assert retire(paths, DAYS[1]) == (gone,)

    after = read_chain(paths, TAPE)
    first = after.nodes[0]
    assert (after.cursor, len(after.nodes)) == (before.cursor, 3)
    assert isinstance(first, Manifest)
    assert (first.files, len(first.retired)) == ((), 5)
    assert query(paths, "select min(seq), count(*) from trades").rows == ((12, 4),)
    now_s = files[0].stat().st_mtime
    clean(paths, now_s + 3600)
    assert all(file.exists() for file in files)  # the catalog names them
    build_catalog(paths)
    clean(paths, now_s)
    clean(paths, now_s + 3600)
    assert not any(file.exists() for file in files)
    assert read_chain(paths, TAPE) == after
    assert retire(paths, DAYS[1]) == ()


def test_it_waits_for_end_of_day(paths: LakePaths) -> None:
    """Both write manifests."""
    with locked(paths.days_lock):
        assert retire(paths, DAYS[1]) is None


def test_the_command_reports_before_it_acts(paths: LakePaths) -> None:
    """A report changes nothing; --apply does what it told; unset, everything is kept."""
    run = CliRunner()
    assert run.invoke(retention, []).output == "Everything is kept.\n"

    report = json.loads(run.invoke(retention, ["--days", "1", "--json"]).output)
    assert read_chain(paths, TAPE).nodes[0].files  # type: ignore[union-attr]
    applied = json.loads(run.invoke(retention, ["--days", "1", "--json", "--apply"]).output)

    assert report["expired"] == applied["expired"]
    assert (report["applied"], applied["applied"]) == (False, True)
    assert [each["rows"] for each in applied["expired"]] == [10]
    assert read_chain(paths, TAPE).nodes[0].files == ()  # type: ignore[union-attr]
    assert paths.catalog.exists()
    text = run.invoke(retention, ["--days", "0"])
    assert text.exit_code == 2
    assert "0 days before" in run.invoke(retention, ["--days", "1"]).output
