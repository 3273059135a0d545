"""A spool folder says whose it is, and whether it knows the last number that it gave."""

from pathlib import Path

import pytest

from gex_pipeline.hot.owner import knows_its_end, owned_here
from gex_pipeline_tests.hot.builders import TAPE, fill, newest_segment


def test_a_killed_owner_s_files_know_their_end(tmp_path: Path) -> None:
    """What was written before a kill is in the files, so the next number needs no asking."""
    fill(tmp_path)

    assert knows_its_end(tmp_path, TAPE)


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xf7GX1 torn", b"\xff"])
def test_a_torn_end_knows_less(tmp_path: Path, tail: bytes) -> None:
    """Behind the last whole frame others may have stood, and the server may have them."""
    fill(tmp_path)
    with newest_segment(tmp_path).open("ab") as file:
        file.write(tail)

    assert not knows_its_end(tmp_path, TAPE)


def test_a_new_folder_knows_nothing(tmp_path: Path) -> None:
    """Neither does one that is not there yet."""
    assert not knows_its_end(tmp_path, TAPE)
    assert not knows_its_end(tmp_path / "none", TAPE)


def test_after_a_restart_of_the_machine_nothing_is_sure(tmp_path: Path) -> None:
    """A power cut may have taken whole frames; the folder is still ours."""
    fill(tmp_path)
    mark = tmp_path / "owner"
    mark.write_text(f"{mark.read_text().rpartition(' ')[0]} another-boot")

    assert not knows_its_end(tmp_path, TAPE)
    assert owned_here(tmp_path)
    assert knows_its_end(tmp_path, TAPE)


def test_another_machine_s_folder_is_not_ours(tmp_path: Path) -> None:
    """Its owner may go on elsewhere under the same number."""
    fill(tmp_path)
    (tmp_path / "owner").write_text("another-machine 1 boot")

    assert not knows_its_end(tmp_path, TAPE)
    assert not owned_here(tmp_path)
