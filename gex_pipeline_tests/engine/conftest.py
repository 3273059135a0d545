"""A hot store of the tests' own, and a tape in it that a hand-made feed fills."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis

from gex_pipeline.engine.aside import Aside
from gex_pipeline.engine.run import Engine, Plan
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, decode_frame, encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.market.events import Event, GexSecond
from gex_pipeline_tests.engine.builders import TAPE, numbered
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

_numbers = itertools.count(1)
PATIENCE_S = 20.0
Found = TypeVar("Found")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A real server on a free port."""
    server = EmbeddedServer()
    server.start(tmp_path_factory.mktemp("hot"), first_port=7390, maxmemory_mb=256)
    yield server
    server.stop()


class Market:
    """A feed by hand, the engine that reads it, and what readers see of that."""

    def __init__(self, server: EmbeddedServer, root: Path) -> None:
        self.server, self.root = server, root
        self.keys = Keys(f"sim{next(_numbers)}:")
        self.store: redis.Redis = connect(server.url)
        self.now_ns = ASOF_NS
        self.epoch = 1
        """Of the tape's owner."""
        self._seq = 0

    def tell(self, events: list[Event]) -> None:
        """Put events on the tape, in frames, and let market time reach the newest."""
        for start in range(0, len(events), MAX_EVENTS):
            part = numbered(events[start : start + MAX_EVENTS], self._seq + 1)
            frame = Frame(TAPE, self.epoch, self._seq + 1, self._seq + len(part), DAY, part)
            self._seq = frame.last_seq
            self.store.xadd(
                self.keys.tape(TAPE), {b"f": encode_frame(frame)}, id=str(frame.position)
            )
        self.now_ns = max(self.now_ns, events[-1].ts_recv_ns)

    @property
    def position(self) -> str:
        """Id of the newest entry of the tape."""
        return f"{self.epoch}-{self._seq}"

    def engine(self, *symbols: str, publish_per_s: float = 10.0) -> Engine:
        """Return an engine that is not running yet."""
        plan = Plan(
            symbols=symbols or ("SPX",),
            source="simulator",
            mode="simulated",
            root=self.root,
            duty=1.0,
            publish_per_s=publish_per_s,
        )
        return Engine(plan, self.store, self.keys, lambda: self.now_ns)

    def running(self, *symbols: str) -> Aside:
        """Return a running engine for a `with`; it has ended behind it."""
        return Aside(self.engine(*symbols).run, threading.Event(), "engine")

    def snapshot(self, scope: str = "all", symbol: str = "SPX") -> dict[str, Any]:
        """Return the published snapshot, {} before there is one."""
        data: Any = self.store.get(self.keys.gex(symbol, scope))
        return dict(msgspec.json.decode(data)) if data else {}

    def recorded(self) -> list[Event]:
        """Return what the engine recorded, in the order of its tape."""
        entries: Any = self.store.xrange(self.keys.tape("gex.index"))
        return [event for _, entry in entries for event in decode_frame(entry[b"f"]).events]

    def seconds(self) -> list[GexSecond]:
        """Return the recorded rows, in the order of the tape."""
        return [event for event in self.recorded() if isinstance(event, GexSecond)]


@pytest.fixture
def market(server: EmbeddedServer, tmp_path: Path) -> Iterator[Market]:
    """A namespace and a root of this test alone."""
    market = Market(server, tmp_path)
    yield market
    market.store.close()


def wait_until(holds: Callable[[], Found]) -> Found:
    """Return what holds once it does; fail when it does not come."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.01)
    return found
