"""A lake to break: its spool, the children that work on it, and what must be true afterwards."""

import datetime
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from gex_pipeline.hot.spool import Spool
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.tables import EVENT_TABLES
from gex_pipeline_tests.archive.builders import event
from gex_pipeline_tests.faults.lakework import TAPE

CHECKOUT: Final = Path(__file__).parents[2]
DAYS: Final = tuple(datetime.date(2026, 11, day) for day in (18, 19, 20, 23))
EVENTS: Final = 480
"""Of a small lake: four dates."""


def spool_events(root: Path, events: int = EVENTS, days: Sequence[datetime.date] = DAYS) -> None:
    """Spool so many events, as many of each date."""
    with Spool.open(root / "spool" / TAPE, TAPE) as spool:
        for start in range(1, events + 1, 20):
            day = days[(start - 1) * len(days) // events]
            spool.append([event(seq) for seq in range(start, start + 20)], day)


class Lab:
    """Children forked from one process that has everything imported: a run costs no start."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "gex_pipeline_tests.faults.lakework"]
        self._server = subprocess.Popen(  # noqa: S603 # ours
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        )
        self._living: set[int] = set()

    def start(self, root: Path, **order: Any) -> int:
        """Start a child; return its process id."""
        words = {"root": str(root), "until_seq": EVENTS} | order
        pid = int(self._ask(words))
        self._living.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Wait for a child to end or to stand still; return its exit code, or -signal."""
        status = int(self._ask({"wait": pid}))
        if os.WIFSTOPPED(status):
            return -os.WSTOPSIG(status)
        self._living.discard(pid)
        return os.waitstatus_to_exitcode(status)

    def run(self, root: Path, **order: Any) -> int:
        """Run a child to its end."""
        return self.wait(self.start(root, **order))

    def kill(self, pid: int) -> None:
        """End a child at once."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def close(self) -> None:
        """End all children and the process that they come from."""
        for pid in tuple(self._living):
            os.kill(pid, signal.SIGKILL)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()

    def _ask(self, words: dict[str, Any]) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


@contextmanager
def laboratory() -> Iterator[Lab]:
    """Give a lab and leave nothing of it behind."""
    lab = Lab()
    try:
        yield lab
    finally:
        lab.close()


def held(root: Path) -> list[int]:
    """Return the seqs that the chain holds, in order, repeats too."""
    paths = LakePaths(root)
    chain = read_chain(paths, TAPE)
    assert all(each.epoch == 1 for each in recorded(paths, chain))
    return [seq for each in recorded(paths, chain) for seq in each.seqs]


def assert_prefix(root: Path) -> None:
    """See that the lake holds the tape's first events, each once, and nothing was trimmed more."""
    seqs = held(root)
    assert seqs == list(range(1, len(seqs) + 1))
    assert not (root / "trimmed-too-far").exists()


def assert_whole(root: Path, events: int = EVENTS, *, finished: int, catalog: bool = True) -> None:
    """See that it holds all of them, each once, and the catalog the same."""
    paths = LakePaths(root)
    assert [path.read_text() for path in root.glob("error-*")] == []
    assert held(root) == list(range(1, events + 1))
    assert not (root / "trimmed-too-far").exists()
    nodes = read_chain(paths, TAPE).nodes
    assert sum(isinstance(node, Manifest) for node in nodes) == finished
    if catalog:
        assert_catalog(paths, events)


def assert_catalog(paths: LakePaths, events: int) -> None:
    """See that SQL over the catalog finds each event once."""
    build_catalog(paths)
    tables = sorted({table.name for table in EVENT_TABLES.values()})
    union = " union all ".join(f"select tape, epoch, seq from {name}" for name in tables)  # noqa: S608 # ours
    with duckdb.connect(str(paths.catalog), read_only=True) as connection:
        counts = connection.execute(
            f"select count(*), count(distinct (tape, epoch, seq)), min(seq), max(seq) from ({union}) where seq is not null"  # noqa: S608, E501 # ours
        ).fetchone()
    assert counts == (events, events, 1, events)
