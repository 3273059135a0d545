"""A tape's events back from the lake."""

from pathlib import Path

import pytest

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Event
from gex_pipeline_tests.archive.builders import FRIDAY, ORIGIN, TAPE, MemorySource, frame, frames


def read(paths: LakePaths, **limits: int) -> list[Event]:
    """Return the events that the lake holds within limits."""
    stretches = recorded(paths, read_chain(paths, TAPE), **limits)  # type: ignore[arg-type]
    return [event for stretch in stretches for event in stretch.events]


def told(last: int) -> list[Event]:
    """Return the events that were archived."""
    return [event for each in frames(last) for event in each.events]


@pytest.mark.parametrize("window", [7, 1000])
def test_events_come_back_equal(tmp_path: Path, window: int) -> None:
    """Every field of every kind, in the order of the tape, over parts and windows."""
    paths = LakePaths(tmp_path)
    archive_tape(MemorySource(frames(100)), paths, ORIGIN, part_events=30)

    assert read(paths, window=window) == told(100)
    assert read(paths, after_seq=33, through_seq=66, window=window) == told(100)[33:66]


def test_a_stretch_has_one_owner(tmp_path: Path) -> None:
    """Where the epoch changes inside a part, another stretch begins."""
    paths = LakePaths(tmp_path)
    source = MemorySource([frame(1, 5, epoch=1), frame(6, 9, epoch=3)])
    archive_tape(source, paths, ORIGIN)

    stretches = list(recorded(paths, read_chain(paths, TAPE)))

    assert [(s.epoch, s.session_date, s.seqs) for s in stretches] == [
        (1, FRIDAY, [1, 2, 3, 4, 5]),
        (3, FRIDAY, [6, 7, 8, 9]),
    ]


def test_a_symbol_comes_with_its_options_and_the_tape_s_own_events(tmp_path: Path) -> None:
    """SPX brings trades of SPX, its options, heartbeats and gaps, and nothing of SPY."""
    paths = LakePaths(tmp_path)
    archive_tape(MemorySource(frames(100)), paths, ORIGIN)

    (stretch,) = recorded(paths, read_chain(paths, TAPE), symbols=frozenset({"SPX"}))

    assert stretch.seqs == [seq for seq in range(1, 101) if seq % 10 not in (4, 5)]
