"""A daemon whose sensor stands still is told from one that ticks."""

import os
from pathlib import Path

from gex_pipeline.supervision.service import Running
from gex_pipeline.supervision.ticks import LOADING_S, SILENT_S, Ticks


def test_a_daemon_that_evaluates_nothing_hangs(tmp_path: Path) -> None:
    """Each evaluation, and each new process, starts the patience anew."""
    path, now_s = tmp_path / "tick", [100.0]
    ticks = Ticks(path, lambda: now_s[0])
    first, second = (Running(pid, "", "test") for pid in (1, 2))

    assert not ticks.hung(first)
    now_s[0] += LOADING_S
    assert not ticks.hung(first)
    path.touch()
    os.utime(path, ns=(1, 1))
    now_s[0] += 1
    assert not ticks.hung(first)
    now_s[0] += SILENT_S + 1
    assert ticks.hung(first)
    assert not ticks.hung(second)
