"""`gex bench ingest`: the streamer's own process, from a socket's frames to the tape's entries."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np
import redis

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.simulator.wall import wall_ns
from gex_pipeline_tests.bench import ingest_peer, ingest_tape, ingest_whole, ingest_wire
from gex_pipeline_tests.bench.frame import Bench, Op, held, machine
from gex_pipeline_tests.bench.ingest_tape import Read
from gex_pipeline_tests.bench.ingest_wire import ITEMS, PATHS, Sent, Wire, make_wire
from gex_pipeline_tests.bench.processes import (
    answer,
    apart,
    cpu_s,
    gex,
    helper,
    hot_store,
    last_core,
    memory_mb,
    needs_proc,
)

ROUNDS: Final = 200
"""That make an honest run; fewer or more change what is sent in proportion."""
PACE_PER_S: Final = 50_000
TURNS: Final = 3
"""Ours at the pace, then the peer, so often; medians of them."""
PACED_S: Final = 8.0
PEER_FRAMES: Final = 80
FLAT_FRAMES: Final = 25_000
FIRST_PORT: Final = 21_890
MEMORY_MB: Final = 2_048
_WARM_UP_S: Final = 2.0
_PATIENCE_S: Final = 120.0
_LOOK_S: Final = 0.05

LIMITS: Final[dict[str, tuple[Op, float]]] = {
    "updates_per_s": (">=", 1.5e5),
    "lost": ("<=", 0),
    "memory_growth_mb": ("<=", 64),
    "frame_to_tape_p99_ms": ("<=", 15),
    "cpu_vs_peer": (">=", 12),
    "start_s": ("<=", 10),
    "chain_s": ("<=", 30),
    "back_s": ("<=", 10),
}
PEERS: Final = {
    "feed": f"frames of {ITEMS} items made beforehand: a full image of {ingest_wire.CONTRACTS:,}"
    f" contracts of two underlyings and {len(ingest_wire.SHARES)} shares, then deltas of four"
    f" fields, {ingest_wire.SHARE_ITEMS} items of each frame of shares; sent by a process of its"
    " own over a websocket, without compression",
    "streamer": "`gex stream` as it is started for Schwab, with the defaults of all settings, on"
    " one core; all its threads, user and system; its spool on the disk, and all that its senders"
    " derive from the tape: last:, ticks:, options: and messages",
    "updates": f"flat out: {FLAT_FRAMES:,} frames as fast as they are taken, from the first frame"
    " sent to the last event read from the tape in the hot store; an update is an item of a frame",
    "lost": "events that were not on the tape, not dense in seq, or not the next one of the feed",
    "memory": "what was resident most over what was after the first seconds",
    "frame_to_tape": f"at {PACE_PER_S:,} updates a second: from the moment a frame is sent, which"
    " every item in it has as its vendor's time, to the entry in the hands of a reader of the tape",
    "peer": "schwab-py's own handlers with orjson, then one awaited redis-py XADD an event, the"
    " same frames and server; CPU an update of its process, flat out, because it cannot keep the"
    " pace; ours is at the pace",
    "start": "`gex stream` against `gex simulate` of full size, from the start of its process:"
    f" streams_s until data flow, start_s until all {ingest_whole.SYMBOLS} symbols are subscribed,"
    f" chain_s until the chain of SPX is on the tape whole, scaled to {ingest_whole.CHAIN:,}",
    "back": f"how long the tape says it had no data when the simulator cuts the stream for"
    f" {ingest_whole.CUT_S:g} s",
}


class _Spent(msgspec.Struct, frozen=True):
    """What frames took."""

    sent: Sent
    read: Read
    updates: int
    cpu_s: float

    @property
    def us(self) -> float:
        """CPU of an update."""
        return self.cpu_s / self.updates * 1e6

    @property
    def wall_s(self) -> float:
        """From the first frame sent to the last event read."""
        return (self.read.newest_ns - self.sent.begin_ns) / 1e9


def run(rounds: int) -> Bench:
    """Return the figures of the streamer; 200 rounds send 2.5 million updates flat out."""
    needs_proc()
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as folder:
        figures = measure(Path(folder) / "feed", rounds / ROUNDS)
        figures |= ingest_whole.measure(Path(folder) / "whole")
    return Bench(
        bench="ingest",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


def measure(root: Path, share: float) -> dict[str, float]:
    """Return the figures; `share` of the frames are sent."""
    root.mkdir()
    wire = make_wire(et_datetime(wall_ns()).date())
    with ExitStack() as stack:
        url = stack.enter_context(hot_store(root, FIRST_PORT, MEMORY_MB))
        store = stack.enter_context(connect(url))
        stack.enter_context(apart(store))
        server = stack.enter_context(helper(ingest_wire.serve))
        port = int(answer(server, _PATIENCE_S, "the server did not start"))
        tape = stack.enter_context(helper(ingest_tape.watch, url, wire))
        stack.callback(tape.send, None)
        peer = stack.enter_context(helper(ingest_peer.stream, url, port))
        pid = int(answer(peer, _PATIENCE_S, "the peer did not sign in"))
        with _streamer(root, url, port, store) as process:
            stage = _Stage(wire, server, tape, process, store, pid)
            return stage.measure(share)


class _Stage:
    """The processes, and how many events are expected so far."""

    def __init__(
        self,
        wire: Wire,
        server: Connection,
        tape: Connection,
        process: subprocess.Popen[bytes],
        store: redis.Redis,
        peer_pid: int,
    ) -> None:
        self._server = server
        self._tape = tape
        self._process = process
        self._store = store
        self._peer_pid = peer_pid
        self._expected = 0
        self._of_images = sum(map(len, wire.of_images.values()))
        self._of_delta = sum(map(len, wire.of_deltas.values())) / len(wire.deltas)
        self._most_mb = 0.0

    def measure(self, share: float) -> dict[str, float]:
        """Return the figures."""
        self._order("images", PATHS[0])
        self._await_tape(self._of_images)
        self._paced(_WARM_UP_S)
        first_mb = memory_mb(self._process.pid)
        ours, peers = [], []
        for _ in range(TURNS):
            ours.append(self._paced(max(PACED_S * share, 1.0)))
            peers.append(self._peer(max(round(PEER_FRAMES * share), 10)))
        flat = self._ours(max(round(FLAT_FRAMES * share), 500), None)
        ages_ms = np.concatenate([each.read.ages_ms for each in ours])
        us, peer_us = median(each.us for each in ours), median(peers)
        return {
            "updates": float(flat.updates),
            "updates_per_s": flat.updates / flat.wall_s,
            "updates_per_cpu_s": flat.updates / flat.cpu_s,
            "cpu_us_flat_out": flat.us,
            "sent_per_s": flat.updates / ((flat.sent.end_ns - flat.sent.begin_ns) / 1e9),
            "lost": float(flat.read.missing + flat.read.strange),
            "memory_mb": self._most_mb,
            "memory_growth_mb": self._most_mb - first_mb,
            "paced_per_s": median(
                each.updates / ((each.sent.end_ns - each.sent.begin_ns) / 1e9) for each in ours
            ),
            "frame_to_tape_p50_ms": float(np.median(ages_ms)),
            "frame_to_tape_p99_ms": float(np.percentile(ages_ms, 99)),
            "frame_to_tape_max_ms": float(ages_ms.max()),
            "cpu_us": us,
            "peer_cpu_us": peer_us,
            "cpu_vs_peer": peer_us / us,
        }

    def _paced(self, seconds: float) -> _Spent:
        spent = self._ours(round(seconds * PACE_PER_S / ITEMS), PACE_PER_S / ITEMS)
        rate = spent.updates / ((spent.sent.end_ns - spent.sent.begin_ns) / 1e9)
        if rate < 0.97 * PACE_PER_S:
            raise BenchInvalidError(f"only {rate:,.0f} updates a second were sent")
        return spent

    def _ours(self, frames: int, per_s: float | None) -> _Spent:
        """Send frames to the streamer and wait until the last event is read."""
        self._look()
        before_s = cpu_s(self._process.pid)
        sent = self._order("deltas", PATHS[0], frames, per_s)
        read = self._await_tape(round(frames * self._of_delta))
        return _Spent(sent, read, frames * ITEMS, cpu_s(self._process.pid) - before_s)

    def _peer(self, frames: int) -> float:
        """Return the CPU of an update at the peer, microseconds."""
        self._store.delete(ingest_peer.STREAM)
        before_s = cpu_s(self._peer_pid)
        self._order("deltas", PATHS[1], frames, None)
        self._await(lambda: self._entries() >= frames * ITEMS, "the peer did not end")
        return (cpu_s(self._peer_pid) - before_s) / (frames * ITEMS) * 1e6

    def _entries(self) -> int:
        length: Any = self._store.xlen(ingest_peer.STREAM)
        return int(length)

    def _order(self, *words: object) -> Sent:
        self._server.send(words)
        while not self._server.poll(_LOOK_S):
            self._look()
        sent: Sent = self._server.recv()
        return sent

    def _await_tape(self, more: int) -> Read:
        """Return what was read once so many more events are on the tape."""
        self._expected += more
        reads = [self._read()]
        self._await(lambda: self._reached(reads), "events of the feed are not on the tape")
        if reads[-1].events > self._expected:
            raise BenchInvalidError("more events are on the tape than were sent")
        ages_ms = np.concatenate([each.ages_ms for each in reads])
        return msgspec.structs.replace(reads[-1], ages_ms=ages_ms)

    def _reached(self, reads: list[Read]) -> bool:
        reads.append(self._read())
        return reads[-1].events >= self._expected

    def _read(self) -> Read:
        self._tape.send(True)
        read: Read = answer(self._tape, _PATIENCE_S, "the reader of the tape is gone")
        return read

    def _await(self, holds: Callable[[], bool], fact: str) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while not holds():
            if time.monotonic() > until_s:
                raise BenchInvalidError(fact)
            time.sleep(_LOOK_S)
            self._look()

    def _look(self) -> None:
        """Measure the memory; refuse to go on without the streamer."""
        if self._process.poll() is not None:
            raise BenchInvalidError("the streamer ended")
        self._most_mb = max(self._most_mb, memory_mb(self._process.pid))


@contextmanager
def _streamer(
    root: Path, url: str, port: int, store: redis.Redis
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `gex stream` against the server, signed in, on the last core; give it once it streams."""
    tokens = root / "tokens"
    token = {"access_token": "bench", "refresh_token": "bench", "token_type": "Bearer"}
    now_s = wall_ns() // 1_000_000_000
    stored = {"creation_timestamp": now_s, "token": token | {"expires_at": now_s + 86_400}}
    TokenStore(tokens).write(stored)
    environment = {
        "GEX_SOURCE": "schwab",
        "GEX_DATA_DIR": str(root),
        "GEX_REDIS_URL": url,
        "GEX_TOKENS_DIR": str(tokens),
        "SCHWAB_BASE_URL": f"http://127.0.0.1:{port}",
        "SCHWAB_CLIENT_ID": "bench",
        "SCHWAB_CLIENT_SECRET": "bench",
    }
    with gex(root, "stream", environment=environment, cores=last_core) as process:
        until_s = time.monotonic() + _PATIENCE_S
        while not int(read_status(store, Keys(), "streamer").get("connections", 0)):
            if process.poll() is not None or time.monotonic() > until_s:
                raise BenchInvalidError("the streamer did not sign in")
            time.sleep(_LOOK_S)
        yield process
