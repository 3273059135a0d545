"""`gex bench tape`: events through spool and hot store, at load, flat out and after an outage."""

import datetime
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import redis

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.batch import pack_events, unpack_events
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import MAX_EVENTS, Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.codec import encode_json
from gex_pipeline.market.events import Event
from gex_pipeline_tests.bench.frame import Bench, Op, best_half, held, machine
from gex_pipeline_tests.bench.market import SHARES, market
from gex_pipeline_tests.bench.tape_reader import GIVE_UP, read_tape

TAPE: Final = "bench.index"
KEYS: Final = Keys("bench:")
DAY: Final = datetime.date(2026, 1, 5)
ROUNDS: Final = 200
"""That make an honest run; fewer shorten it in proportion."""
LOAD_PER_S: Final = 20_000
LOAD_S: Final = 15.0
OFFERED_PER_S: Final = 270_000
SUSTAINED_S: Final = 60.0
PROJECTED_S: Final = 10.0
OUTAGE_S: Final = 100.0
ENTRIES: Final = 100_000
DAY_EVENTS: Final = 400_000
POOL: Final = 51_200
FIRST_PORT: Final = 21_490
MEMORY_MB: Final = 512
_FLUSH_S: Final = 0.005
_PATIENCE_S: Final = 60.0

LIMITS: Final[dict[str, tuple[Op, float]]] = {
    "spool_us_per_event": ("<=", 2),
    "sustained_events_per_s": (">=", 2.5e5),
    "lost": ("<=", 0),
    "catch_up_events_per_s": (">=", 4e5),
    "hot_vs_entry": (">=", 1.9),
    "disk_vs_json": (">=", 8),
}
PEERS: Final = {
    "events": ", ".join(f"{share:.0%} {kind}" for kind, share in SHARES.items())
    + ": prices that walk on ticks, sizes, volatilities and greeks that move",
    "spool": f"{LOAD_PER_S:,} events a second, flushed each {_FLUSH_S * 1000:.0f} ms, fsync each"
    " 50 ms: CPU of append, from events just made, and of the spool's own thread",
    "sustained": f"{SUSTAINED_S:.0f} s of {OFFERED_PER_S:,} events a second offered: spool, sender,"
    " server, and a process that reads the tape and sees that no seq is missing;"
    f" {MEMORY_MB} MB of server memory, trimmed behind the reader",
    "projected": f"the same for {PROJECTED_S:.0f} s with last:, ticks:, options: and messages: no"
    " limit is set for it; a live feed brings a twentieth of it",
    "catch_up": f"the server comes back after {OUTAGE_S:.0f} s at {LOAD_PER_S:,} a second: the"
    " backlog by wall time, all keys up to date, messages older than 10 s counted instead of sent",
    "json": "one JSON object and a line end an event, against the day files of the same"
    f" {DAY_EVENTS:,} events, made by archive and end of day",
    "entry": "a stream with one msgpack entry an event, the same events and server, MEMORY USAGE",
}


