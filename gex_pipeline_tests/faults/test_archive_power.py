"""The power goes: what an image of the disk shows then is a chain without a break.

A process works on a file system in a file. It is stopped at a random moment and the file is copied
as it is: what was not synced is not in it. The copy is mounted and looked at.
"""

import filecmp
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.faults.archive_lab import (
    DAYS,
    EVENTS,
    Lab,
    assert_prefix,
    assert_whole,
    laboratory,
    spool_events,
)
from gex_pipeline_tests.faults.lakework import TAPE

CUTS = int(os.environ.get("POWER_CUTS", "4"))
"""More of them by hand: POWER_CUTS=20."""
PER_S = 160
"""Events: a step commits some of them, trims, and the next one goes on."""
SEED = 20_261_121
IMAGE_BYTES = 48 * 1024 * 1024


def run(*command: str) -> bool:
    """Run a command of the system; return whether it worked."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 # ours


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount an image; the folder it is at."""
    place.mkdir(exist_ok=True)
    if not run("mount", "-o", "loop", str(image), str(place)):
        pytest.skip("this process may not mount a file system in a file")
    try:
        yield place
    finally:
        run("umount", "-l", str(place))


def copied(image: Path, copy: Path) -> None:
    """Copy the image of a file system that is at rest, until two looks at it are the same."""
    for _ in range(20):
        shutil.copyfile(image, copy)
        if filecmp.cmp(image, copy, shallow=False):
            return
    raise AssertionError("the image never came to rest")


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Processes to stop."""
    with laboratory() as one:
        yield one


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mkfs.ext4") is None,
    reason="needs root, mkfs.ext4 and loop devices",
)
@pytest.mark.timeout(600)
def test_nothing_is_gone_that_was_trimmed(lab: Lab, tmp_path: Path) -> None:
    """No part and no manifest is torn, none is missing that the tape was trimmed behind."""
    chance = random.Random(SEED)  # noqa: S311 # a schedule, not a secret
    found = []
    for cut in range(CUTS):
        folder = tmp_path / str(cut)
        folder.mkdir()
        image, copy, trims = folder / "disk", folder / "copy", folder / "trims"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        assert run("mkfs.ext4", "-q", "-F", str(image))
        with mounted(image, folder / "before") as root:
            spool_events(root)
            os.sync()
            worker = lab.start(root, until_seq=10**9, per_s=PER_S, trims=str(trims))
            time.sleep(chance.uniform(0.5, 1.2 * EVENTS / PER_S))
            os.kill(worker, signal.SIGSTOP)
            assert lab.wait(worker) == -signal.SIGSTOP
            copied(image, copy)
            lab.kill(worker)
        with mounted(copy, folder / "after") as root:
            trimmed = int(trims.read_text() or 0) if trims.exists() else 0
            cursor = read_chain(LakePaths(root), TAPE).cursor
            found.append((trimmed, cursor))
            assert_prefix(root)
            assert cursor >= trimmed
            assert lab.run(root, trims=str(trims)) == 0
            assert_whole(root, finished=len(DAYS) - 1)
        shutil.rmtree(folder, ignore_errors=True)
    print("trimmed to, found to:", *found)  # noqa: T201 # for who runs it by hand
    assert any(cursor for _, cursor in found)
