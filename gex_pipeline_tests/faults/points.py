"""Crash points: the process under test kills itself when it passes a named one for the Nth time.

Production code names its moments by `sys.audit("gex.point", name)`, which costs nothing while
nobody listens.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def die_at(name: str, number: int) -> None:
    """Let this process be killed, as by kill -9, at the Nth passage of a point."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "gex.point" and arguments[0] == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@contextmanager
def child(
    module: str, *arguments: object, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run a module of the tests in a process of its own; `before` is what wraps it."""
    command = [*before, sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(  # noqa: S603 # our own interpreter
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str], timeout_s: float = 60) -> tuple[int, list[str]]:
    """Wait for a child; return its exit code and what it printed, -9 and the like when killed."""
    out, err = process.communicate(timeout=timeout_s)
    if process.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(f"exit code {process.returncode}: {err[-2000:]}")
    return process.returncode, out.split()
