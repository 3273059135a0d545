"""`gex replay` and `gex control` as processes: told, killed, begun anew, cleaned up."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.session import SessionInfo, read_session, session_keys
from gex_pipeline_tests.engine.conftest import wait_until
from gex_pipeline_tests.replay.conftest import Recording
from gex_pipeline_tests.replay.stretch import START_NS, S

COMMAND = [sys.executable, "-c", "from gex_pipeline.cli import main; main()"]


class Shell:
    """Where commands run: the recording's root and hot store."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self.store: redis.Redis = connect(recording.url)
        self.folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "GEX_DATA_DIR": str(recording.root.parent),
            "GEX_REDIS_URL": recording.url,
            "GEX_SOURCE": "simulator",
            "GEX_SYMBOLS": "SPX,SPY",
        }

    @contextmanager
    def replay(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a replay of the stretch for a `with`."""
        with subprocess.Popen(  # noqa: S603 # our own command
            [*COMMAND, "replay", "2025-06-02", *arguments],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    def control(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Return how a `gex control` ended."""
        return subprocess.run(  # noqa: S603 # our own command
            [*COMMAND, "control", *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def info(self, session: str) -> SessionInfo | None:
        """What a replay says of itself."""
        return read_session(self.store, session_keys(session))

    def stands(self, session: str, ts_ns: int) -> bool:
        """Whether a replay is paused at a moment."""
        info = self.info(session)
        return info is not None and (info.state, info.market_ns) == ("paused", ts_ns)


@pytest.fixture
def shell(recording: Recording, tmp_path: Path) -> Shell:
    """The commands of one test."""
    return Shell(recording, tmp_path)


def test_a_replay_is_told_by_the_command_line(shell: Shell) -> None:
    """Pauses, steps and stops; says where its page is; a wrong word is one line and code 2."""
    with shell.replay("--until", "10:30:10", "--speed", "max", "--session", "told") as process:
        wait_until(lambda: shell.stands("told", START_NS + 10 * S))
        stepped = shell.control("step", "told", "2")
        assert (stepped.returncode, stepped.stdout) == (0, "told: step 2 done\n")
        assert shell.stands("told", START_NS + 12 * S)
        wrong = shell.control("seek", "told", "noon")
        assert wrong.returncode == 2
        assert "no time of day" in wrong.stderr
        assert shell.control("stop", "told").returncode == 0
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "SIMULATED REPLAY told of 2025-06-02" in said
    assert "/?session=told" in said
    over = shell.control("pause", "told")
    assert (over.returncode, "gex replay 2025-06-02 --session told" in over.stderr) == (2, True)
    assert shell.control("pause", "nobody").returncode == 2


def test_a_killed_replay_hurts_nobody(shell: Shell) -> None:
    """Every key it left ends by itself; the same id begins anew once its lease has lapsed."""
    keys = session_keys("killed")
    with shell.replay("--until", "10:30:10", "--speed", "max", "--session", "killed") as process:
        wait_until(lambda: shell.stands("killed", START_NS + 10 * S))
        process.send_signal(signal.SIGKILL)
    left = list(shell.store.scan_iter(f"{keys.prefix}*"))
    assert len(left) > 10
    assert [key for key in left if shell.store.ttl(key) == -1] == []
    shell.store.delete(keys.lease("replay"))  # it lapses after ten seconds
    with shell.replay("--to", "10:30:05", "--speed", "max", "--session", "killed") as process:
        assert process.wait(30) == 0
    info = shell.info("killed")
    assert info is not None
    assert (info.state, info.market_ns <= START_NS + 5 * S) == ("ended", True)


def test_ctrl_c_ends_it_and_clean_leaves_nothing(shell: Shell) -> None:
    """SIGINT: exit code 0; with --clean no key stays."""
    with shell.replay("--speed", "1", "--session", "clean", "--clean") as process:
        wait_until(lambda: (info := shell.info("clean")) and info.state == "running")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert list(shell.store.scan_iter(f"{session_keys('clean').prefix}*")) == []
