"""A real `gex serve` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from gex_pipeline_tests.serving.waiting import until

ROOT = Path(__file__).parents[2]


class Api(msgspec.Struct):
    """A running API: its process, address and local key."""

    process: "subprocess.Popen[bytes]"
    base: str
    key: str
    environment: dict[str, str]
    folder: Path

    @property
    def headers(self) -> dict[str, str]:
        """What a client with the local key sends."""
        return {"authorization": f"Bearer {self.key}"}

    def gex(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Return how a command of the same installation ended."""
        return subprocess.run(  # noqa: S603 # our own command
            [sys.executable, "-m", "gex_pipeline.cli", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self) -> int:
        """End it as a supervisor does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def api(url: str, folder: Path, **settings: str) -> Iterator[Api]:
    """Run the API on the store at this address until the block ends."""
    port = int(settings.pop("GEX_PORT", "") or free_port())
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GEX_SOURCE": "simulator",
        "GEX_SYMBOLS": "SPX,SPY",
        "GEX_DATA_DIR": str(folder / "data"),
        "GEX_REDIS_URL": url,
        "GEX_PORT": str(port),
        "GEX_LOG_FORMAT": "text",
        **settings,
    }
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # our own command
            [sys.executable, "-m", "gex_pipeline.cli", "serve"],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(base, process, log))
        key = (folder / "data" / "local_key").read_text().strip()
        yield Api(process, base, key, environment, folder)
    finally:
        process.kill()
        process.wait()


def _answers(base: str, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(f"{base}/startupz").status_code == 200
    except httpx.TransportError:
        return False
