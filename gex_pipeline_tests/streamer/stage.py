"""A stage of real parts: hot store, simulator and streamer, each a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.events import Event
from gex_pipeline_tests.canary import CLIENT_SECRET, REFRESH_TOKEN

PREFIX = "sim:"
WAIT_S = 40.0
_CODE = "from gex_pipeline.cli import main; main()"
Found = TypeVar("Found")


def wait_until(holds: Callable[[], Found], what: str) -> Found:
    """Return what holds once it does; fail when it never does."""
    until_s = time.monotonic() + WAIT_S
    while not (found := holds()):
        assert time.monotonic() < until_s, f"never: {what}"
        time.sleep(0.05)
    return found


class Stage:
    """The folder, the ports and the processes of one test."""

    def __init__(self, folder: Path, server: EmbeddedServer, memory_mb: int) -> None:
        self.server = server
        self.data = folder / "data"
        self.root = self.data / "sim"
        self.port = _free_port()
        self.memory_mb = memory_mb
        self.url = redis_url = server.start(self.root, _free_port(), memory_mb)
        self.client = connect(redis_url)
        self.keys = Keys(prefix=PREFIX)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "GEX_DATA_DIR": str(self.data),
            "GEX_REDIS_URL": redis_url,
            "GEX_SOURCE": "simulator",
            "GEX_SIMULATOR_PORT": str(self.port),
            "GEX_SIMULATOR_CONTRACTS": "400",
            "GEX_SIMULATOR_RATE": "200",
            "GEX_LOG_FORMAT": "text",
            "SCHWAB_CLIENT_ID": "a-key",
            "SCHWAB_CLIENT_SECRET": CLIENT_SECRET,
            "SCHWAB_REFRESH_TOKEN": REFRESH_TOKEN,
            "SCHWAB_SYMBOL_LIMIT": "120",
            "SCHWAB_RECONNECT_MAX_S": "1",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a `gex` command; what it says goes to a file."""
        log = self.folder / f"{arguments[0]}-{len(self.processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 # our own command
                [sys.executable, "-c", _CODE, *arguments],
                env=self._environment | environment,
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def status(self) -> dict[str, str]:
        """The streamer's status."""
        return read_status(self.client, self.keys, "streamer")

    def tape(self, calendar: str) -> list[Event]:
        """Every event of a tape, whose seqs have no hole."""
        reader = TapeReader(self.client, self.keys, f"schwab.{calendar}")
        events: list[Event] = []
        after: Position | None = None
        while frames := reader.read(after, 1000):
            after = frames[-1].position
            events.extend(event for frame in frames for event in frame.events)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    def kill_store(self) -> None:
        """End the hot store as a crash does."""
        os.kill(int((self.root / "hot" / "server.pid").read_text()), signal.SIGKILL)
        wait_until(lambda: not self.server.alive(), "the end of the hot store")

    def revive_store(self) -> None:
        """Start the killed hot store again, in its folder and on its port."""
        self.server.start(self.root, self.server.port, self.memory_mb)

    def control(self, verb: str) -> None:
        """Ask the simulator to hold its market still or to let it go on."""
        self.play(verb)

    def play(self, verb: str, **fields: object) -> None:
        """Have something happen to the simulated market now."""
        url = f"http://127.0.0.1:{self.port}/control/{verb}"
        answer = httpx.post(url, json=fields, trust_env=False)
        assert answer.status_code == httpx.codes.OK, answer.text

    def market(self) -> dict[str, Any]:
        """What the simulator says of itself."""
        url = f"http://127.0.0.1:{self.port}/control/state"
        state: dict[str, Any] = httpx.get(url, trust_env=False).json()
        return state

    def close(self) -> None:
        """End what still runs."""
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.close()


@contextmanager
def staged(folder: Path, memory_mb: int = 128) -> Iterator[Stage]:
    """Yield a stage with its hot store; nothing of it is left afterwards."""
    server = EmbeddedServer()
    stage = Stage(folder, server, memory_mb)
    try:
        yield stage
    finally:
        stage.close()
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