def run(rounds: int) -> Bench:
    """Return the figures of the tape; 200 rounds are the whole 60 seconds."""
    share = rounds / ROUNDS
    pool = list(itertools.islice(market(LOAD_PER_S), POOL))
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as folder:
        root = Path(folder)
        figures = spool_cost(root / "load", pool, LOAD_S * share)
        with server_of(root) as store:
            figures |= memory(root / "memory", pool, store)
            store.flushall()
            figures |= disk(root / "day", store)
            store.flushall()
            figures |= sustained(root / "sustained", pool, store, SUSTAINED_S * share)
            store.flushall()
            beside = sustained(root / "beside", pool, store, PROJECTED_S * share, publish=True)
            figures |= {
                "projected_events_per_s": beside["sustained_events_per_s"],
                "projected_lost": beside["lost"],
                "projection_errors": beside["projection_errors"],
            }
            store.flushall()
            figures |= catch_up(root / "outage", store, OUTAGE_S * share)
    return Bench(
        bench="tape",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


@contextmanager
def server_of(root: Path) -> Iterator[redis.Redis]:
    """An embedded server of this bench alone."""
    server = EmbeddedServer()
    server.start(root, FIRST_PORT, MEMORY_MB)
    try:
        with connect(server.url) as store:
            yield store
    finally:
        server.stop()


# --- the spool at load ----------------------------------------------------------------------------


def spool_cost(folder: Path, pool: Sequence[Event], seconds: float) -> dict[str, float]:
    """Return the CPU that a spooled event costs at a steady load: of `append` and of its keeper.

    Events are made just before, as a feed does; that is not counted. The better half of seconds.
    """
    size = int(LOAD_PER_S * _FLUSH_S)
    batches = [pack_events(pool[at : at + size]) for at in range(0, len(pool) - size, size)]
    with Spool.open(folder, TAPE) as spool:
        costs = [_second(batches, spool) / LOAD_PER_S / 1e3 for _ in range(max(round(seconds), 4))]
        spooled, events = spool.state().size_bytes, spool.last_seq
    return {
        "spool_us_per_event": best_half(np.sort(costs)),
        "spool_bytes_per_event": spooled / events,
    }


def _second(batches: Sequence[bytes], spool: Spool) -> int:
    """Return the CPU time that a second of events took to spool."""
    start_s, cost_ns = time.monotonic(), 0
    process_ns, thread_ns = time.process_time_ns(), time.thread_time_ns()
    for number in range(round(1 / _FLUSH_S)):
        events = unpack_events(batches[number % len(batches)])
        before_ns = time.thread_time_ns()
        spool.append(events, DAY)
        cost_ns += time.thread_time_ns() - before_ns
        time.sleep(max(0.0, start_s + (number + 1) * _FLUSH_S - time.monotonic()))
    ours_ns = time.thread_time_ns() - thread_ns
    return cost_ns + time.process_time_ns() - process_ns - ours_ns


# --- memory ---------------------------------------------------------------------------------------


def memory(folder: Path, pool: Sequence[Event], store: redis.Redis) -> dict[str, float]:
    """Return the server's memory of the same events as frames and as entries."""
    events = list(itertools.islice(itertools.cycle(pool), ENTRIES))
    with Spool.open(folder, TAPE) as spool:
        _fill(spool, events)
        Sender(store, KEYS, spool, publish=False).pump()
    encode = msgspec.msgpack.Encoder().encode
    for start in range(0, len(events), 1_000):
        with store.pipeline(transaction=False) as pipe:
            for event in events[start : start + 1_000]:
                pipe.xadd("entries", {b"e": encode(event)})
            pipe.execute()
    frames = _size(store, KEYS.tape(TAPE)) / len(events)
    entries = _size(store, "entries") / len(events)
    return {
        "frame_bytes_per_event": frames,
        "entry_bytes_per_event": entries,
        "hot_vs_entry": entries / frames,
    }


def _size(store: redis.Redis, key: str) -> int:
    size: Any = store.memory_usage(key, samples=0)
    return int(size)


def _fill(spool: Spool, events: Sequence[Event]) -> None:
    for start in range(0, len(events), MAX_EVENTS):
        spool.append(events[start : start + MAX_EVENTS], DAY)


# --- day files ------------------------------------------------------------------------------------


def disk(root: Path, store: redis.Redis) -> dict[str, float]:
    """Return the bytes of a day's Parquet files, and of the same events as one JSON object each."""
    events = list(itertools.islice(market(LOAD_PER_S, seed=3), DAY_EVENTS))
    with Spool.open(root / "spool" / TAPE, TAPE) as spool:
        _fill(spool, events)
        Sender(store, KEYS, spool, publish=False).pump()
    paths, origin = LakePaths(root), Origin("bench", "simulated", TAPE)
    archive_tape(HotSource(store, KEYS, root / "spool"), paths, origin)
    (day,) = days_of(read_chain(paths, TAPE))
    compact(paths, day)
    files = [path for path in paths.lake.rglob("date=*/*.parquet") if path.is_file()]
    parquet = sum(path.stat().st_size for path in files) / len(events)
    some = events[::20]
    objects = sum(len(encode_json(event)) + 1 for event in some) / len(some)
    return {
        "parquet_bytes_per_event": parquet,
        "json_bytes_per_event": objects,
        "disk_vs_json": objects / parquet,
    }


# --- flat out -------------------------------------------------------------------------------------


def sustained(
    folder: Path,
    pool: Sequence[Event],
    store: redis.Redis,
    seconds: float,
    *,
    publish: bool = False,
) -> dict[str, float]:
    """Return the rate that a tape keeps up, and what a reader at its end did not see.

    With `publish` all that is derived from it goes out as well.
    """
    url = _url(store)
    with (
        Spool.open(folder, TAPE) as spool,
        SyncManager(ctx=get_context("spawn")) as shared,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as others,
    ):
        place = shared.Value("q", -1)
        last = shared.Value("q", -1)
        reader = others.submit(read_tape, url, KEYS.tape(TAPE), place, last)
        sender = Sender(store, KEYS, spool, publish=publish, folded=_Folded(spool, place))
        while place.value < 0 and not reader.done():
            time.sleep(0.05)
        rss = _Rss()
        with _running(sender):
            start_s, cpu_s = time.monotonic(), time.process_time()
            _offer(spool, pool, seconds, rss)
            last.value = spool.last_seq
            try:
                read, missing = _awaited(reader)
            finally:
                last.value = GIVE_UP
            elapsed_s, cpu_s = time.monotonic() - start_s, time.process_time() - cpu_s
        state = sender.state()
    if state.problem:
        raise BenchInvalidError(f"the sender had a problem: {state.problem}")
    return {
        "sustained_events_per_s": read / elapsed_s,
        "sustained_s": elapsed_s,
        "sustained_cpu_us_per_event": cpu_s / read * 1e6,
        "lost": float(spool.last_seq - read + missing),
        "rss_growth_mb": rss.growth_mb,
        "server_peak_mb": int(_info(store, "memory")["used_memory_peak"]) / 2**20,
        "trimmed_entries": float(state.trimmed),
        "projection_errors": float(state.projection_errors),
    }


class _Folded:
    """The reader's place, asked for at most ten times a second."""

    def __init__(self, spool: Spool, place: Any) -> None:
        self._spool, self._place = spool, place

    def __call__(self) -> Position:
        return Position(self._spool.epoch, int(self._place.value))


class _Rss:
    """How much the memory of this process grew after its first seconds."""

    def __init__(self) -> None:
        self._first = self._most = 0
        self._from = time.monotonic() + 2.0

    def look(self) -> None:
        """Measure now."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        now = pages * os.sysconf("SC_PAGE_SIZE")
        if time.monotonic() < self._from or not self._first:
            self._first = now
        self._most = max(self._most, now)

    @property
    def growth_mb(self) -> float:
        """In megabytes."""
        return (self._most - self._first) / 2**20


def _offer(spool: Spool, pool: Sequence[Event], seconds: float, rss: _Rss) -> None:
    """Append frames at the offered rate, or as fast as it goes."""
    frames = [pool[at : at + MAX_EVENTS] for at in range(0, len(pool), MAX_EVENTS)]
    start_s = time.monotonic()
    for number in range(int(OFFERED_PER_S * seconds / MAX_EVENTS)):
        spool.append(frames[number % len(frames)], DAY)
        if number % 1_000 == 0:
            rss.look()
        ahead_s = start_s + (number + 1) * MAX_EVENTS / OFFERED_PER_S - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)
        if time.monotonic() - start_s > seconds:
            return


@contextmanager
def _running(sender: Sender) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _awaited(reader: "Future[tuple[int, int]]") -> tuple[int, int]:
    try:
        return reader.result(timeout=_PATIENCE_S)
    except TimeoutError as error:
        raise BenchInvalidError("the reader did not reach the end of the tape") from error


def _info(store: redis.Redis, section: str) -> dict[str, Any]:
    info: Any = store.info(section)
    return dict(info)


def _url(store: redis.Redis) -> str:
    how = store.connection_pool.connection_kwargs
    return f"redis://:{how['password']}@{how['host']}:{how['port']}/0"


# --- after an outage ------------------------------------------------------------------------------


def catch_up(folder: Path, store: redis.Redis, seconds: float) -> dict[str, float]:
    """Return how fast a backlog goes out when the server is back."""
    with Spool.open(folder, TAPE) as spool:
        _fill(spool, list(itertools.islice(market(LOAD_PER_S, seed=2), int(LOAD_PER_S * seconds))))
        sender = Sender(store, KEYS, spool)
        start_s, cpu_s = time.monotonic(), time.thread_time()
        sent = sender.pump()
        elapsed_s, cpu_s = time.monotonic() - start_s, time.thread_time() - cpu_s
        if sent != spool.last_seq:
            raise BenchInvalidError(f"{sent} of {spool.last_seq} events were sent")
        return {
            "catch_up_events_per_s": sent / elapsed_s,
            "catch_up_cpu_us_per_event": cpu_s / sent * 1e6,
            "catch_up_unpublished": float(sender.state().unpublished),
        }
