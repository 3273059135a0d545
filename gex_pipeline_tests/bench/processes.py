"""Processes around a bench: its hot store, `gex` commands, helpers, and what each one costs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import redis

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.embedded import EmbeddedServer

_END_S: Final = 20.0
_TICK: Final = os.sysconf("SC_CLK_TCK")


@contextmanager
def hot_store(root: Path, port: int, memory_mb: int) -> Iterator[str]:
    """Give the URL of an embedded server of this bench alone."""
    server = EmbeddedServer()
    server.start(root, port, memory_mb)
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def apart(store: redis.Redis) -> Iterator[None]:
    """Keep the server and what we start off the last core, where there are two or more."""
    cores = sorted(os.sched_getaffinity(0))
    info: Any = store.info("server")
    if len(cores) > 1:
        for pid in (0, int(info["process_id"])):
            os.sched_setaffinity(pid, cores[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def helper(work: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run `work(link, *arguments)` in a process of its own and give the other end of the link."""
    context = get_context("spawn")
    link, other = context.Pipe()
    process = context.Process(target=work, args=(other, *arguments))
    process.start()
    other.close()
    try:
        yield link
    finally:
        link.close()
        process.join(5)
        process.kill()
        process.join()


@contextmanager
def gex(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str],
    cores: Callable[[], object] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a `gex` command with the defaults of all that is not said here.

    It works in `root`, so that it reads no `.env`, and writes `<command>.log` there; `cores` is
    called in its process, to choose where it may run.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GEX_", "SCHWAB_"))
    }
    told = {**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (root / f"{arguments[0]}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 # our own command
            [sys.executable, "-m", "gex_pipeline.cli", *arguments],
            cwd=root,
            env=kept | told,
            stdout=log,
            stderr=log,
            preexec_fn=cores,  # noqa: PLW1509 # it sets one number
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def any_core() -> None:
    """Let this process run anywhere."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def last_core() -> None:
    """Let this process run on the last core alone."""
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})


def needs_proc() -> None:
    """Refuse to measure where a process cannot be looked at.

    Raises:
        BenchInvalidError: it cannot.
    """
    if not Path("/proc/self/task").is_dir():
        raise BenchInvalidError("this system does not tell the CPU time of another process")


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process so far, all its threads."""
    return cpu_of(Path(f"/proc/{pid}/stat").read_text())


def cpu_of(stat: str) -> float:
    """Return user and system time of a line of /proc: fields 14 and 15."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Return what a process has resident; with `VmHWM` the most that it ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024 / 1e6


def answer(link: Connection, patience_s: float, fact: str) -> Any:
    """Return what a helper says.

    Raises:
        BenchInvalidError: nothing in time; `fact` is what was not done.
    """
    if not link.poll(patience_s):
        raise BenchInvalidError(fact)
    return link.recv()
