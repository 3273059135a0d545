"""Events, spools and senders of the hot store's tests."""

import datetime
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import redis

from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.market.events import OptionQuote, Quote, Trade

TAPE = "schwab.index"
MONDAY = datetime.date(2026, 1, 5)
TUESDAY = datetime.date(2026, 1, 6)
NOW_NS = 1_767_625_200_000_000_000
"""Monday, 10:00 in New York."""


def trade(price: float = 5000.0, symbol: str = "SPX", ts_ns: int = NOW_NS) -> Trade:
    """A trade of one lot."""
    return Trade(symbol, ts_ns, ts_ns, price=price, size=1.0)


def trades(count: int) -> list[Trade]:
    """Trades that differ."""
    return [trade(5000.0 + number / 4) for number in range(count)]


def quote(bid: float, ask: float, symbol: str = "SPY", ts_ns: int = NOW_NS) -> Quote:
    """A quote."""
    return Quote(symbol, ts_ns, ts_ns, bid=bid, ask=ask, bid_size=1.0, ask_size=2.0)


def option(number: int = 0, ts_ns: int = NOW_NS) -> OptionQuote:
    """A full option quote, different for each number."""
    return OptionQuote(
        f"SPXW  260105C{5_000_000 + number % 400 * 5_000:08d}",
        ts_ns + number * 1_000_000,
        ts_ns + number * 1_000_000 + 350_000,
        underlying="SPX",
        bid=12.3 + number % 7 / 10,
        ask=12.6 + number % 9 / 10,
        bid_size=float(10 + number % 13),
        ask_size=float(20 + number % 11),
        last=12.4,
        last_size=1.0,
        mark=12.45,
        iv=0.1432 + number % 17 / 1000,
        delta=0.5123,
        gamma=0.0021,
        theta=-3.21,
        vega=2.34,
        rho=0.12,
        open_interest=1234 + number % 31,
        volume=456 + number,
        underlying_price=5012.25,
    )


def seqs(spool: Spool, after: int = 0) -> list[int]:
    """The seqs that a spool still gives."""
    frames = (decode_frame(data) for data in spool.read_after(after))
    return [event.seq for frame in frames for event in frame.events]


def fill(folder: Path, frames: int = 6, size: int = 5) -> int:
    """Write a spool of small frames and close it; return its last seq."""
    with Spool.open(folder, TAPE) as spool:
        for _ in range(frames):
            spool.append(trades(size), MONDAY)
        return spool.last_seq


def newest_segment(folder: Path) -> Path:
    """The segment that was written last."""
    return sorted(folder.glob("*.seg"))[-1]


def entries(client: redis.Redis, name: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of a stream."""
    found: Any = client.xrange(name)
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", found)


def sent_seqs(client: redis.Redis, keys: Keys, tape: str = TAPE) -> list[int]:
    """The seqs on the tape, in its order."""
    frames = (decode_frame(fields[FIELD]) for _, fields in entries(client, keys.tape(tape)))
    return [event.seq for frame in frames for event in frame.events]


@contextmanager
def running(sender: Sender) -> Iterator[list[BaseException]]:
    """Run a sender in a thread; gives the errors that ended it."""
    stop, errors = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            sender.run(stop)
        except Exception as error:  # noqa: BLE001 # the test looks at it
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join()


def eventually(condition: Callable[[], bool], patience_s: float = 30.0) -> bool:
    """Return whether the condition comes true; the patience is for a machine that stands still."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def kill(server: EmbeddedServer, root: Path) -> None:
    """Kill a server as a crash does, and wait until it is gone."""
    os.kill(int((root / "hot" / "server.pid").read_text()), signal.SIGKILL)
    assert eventually(lambda: not server.alive())
