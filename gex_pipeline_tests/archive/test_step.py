"""The archive step: every event of the tape is in the lake exactly once, whatever happens."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gex_pipeline.archive.step import archive, archive_tape
from gex_pipeline.lake.durable import locked
from gex_pipeline.lake.parts import Gap, Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline_tests.archive.builders import (
    FRIDAY,
    MONDAY,
    ORIGIN,
    TAPE,
    MemorySource,
    event,
    frame,
    frames,
)

SEQS = "select seq from trades union all select seq from quotes union all select seq from gaps union all select seq from option_quotes"  # noqa: E501
ROOT = Path(__file__).parents[2]


def kept(last: int, first: int = 1) -> list[int]:
    """Return the seqs of the events that a table keeps: all but heartbeats."""
    return [seq for seq in range(first, last + 1) if seq % 10]


def seqs(paths: LakePaths) -> list[int]:
    """Return the seqs in the lake, with repeats; what was lost has none."""
    return sorted(row[0] for row in query(paths, SEQS).rows if row[0] is not None)


def test_every_event_is_archived_once(tmp_path: Path) -> None:
    """Rows by kind, heartbeats too; a second step finds nothing to do."""
    paths, source = LakePaths(tmp_path), MemorySource(frames(100))

    first = archive_tape(source, paths, ORIGIN)
    second = archive_tape(source, paths, ORIGIN)

    assert (first.cursor, first.events, first.parts) == (100, 100, 1)
    assert first.rows == {
        "gaps": 10,
        "trades": 20,
        "quotes": 20,
        "option_quotes": 40,
        "heartbeats": 10,
    }
    assert (second.cursor, second.events, second.parts) == (100, 0, 0)
    assert seqs(paths) == kept(100)
    assert source.trimmed == [(1, 100), (1, 100)]


def test_values_arrive_as_they_were(tmp_path: Path) -> None:
    """A missing number is null; identity, origin and session date stand beside each row."""
    paths = LakePaths(tmp_path)
    archive_tape(MemorySource(frames(10)), paths, ORIGIN)

    row = query(
        paths,
        "select source, mode, session_date, tape, epoch, symbol, bid, ask, open_interest, streamed"
        " from option_quotes where seq = 6",
    ).rows[0]

    expected = ("simulator", "simulated", FRIDAY, TAPE, 1, event(6).symbol, 1.0, None, 5, True)
    assert row == expected


def test_a_part_ends_at_a_session_date(tmp_path: Path) -> None:
    """No part spans two dates."""
    paths = LakePaths(tmp_path)
    source = MemorySource([*frames(20), frame(21, 30, MONDAY), frame(31, 40, MONDAY, epoch=2)])

    archive_tape(source, paths, ORIGIN)

    nodes = read_chain(paths, TAPE).nodes
    assert [(n.first, n.last, n.date, n.epoch) for n in nodes] == [
        (1, 20, FRIDAY, 1),
        (21, 40, MONDAY, 2),
    ]


def test_parts_are_bounded(tmp_path: Path) -> None:
    """A long tape becomes several parts, each a whole number of frames."""
    paths = LakePaths(tmp_path)

    archive_tape(MemorySource(frames(100)), paths, ORIGIN, part_events=32)

    assert [node.last for node in read_chain(paths, TAPE).nodes] == [35, 70, 100]
    assert seqs(paths) == kept(100)


def test_a_hole_is_filled_from_the_spool(tmp_path: Path) -> None:
    """What the tape was trimmed of comes from the spool; nothing counts as lost."""
    paths, whole = LakePaths(tmp_path), frames(100)
    source = MemorySource([*whole[:4], *whole[12:]], spool=whole)

    done = archive_tape(source, paths, ORIGIN)

    assert (done.events, done.lost) == (100, 0)
    assert seqs(paths) == kept(100)


def test_a_hole_that_nothing_fills_is_told(tmp_path: Path) -> None:
    """The part before it ends there; the next starts at the cursor all the same, with the gap."""
    paths, whole = LakePaths(tmp_path), frames(100)
    source = MemorySource([*whole[:4], *whole[12:]], spool=whole[8:10])

    done = archive_tape(source, paths, ORIGIN)

    assert done.lost == 20 + 10
    assert seqs(paths) == [*kept(20), *kept(50, 41), *kept(100, 61)]
    lost = query(paths, "select first_seq, last_seq from _lost order by 1").rows
    assert lost == ((21, 40), (51, 60))
    assert [node.gaps for node in read_chain(paths, TAPE).nodes] == [
        (),
        (Gap(21, 40),),
        (Gap(51, 60),),
    ]


def test_what_overlaps_is_dropped(tmp_path: Path) -> None:
    """A frame that begins before the cursor gives only what is new."""
    paths = LakePaths(tmp_path)
    archive_tape(MemorySource([frame(1, 15)]), paths, ORIGIN)

    archive_tape(MemorySource([frame(11, 30)]), paths, ORIGIN)

    assert seqs(paths) == kept(30)


def test_two_archivers_lose_and_double_nothing(tmp_path: Path) -> None:
    """They race for each part's name; the loser goes on from the winner's end."""
    paths, source = LakePaths(tmp_path), MemorySource(frames(300))

    def work(_: int) -> None:
        while archive_tape(source, paths, ORIGIN, part_events=10).race_lost:
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))

    assert seqs(paths) == kept(300)
    assert list(paths.tape(TAPE).glob(".tmp-*")) == []


def test_one_step_of_a_root_at_a_time(tmp_path: Path) -> None:
    """While another one is at work, a step says so and does nothing."""
    paths = LakePaths(tmp_path)

    with locked(paths.archive_lock):
        done = archive(MemorySource(frames(10)), paths, (TAPE,), origin=ORIGIN, now_s=0.0)

    assert done is None
    assert read_chain(paths, TAPE).nodes == ()


@pytest.mark.parametrize("call", ["rename", "fsync", "mkdir"])
@pytest.mark.parametrize("nth", [1, 3, 5])
def test_a_kill_at_any_moment_costs_nothing(tmp_path: Path, call: str, nth: int) -> None:
    """Killed at the nth system call, the next step makes the lake whole: nothing twice."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gex_pipeline.archive.step import archive_tape\n"
        "from gex_pipeline.lake.paths import LakePaths\n"
        "from gex_pipeline_tests.archive.builders import ORIGIN, MemorySource, frames\n"
        "calls, real = [0], getattr(os, sys.argv[2])\n"
        "def counted(*args, **kwargs):\n"
        "    calls[0] += 1\n"
        "    if calls[0] == int(sys.argv[3]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*args, **kwargs)\n"
        "setattr(os, sys.argv[2], counted)\n"
        "paths = LakePaths(Path(sys.argv[1]))\n"
        "archive_tape(MemorySource(frames(100)), paths, ORIGIN, part_events=20)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), call, str(nth)]
    killed = subprocess.run(command, cwd=ROOT, env=os.environ, check=False)  # noqa: S603 # ours
    paths = LakePaths(tmp_path)

    archive_tape(MemorySource(frames(100)), paths, ORIGIN, part_events=30)

    assert killed.returncode == -9
    assert seqs(paths) == kept(100)


def test_a_part_is_checked_by_its_own_numbers() -> None:
    """Rows and gaps make up its range, or it is none; the first version kept less."""
    known = {"tape": TAPE, "epoch": 1, "date": FRIDAY, "first": 1, "last": 6}
    with pytest.raises(ValueError, match="5 events and 0 lost"):
        Part(**known, rows={"trades": 5}, schema=2)  # type: ignore[arg-type]
    Part(**known, rows={"trades": 5}, schema=1)  # type: ignore[arg-type]
