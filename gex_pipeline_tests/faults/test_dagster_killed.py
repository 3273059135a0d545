"""A Dagster run that is killed at any moment leaves what the next run goes on from."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline.archive import step
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline_tests.archive.builders import TAPE, frames
from gex_pipeline_tests.canary import CLIENT_SECRET, REFRESH_TOKEN

KEYS = Keys("sim:")
EVENTS = 100
RUN = """
import os, signal, sys
point = sys.argv[1]
if point:
    def die(event, arguments):
        if event == "gex.point" and arguments[0] == point:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
import dagster as dg
from gex_pipeline.definitions import defs
job = defs.get_repository_def().get_job("commit_tape")
with dg.DagsterInstance.ephemeral() as instance:
    done = job.execute_in_process(instance=instance)
assert done.success
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of its own."""
    one = EmbeddedServer()
    one.start(tmp_path_factory.mktemp("root"), 23_490, 64)
    yield one
    one.stop()


def run(url: str, folder: Path, point: str) -> int:
    """Run the job in a process of its own; return how that ended."""
    return subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-W", "ignore", "-c", RUN, point],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "GEX_REDIS_URL": url,
            "GEX_DATA_DIR": str(folder),
            "GEX_SOURCE": "simulator",
            "SCHWAB_CLIENT_ID": "a-key",
            "SCHWAB_CLIENT_SECRET": CLIENT_SECRET,
            "SCHWAB_REFRESH_TOKEN": REFRESH_TOKEN,
        },
        cwd=folder,
        capture_output=True,
        check=False,
    ).returncode


@pytest.mark.parametrize("point", ["part.written", "part.renamed", "step.durable"])
def test_a_killed_run_is_made_good_by_the_next(
    server: EmbeddedServer, tmp_path: Path, point: str
) -> None:
    """Each event once, whatever the killed one had committed; a third run finds nothing to do."""
    assert point in step.POINTS
    with connect(server.url) as store:
        store.flushall()
        for each in frames(EVENTS):
            store.xadd(KEYS.tape(TAPE), {"f": encode_frame(each)}, id=str(each.position))

    assert run(server.url, tmp_path, point) == -signal.SIGKILL
    assert run(server.url, tmp_path, "") == 0
    paths = LakePaths(tmp_path / "sim")
    parts = sorted(path.name for path in paths.tape(TAPE).iterdir())
    assert run(server.url, tmp_path, "") == 0

    seqs = [seq for part in recorded(paths, read_chain(paths, TAPE)) for seq in part.seqs]
    assert seqs == list(range(1, EVENTS + 1))
    assert sorted(path.name for path in paths.tape(TAPE).iterdir()) == parts
