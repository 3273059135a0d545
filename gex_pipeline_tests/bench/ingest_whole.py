"""The streamer against a simulator of full size: its start, a whole chain, and the way back."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.events import ChainHeader, Event, Gap
from gex_pipeline_tests.bench.processes import any_core, apart, gex, hot_store

CHAIN: Final = 29_000
"""Contracts that the time of a chain is scaled to: the simulator lists about as many."""
SYMBOLS: Final = 500
CUT_S: Final = 1.0
KEYS: Final = Keys("sim:")
FIRST_PORT: Final = 21_890
MEMORY_MB: Final = 1_024
_PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.1


def measure(root: Path) -> dict[str, float]:
    """Return the seconds to everything subscribed, to a whole chain, and without data at a cut."""
    root.mkdir()
    port_file = root / "sim" / "simulator" / "port"
    with (
        hot_store(root, FIRST_PORT, MEMORY_MB) as url,
        connect(url) as store,
        apart(store),
        _simulator(root, port_file) as port,
    ):
        told = {
            "GEX_SOURCE": "simulator",
            "GEX_DATA_DIR": str(root),
            "GEX_REDIS_URL": url,
            "GEX_SYMBOLS": "SPX",
            "GEX_SIMULATOR_PORT": str(port),
        }
        started_s = time.monotonic()
        with gex(root, "stream", environment=told, cores=any_core) as process:
            stage = _Stage(store, process)
            streams_s = stage.until(lambda said: said.get("state") == "streaming") - started_s
            chain_s = stage.until(lambda said: int(said.get("chain_rounds", 0)) > 0) - started_s
            full_s = stage.until(lambda said: int(said["symbols"]) >= SYMBOLS) - started_s
            contracts = sum(
                event.contracts
                for event in stage.events()
                if isinstance(event, ChainHeader) and event.complete
            )
            _post(port, "cut", for_s=CUT_S)
            back_s = stage.gap_s()
    return {
        "streams_s": streams_s,
        "start_s": full_s,
        "chain_contracts": float(contracts),
        "chain_s": chain_s * CHAIN / contracts,
        "back_s": back_s,
    }


class _Stage:
    def __init__(self, store: redis.Redis, process: subprocess.Popen[bytes]) -> None:
        self._store = store
        self._process = process
        self._tape = TapeReader(store, KEYS, "schwab.index")
        self._after: Position | None = None

    def until(self, holds: Callable[[dict[str, str]], bool]) -> float:
        """Return when the streamer's status says so, monotonic seconds; it is told each second."""
        self._await(lambda: bool(status := self._status()) and holds(status))
        return time.monotonic()

    def events(self) -> list[Event]:
        """Return what is new on the tape."""
        found: list[Event] = []
        while frames := self._tape.read(self._after):
            self._after = frames[-1].position
            found.extend(event for frame in frames for event in frame.events)
        return found

    def gap_s(self) -> float:
        """Return how long the next gap on the tape is."""
        gaps: list[Gap] = []

        def looks() -> bool:
            gaps.extend(e for e in self.events() if isinstance(e, Gap) and e.cause == "disconnect")
            return bool(gaps)

        self._await(looks)
        return (gaps[0].ts_to_ns - gaps[0].ts_from_ns) / 1e9

    def _status(self) -> dict[str, str]:
        return read_status(self._store, KEYS, "streamer")

    def _await(self, holds: Callable[[], bool]) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while not holds():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise BenchInvalidError(f"the streamer stands at {self._status()}")
            time.sleep(_LOOK_S)


@contextmanager
def _simulator(root: Path, port_file: Path) -> Iterator[int]:
    told = {"GEX_DATA_DIR": str(root)}
    with gex(root, "simulate", "--port", "0", environment=told, cores=any_core) as process:
        until_s = time.monotonic() + _PATIENCE_S
        while not port_file.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise BenchInvalidError("the simulator did not start")
            time.sleep(_LOOK_S)
        yield int(port_file.read_text())


def _post(port: int, verb: str, **fields: Any) -> None:
    url = f"http://127.0.0.1:{port}/control/{verb}"
    with urllib.request.urlopen(url, json.dumps(fields).encode(), timeout=10):  # ours
        pass
