"""Several archivers, stopped and killed, and readers meanwhile: exactly once, at all times."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.parts import read_chain, sync_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.faults.archive_lab import (
    CHECKOUT,
    DAYS,
    EVENTS,
    Lab,
    assert_prefix,
    assert_whole,
    held,
    laboratory,
    spool_events,
)
from gex_pipeline_tests.faults.lakework import TAPE, Order

SEED = 20_261_120


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Processes to stop and to kill."""
    with laboratory() as one:
        yield one


@pytest.fixture
def root() -> Iterator[Path]:
    """A spool of four dates, in memory where that is possible."""
    memory = Path("/dev/shm")  # noqa: S108 # a folder of our own below it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        spool_events(Path(name))
        yield Path(name)


def test_three_at_once_under_kills_and_stops(lab: Lab, root: Path) -> None:
    """Without any lock between the archivers; readers see no hole, no double and no step back."""
    chance = random.Random(SEED)  # noqa: S311 # a schedule, not a secret
    readers = [lab.start(root, read_s=4.0) for _ in range(2)]
    workers = [
        lab.start(root, duties=duties, until_seq=10**9, per_s=200) for duties in ("a", "a", "adc")
    ]
    until = time.monotonic() + 3.5
    kills = stops = 0
    while time.monotonic() < until:
        time.sleep(0.15)
        place = chance.randrange(3)
        if chance.random() < 0.5:
            os.kill(workers[place], signal.SIGSTOP)
            time.sleep(0.1)
            os.kill(workers[place], signal.SIGCONT)
            stops += 1
        else:
            lab.kill(workers[place])
            duties = "a" if place < 2 else "adc"
            workers[place] = lab.start(root, duties=duties, until_seq=10**9, per_s=400)
            kills += 1
    for pid in workers:
        lab.kill(pid)
    for pid in readers:
        while lab.wait(pid) < -1:
            os.kill(pid, signal.SIGCONT)
    assert lab.run(root) == 0

    told = [path.read_text() for path in root.glob("read-*")]
    assert [text.split()[0] for text in told] == ["ok", "ok"]
    assert kills
    assert stops
    assert_whole(root, finished=len(DAYS) - 1)


@pytest.mark.parametrize("moment", ["part.drafted", "part.synced", "part.renamed"])
def test_an_archiver_that_slept_through_a_day(lab: Lab, root: Path, moment: str) -> None:
    """It wakes up when its part's name is free again: what it commits is not reached."""
    sleeper = lab.start(root, duties="a", stop_at=moment, nth=2)
    assert lab.wait(sleeper) == -signal.SIGSTOP
    assert lab.run(root, duties="adc") == 0
    before = held(root)

    os.kill(sleeper, signal.SIGCONT)

    assert lab.wait(sleeper) == 0
    assert held(root) == before
    paths = LakePaths(root)
    now_s = max(path.stat().st_mtime for path in paths.tape(TAPE).iterdir())
    clean(paths, now_s)
    clean(paths, now_s + 3600)
    assert_whole(root, finished=len(DAYS) - 1)
    starts = [int(each.name) for each in paths.tape(TAPE).iterdir() if each.name.isdigit()]
    assert all(first > EVENTS * 3 // 4 for first in starts)


def test_a_sleeper_before_the_manifest_changes_nothing(lab: Lab, root: Path) -> None:
    """End of day holds the lock while it stands still, and finishes once it goes on."""
    assert lab.run(root, duties="a") == 0
    sleeper = lab.start(root, duties="d", stop_at="day.noted")
    assert lab.wait(sleeper) == -signal.SIGSTOP
    other = lab.start(root, duties="dc")
    time.sleep(0.3)
    assert_prefix(root)

    os.kill(sleeper, signal.SIGCONT)

    assert lab.wait(sleeper) == 0
    assert lab.wait(other) == 0
    assert_whole(root, finished=len(DAYS) - 1)


def test_six_end_of_days_without_a_lock(lab: Lab, root: Path) -> None:
    """The same range is the same rows: one manifest, exact."""
    assert lab.run(root, duties="a") == 0
    paths = LakePaths(root)
    day = days_of(read_chain(paths, TAPE))[0]

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: compact(paths, day), range(6)))

    assert len({(each.first, each.last, len(each.files)) for each in made}) == 1
    assert len(list(paths.manifests(TAPE).glob("[0-9]*.json"))) == 1
    assert held(root) == list(range(1, EVENTS + 1))
    assert lab.run(root) == 0
    assert_whole(root, finished=len(DAYS) - 1)


INJECTED = (
    ("rename", "signal=KILL:when=3"),
    ("link", "signal=KILL:when=1"),
    ("fsync", "signal=KILL:when=17"),
    ("fsync", "error=EIO:when=5"),
    ("rename", "error=EIO:when=2"),
    ("link", "error=EIO:when=1"),
    ("pwrite64,write", "error=ENOSPC:when=9"),
    ("rmdir", "signal=KILL:when=1"),
    ("unlink,unlinkat", "signal=KILL:when=4"),
)
"""System call, and what happens to it instead."""


def traceable() -> bool:
    """Return whether strace may watch a child of ours."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    command = [strace, "-qq", "-e", "trace=none", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 # ours


@pytest.mark.skipif(not traceable(), reason="strace is not installed or may not trace here")
@pytest.mark.parametrize(("call", "fault"), INJECTED)
def test_a_system_call_that_fails_or_kills(lab: Lab, root: Path, call: str, fault: str) -> None:
    """The disk's errors are loud and cost nothing; the next run makes the lake whole."""
    assert lab.run(root, duties="a", until_seq=EVENTS // 2, kill_at="part.renamed", nth=2) == -9
    order = msgspec.json.encode(Order(root=str(root), until_seq=EVENTS)).decode()
    inject = [f"--inject={each}:{fault}" for each in call.split(",")]
    command = ["strace", "-f", "-qq", "-o", os.devnull, *inject]
    command += [f"--trace={call}", sys.executable, "-m", "gex_pipeline_tests.faults.lakework"]

    broken = subprocess.run([*command, order], cwd=CHECKOUT, capture_output=True, check=False)  # noqa: S603 # ours

    assert_prefix(root)
    for path in root.glob("error-*"):
        path.unlink()
    for mark in root.rglob(".unsure"):  # as the next start of the machine does
        mark.unlink()
    assert lab.run(root) == 0
    assert_whole(root, finished=len(DAYS) - 1)
    assert broken.returncode in ((-9, 137) if "signal" in fault else (0, 1))


def test_an_unconfirmed_commit_stops_the_trim(root: Path) -> None:
    """The fsync behind the rename fails: nothing may go on its strength before the next start."""
    paths = LakePaths(root)
    paths.tape(TAPE).mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id")
    now = boot.read_text().strip() if boot.exists() else "unknown"
    (paths.tape(TAPE) / ".unsure").write_text(now)

    with pytest.raises(Exception, match="did not confirm a commit"):
        sync_chain(paths, TAPE)

    (paths.tape(TAPE) / ".unsure").write_text("of the start before")
    sync_chain(paths, TAPE)
    assert not (paths.tape(TAPE) / ".unsure").exists()
