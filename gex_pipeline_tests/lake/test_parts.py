"""The chain of parts: what it reaches is there, what it does not reach is not."""

import datetime
from pathlib import Path

import msgspec
import pytest

from gex_pipeline.errors import LakeError
from gex_pipeline.lake.parts import (
    PART_FILE,
    Manifest,
    Part,
    commit_part,
    read_chain,
    sweep,
    sync_chain,
)
from gex_pipeline.lake.paths import LakePaths

TAPE = "schwab.equity"
DAY = datetime.date(2026, 11, 20)


def part(first: int, last: int) -> Part:
    """Return a part of nothing but heartbeats."""
    rows = {"heartbeats": last - first + 1}
    return Part(tape=TAPE, epoch=1, date=DAY, first=first, last=last, rows=rows, schema=2)


def manifest(paths: LakePaths, first: int, last: int) -> None:
    """Write the manifest of a finished day."""
    folder = paths.manifests(TAPE)
    folder.mkdir(parents=True, exist_ok=True)
    data = Manifest(tape=TAPE, epoch=3, date=DAY, first=first, last=last, files=())
    (folder / f"{first}-{last}.json").write_bytes(msgspec.json.encode(data))


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """An empty lake."""
    return LakePaths(tmp_path)


def ends(paths: LakePaths) -> list[int]:
    """Return the end of each node of the chain."""
    return [node.last for node in read_chain(paths, TAPE).nodes]


def test_an_empty_lake_has_an_empty_chain(paths: LakePaths) -> None:
    """The cursor is 0: the first part starts at 1."""
    assert (read_chain(paths, TAPE).cursor, read_chain(paths, TAPE).epoch) == (0, 0)
    sync_chain(paths, TAPE)


def test_parts_follow_one_another(paths: LakePaths) -> None:
    """The end of the last is the cursor."""
    assert commit_part(paths, part(1, 5), {})
    assert commit_part(paths, part(6, 9), {})

    assert ends(paths) == [5, 9]
    assert read_chain(paths, TAPE).cursor == 9
    assert paths.tapes() == (TAPE,)


def test_the_second_of_one_name_loses(paths: LakePaths) -> None:
    """And leaves nothing behind."""
    commit_part(paths, part(1, 5), {})

    assert not commit_part(paths, part(1, 8), {})

    assert ends(paths) == [5]
    assert [each.name for each in paths.tape(TAPE).iterdir()] == [f"{1:020d}"]


def test_a_finished_day_takes_the_place_of_its_parts(paths: LakePaths) -> None:
    """Parts in its range that are still there are not there; the longer manifest wins."""
    for first, last in ((1, 5), (6, 9), (10, 12)):
        commit_part(paths, part(first, last), {})
    manifest(paths, 1, 5)
    manifest(paths, 1, 9)

    assert ends(paths) == [9, 12]


def test_a_part_beyond_the_end_stops_everything(paths: LakePaths) -> None:
    """Nothing is skipped; the error names both ends."""
    commit_part(paths, part(1, 5), {})
    commit_part(paths, part(8, 9), {})

    with pytest.raises(LakeError, match="seq 8 is there and 6 is not"):
        read_chain(paths, TAPE)


def test_a_damaged_part_stops_everything(paths: LakePaths) -> None:
    """The error names the tape."""
    commit_part(paths, part(1, 5), {})
    (paths.part(TAPE, 1) / PART_FILE).write_bytes(b"{")

    with pytest.raises(LakeError, match=TAPE):
        read_chain(paths, TAPE)


def test_an_error_while_writing_leaves_nothing(paths: LakePaths) -> None:
    """The draft goes; the name stays free."""

    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space left"):
        commit_part(paths, part(1, 5), {"trades": refuse})

    assert list(paths.tape(TAPE).iterdir()) == []


def test_old_drafts_are_swept(paths: LakePaths) -> None:
    """Those of an hour ago; a younger one may be at work."""
    draft = paths.tape(TAPE) / ".tmp-1-1"
    draft.mkdir(parents=True)
    made_s = draft.stat().st_mtime

    assert sweep(paths, TAPE, made_s + 60) == 0
    assert sweep(paths, TAPE, made_s + 3601) == 1
    assert not draft.exists()
