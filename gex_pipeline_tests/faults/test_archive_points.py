"""The archive killed at every named moment: each event is in the lake exactly once after all."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline_tests.faults.archive_lab import (
    DAYS,
    Lab,
    assert_prefix,
    assert_whole,
    laboratory,
    spool_events,
)
from gex_pipeline_tests.faults.lakework import POINTS


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Processes to kill."""
    with laboratory() as one:
        yield one


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: a kill loses nothing of it either."""
    memory = Path("/dev/shm")  # noqa: S108 # a folder of our own below it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def spooled(folder: Path) -> Path:
    """A spool to copy."""
    root = folder / "spooled"
    spool_events(root)
    return root


def duties_of(point: str) -> str:
    """Return what has to run for a moment to be passed: archive, end of day, catalog."""
    if point.startswith(("step", "part")):
        return "a"
    return "ad" if point.startswith(("day", "derived")) else "adc"


@pytest.fixture(scope="module")
def passages(lab: Lab, spooled: Path, folder: Path) -> dict[str, int]:
    """How often a run that nobody kills passes each moment."""
    found: dict[str, int] = {}
    for duties in ("a", "ad", "adc"):
        root = folder / f"counted-{duties}"
        shutil.copytree(spooled, root)
        assert lab.run(root, duties=duties, count=True) == 0
        counts = json.loads((root / "points").read_text())
        found |= {point: n for point, n in counts.items() if duties_of(point) == duties}
    return found


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_named_moment_costs_nothing(
    lab: Lab, spooled: Path, folder: Path, passages: dict[str, int], point: str
) -> None:
    """In the middle of the work: what is there is whole, the next run ends it."""
    root, duties = folder / point, duties_of(point)
    shutil.copytree(spooled, root)

    assert lab.run(root, duties=duties, kill_at=point, nth=(passages[point] + 1) // 2) == -9
    assert_prefix(root)

    assert lab.run(root, duties=duties) == 0
    assert_whole(root, finished=0 if duties == "a" else len(DAYS) - 1, catalog="c" in duties)
    shutil.rmtree(root)
