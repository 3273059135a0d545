"""Row 29: killed while a token is stored: the old or the new one, never broken, private."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gex_pipeline.feeds.privatefile import POINTS
from gex_pipeline.feeds.tokens import FILE, TokenStore
from gex_pipeline.feeds.tokensnapshots import ACCESS_FILE, REFRESH_FILE
from gex_pipeline_tests.faults.points import child, finish
from gex_pipeline_tests.faults.token_worker import BORN, token

WORKER = "gex_pipeline_tests.faults.token_worker"
COUNT = 12
KEPT = "token.kept"
"""Passed once, when the file of an older shape is kept."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a token of an older shape, numbered 0."""
    path = tmp_path / "tokens"
    path.mkdir(mode=0o700)
    old = path / FILE
    old.write_text(json.dumps(token(0)["token"]))
    old.chmod(0o600)
    return path


def stored(folder: Path) -> int:
    """The number of the stored token; every file is private, and each one in use is whole."""
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    for name in (FILE, ACCESS_FILE, REFRESH_FILE):
        if (folder / name).exists():
            json.loads((folder / name).read_bytes())
    held = TokenStore(folder).read()["token"]
    number = int(held["expires_at"]) - BORN
    assert held["access_token"] == token(number)["token"]["access_token"]
    return number


def check(folder: Path, printed: list[str]) -> None:
    """What was said to be stored is; what was being stored may be; and the next one goes on."""
    acknowledged = max(map(int, printed), default=0)
    assert stored(folder) in (acknowledged, acknowledged + 1)
    with child(WORKER, folder, 3) as process:
        assert finish(process)[0] == 0
    assert stored(folder) == 3
    older = list(folder.glob(f"{FILE}.bak-*"))
    assert [json.loads(path.read_bytes()) for path in older] == [token(0)["token"]]


@pytest.mark.parametrize(
    ("point", "number"), [(name, number) for name in POINTS for number in (1, 2, 3, 4, 9)]
)
def test_killed_at_a_point(folder: Path, point: str, number: int) -> None:
    """At each named moment, of the file itself and of what is written beside it."""
    if point == KEPT:
        number = 1
    with child(WORKER, folder, COUNT, point, number) as process:
        code, printed = finish(process)

    assert code == -9, f"{point} was not passed {number} times"
    check(folder, printed)


def traceable() -> bool:
    """Return whether strace may watch a child of ours."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    command = [strace, "-qq", "-e", "trace=none", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 # ours


@pytest.mark.skipif(not traceable(), reason="strace is not installed or may not trace here")
@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        *(("write", f"signal=KILL:when={number}") for number in (1, 2, 3, 5, 8)),
        *(("fsync", f"signal=KILL:when={number}") for number in (1, 2, 3, 6)),
        *(("rename,renameat,renameat2", f"signal=KILL:when={number}") for number in (1, 2, 5)),
        ("write", "error=ENOSPC:when=1+4"),
        ("fsync", "error=EIO:when=1+3"),
        ("rename,renameat,renameat2", "error=EIO:when=1+2"),
    ],
)
def test_a_system_call_that_fails_or_kills(folder: Path, calls: str, fault: str) -> None:
    """In the kernel, in the middle of a write: whatever was acknowledged is on the disk, whole."""
    inject = [f"--inject={each}:{fault}" for each in calls.split(",")]
    strace = ["strace", "-f", "-qq", "-o", os.devnull, *inject, f"--trace={calls}"]
    with child(WORKER, folder, COUNT, before=strace) as process:
        out, _ = process.communicate(timeout=60)

    assert process.returncode in ((-9, 137) if "signal" in fault else (0,))
    check(folder, out.split())
