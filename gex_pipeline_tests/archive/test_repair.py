"""A damaged part: found, put aside, and built again from the spool where that can."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gex_pipeline.archive.repair import damaged_parts, repair
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.cli.repair import repair_lake
from gex_pipeline.hot.spool import Spool
from gex_pipeline.lake.durable import locked
from gex_pipeline.lake.parts import put_aside, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.lake.recording import recorded
from gex_pipeline_tests.archive.builders import FRIDAY, ORIGIN, TAPE, MemorySource, frame, frames


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """A lake of four parts, 21 to 30 of the tape lost."""
    paths = LakePaths(tmp_path)
    archive_tape(source(spooled=False), paths, ORIGIN, part_events=25)
    return paths


def source(*, spooled: bool) -> MemorySource:
    """Return the tape, with the whole spool or without."""
    tape = [*frames(20), frame(31, 40), *(f for f in frames(100) if f.first_seq > 40)]
    return MemorySource(tape, tape if spooled else tape[-3:])


def flip(file: Path, place: int) -> None:
    """Change one byte."""
    data = bytearray(file.read_bytes())
    data[place] ^= 0x40
    file.write_bytes(data)


def seqs(paths: LakePaths) -> list[int]:
    """Return the seqs of the lake in order."""
    return [seq for each in recorded(paths, read_chain(paths, TAPE)) for seq in each.seqs]


KEPT = [*range(1, 21), *range(31, 101)]


@pytest.mark.parametrize("place", [0, 4, 30, 200, -1, -5, -40])
def test_every_flipped_byte_is_found(paths: LakePaths, place: int) -> None:
    """In the data, in the footer, in the magic letters; and made good from the spool."""
    second = read_chain(paths, TAPE).nodes[1]
    flip(paths.part(TAPE, second.first) / "option_quotes.parquet", place)

    ((part, damage),) = damaged_parts(paths)
    done = repair(source(spooled=True), paths, ORIGIN)

    assert (part, len(damage)) == (second, 1)
    assert done is not None
    assert [(each.first, each.rebuilt) for each in done] == [(second.first, True)]
    assert damaged_parts(paths) == ()
    assert seqs(paths) == KEPT
    assert len(list(paths.tape(TAPE).glob(".bad-*"))) == 1


@pytest.mark.parametrize("cut", [1, 8, 500])
def test_a_cut_file_is_found(paths: LakePaths, cut: int) -> None:
    """A footer that is not whole; the query answers from the rest and names the file."""
    first = read_chain(paths, TAPE).nodes[0]
    file = paths.part(TAPE, first.first) / "trades.parquet"
    file.write_bytes(file.read_bytes()[:-cut])

    answer = query(paths, "select min(seq) from trades")

    assert answer.rows[0][0] > first.last
    assert [each.path for each in answer.damaged] == [file.absolute()]
    repair(source(spooled=True), paths, ORIGIN)
    assert query(paths, "select min(seq) from trades").rows == ((2,),)
    assert seqs(paths) == KEPT


def test_what_the_spool_lost_stays_as_it_is(paths: LakePaths) -> None:
    """The part is not put aside for nothing: what of it can be read still is."""
    second = read_chain(paths, TAPE).nodes[1]
    flip(paths.part(TAPE, second.first) / "option_quotes.parquet", 30)

    done = repair(source(spooled=False), paths, ORIGIN)

    assert done is not None
    assert [each.rebuilt for each in done] == [False]
    assert len(damaged_parts(paths)) == 1
    assert list(paths.tape(TAPE).glob(".bad-*")) == []


def test_a_repair_that_was_cut_short_is_finished(paths: LakePaths) -> None:
    """The hole that it left is filled by the next one."""
    second = read_chain(paths, TAPE).nodes[1]
    put_aside(paths, second)  # type: ignore[arg-type] # a part

    done = repair(source(spooled=True), paths, ORIGIN)

    assert done is not None
    assert [(each.first, each.rebuilt) for each in done] == [(second.first, True)]
    assert seqs(paths) == KEPT


def test_repair_waits_for_the_archive(paths: LakePaths) -> None:
    """Both write parts."""
    with locked(paths.archive_lock):
        assert repair(source(spooled=True), paths, ORIGIN) is None


def test_the_command_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 while something damaged is left; nothing damaged is good news."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    paths = LakePaths(tmp_path / "sim")
    archive_tape(source(spooled=False), paths, ORIGIN, part_events=25)
    run = CliRunner()
    assert run.invoke(repair_lake, []).output == "No part is damaged.\n"
    flip(paths.part(TAPE, 1) / "trades.parquet", 40)

    left = run.invoke(repair_lake, [])
    with Spool.open(tmp_path / "sim" / "spool" / TAPE, TAPE) as spool:
        for each in frames(100):
            spool.append(each.events, FRIDAY)
    mended = run.invoke(repair_lake, ["--json"])

    assert (left.exit_code, "NOT built again" in left.output) == (1, True)
    assert mended.exit_code == 0
    assert [each["rebuilt"] for each in json.loads(mended.output)["parts"]] == [True]
    assert run.invoke(repair_lake, []).output == "No part is damaged.\n"
