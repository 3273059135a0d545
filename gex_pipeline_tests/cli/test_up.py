"""`gex up` for real: everything starts, survives its starter, and stops without a trace."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gex_pipeline.lake.durable import locked
from gex_pipeline.supervision.service import MARK
from gex_pipeline_tests.canary import CLIENT_SECRET, REFRESH_TOKEN

ROOT = Path(__file__).parents[2]
PORTS = {"GEX_PORT": 21877, "GEX_SIMULATOR_PORT": 21878, "GEX_DAGSTER_PORT": 23000}
PATIENCE_S = 120.0

pytestmark = pytest.mark.timeout(400)


class Up:
    """One `gex up` of a data folder, and what it printed."""

    def __init__(self, data: Path) -> None:
        self.data, self.log = data, data / "up.log"
        environment = os.environ | {
            "GEX_DATA_DIR": str(data),
            "GEX_SOURCE": "simulator",
            "SCHWAB_CLIENT_ID": "a-key",
            "SCHWAB_CLIENT_SECRET": CLIENT_SECRET,
            "SCHWAB_REFRESH_TOKEN": REFRESH_TOKEN,
            "GEX_REDIS_PORT": "26390",
            "GEX_SIMULATOR_CONTRACTS": "400",
            "GEX_SYMBOLS": "SPX",
            **{name: str(port) for name, port in PORTS.items()},
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # our own command
                [sys.executable, "-m", "gex_pipeline.cli", "up"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )

    def words(self) -> str:
        """Return what all starts of this folder printed."""
        return self.log.read_text()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def left_behind(data: Path) -> list[str]:
    """Return the processes that a start in this folder began and that still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={data}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def status(url: str, key: str = "") -> int:
    """Return the HTTP status of an answer."""
    request = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310 # our own
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; what still runs for it at the end is stopped by one more start."""
    yield tmp_path
    if left_behind(tmp_path):
        last = Up(tmp_path)
        until(lambda: last.words().count("Ctrl-C stops") > 1 or last.process.poll() is not None)
        last.end(signal.SIGINT)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_up_survives_its_starter_and_stops_without_a_trace(data: Path) -> None:
    """Figures with the key and 401 without; kill -9, adopted; Ctrl-C, nothing left."""
    first = Up(data)
    until(lambda: "Ctrl-C stops all of it." in first.words())
    found = re.search(r"API +(http://\S+)", first.words())
    assert found is not None
    url, key = f"{found[1]}/gex/SPX", (data / "local_key").read_text().strip()
    until(lambda: status(url, key) == 200)
    assert status(url) == 401
    assert "SIMULATED" in first.words()

    second = Up(data)
    assert second.process.wait(PATIENCE_S) == 2
    assert f"another gex up serves {data}".lower() in second.words().lower()

    first.end(signal.SIGKILL)
    assert status(url, key) == 200
    third = Up(data)
    until(lambda: "adopted serving" in third.words())
    until(lambda: third.words().count("Ctrl-C stops all of it.") > 1)

    assert third.end(signal.SIGINT) == 0
    assert "Everything is stopped." in third.words()
    assert left_behind(data) == []
    for lock in (data / "sim" / "hot" / "lock", *(data / "sim" / "run").glob("*.lock")):
        with locked(lock, wait=False) as free:
            assert free, lock
    assert status(url, key) == 0
    assert not (data / "lake").exists()
