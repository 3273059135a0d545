"""`gex bench live`: the engine's own process on a whole market, from the tape to its channel."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import redis

from gex_pipeline.engine.run import SERVICE
from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.clock import MarketClock
from gex_pipeline_tests.bench.engine import exp_ns
from gex_pipeline_tests.bench.frame import Bench, Op, held, machine
from gex_pipeline_tests.bench.live_feed import PER_S, START_NS, Sent, feed

CONTRACTS: Final = {"SPX": 29_000, "NDX": 13_000, "SPY": 12_000, "QQQ": 10_000}
KEYS: Final = Keys("sim:")
ROUNDS: Final = 200
"""That make an honest run; fewer or more change the stretch that is measured in proportion."""
MEASURED_S: Final = 70.0
WARM_UP_S: Final = 20.0
TAIL_S: Final = 3.0
"""Fed on behind the stretch, so that its last events are published."""
FIRST_PORT: Final = 21_690
MEMORY_MB: Final = 1024
FED_MIN: Final = 0.95
BEHIND_MAX_S: Final = 3.0
_PATIENCE_S: Final = 120.0
_TICK: Final = os.sysconf("SC_CLK_TCK")
_POSITION: Final = re.compile(rb'"(schwab\.[a-z]+)":"1-(\d+)"')

LIMITS: Final[dict[str, tuple[Op, float]]] = {
    "engine_core_share": ("<=", 0.25),
    "tape_to_snapshot_p99_ms": ("<=", 1000),
    "memory_mb": ("<=", 600),
}
PEERS: Final = {
    "market": ", ".join(f"{symbol} {count:,}" for symbol, count in CONTRACTS.items())
    + f" contracts on two tapes, {PER_S:,} option updates a second, spots, headers and heartbeats,"
    " a third tape with the futures of the indexes; made beforehand and sent in market time by a"
    " process of its own",
    "engine": "`gex engine` as it is started, with the share of a core that is the default of"
    " GEX_ENGINE_DUTY; all its threads, user and system",
    "tape_to_snapshot": "from just before a frame's XADD to the message of gex:SYMBOL:all whose"
    " position includes it: every frame with an event of the symbol, all symbols together",
    "memory": "the most that the process ever had resident, its start included",
    "decode": "only decoding the frames of the stretch into events, once",
    "floor": f"one numpy exp for each of {GEXC_1.scan_nodes} nodes and each contract that was"
    " folded, recorded seconds and previews",
}


class _Stretch(msgspec.Struct, frozen=True):
    """What is known of the engine at one moment."""

    wall_ns: int
    cpu_s: float
    threads_s: dict[int, float]
    status: dict[str, str]


class _Heard(msgspec.Struct, frozen=True):
    """Snapshots of one symbol: when each came, and after which event of its tape."""

    at_ns: list[int]
    seq: list[int]


def run(rounds: int) -> Bench:
    """Return the figures of the live engine; 200 rounds measure 70 seconds."""
    measured_s = max(MEASURED_S * rounds / ROUNDS, 5.0)
    if not Path("/proc/self/task").is_dir():
        raise BenchInvalidError("this system does not tell the CPU time of another process")
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as folder:
        figures = measure(Path(folder), measured_s)
    return Bench(
        bench="live",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


def measure(
    root: Path, measured_s: float, contracts: Mapping[str, int] = CONTRACTS
) -> dict[str, float]:
    """Return the figures of so many seconds of a market with these contracts.

    The engine may run on any core. With more than one the rest stays off the last.
    """
    seconds = round(WARM_UP_S + measured_s + TAIL_S)
    with ExitStack() as stack:
        url = stack.enter_context(_server(root))
        store = stack.enter_context(connect(url))
        stack.enter_context(_apart(store))
        link = stack.enter_context(_feeder(url, seconds, dict(contracts)))
        _await(link, "the feed was not made")
        link.recv()
        process = stack.enter_context(_engine(root, url, tuple(contracts)))
        heard = stack.enter_context(_listener(url, contracts))
        begin_ns = time.monotonic_ns() + 100_000_000
        publish_clock(store, KEYS, MarketClock(START_NS, begin_ns, 1.0))
        link.send(begin_ns)
        _sleep_until(begin_ns + round(WARM_UP_S * 1e9), process)
        before = _look(store, process.pid)
        _sleep_until(before.wall_ns + round(measured_s * 1e9), process)
        after = _look(store, process.pid)
        _await(link, "the feed did not end")
        sent: list[Sent] = link.recv()
        time.sleep(TAIL_S)
        last, peak_mb = _look(store, process.pid), _resident_mb(process.pid)
        link.send((before.wall_ns, after.wall_ns))
        _await(link, "its frames were not decoded")
        decode_s = float(link.recv())
    stretch = [one for one in sent if before.wall_ns <= one.sent_ns < after.wall_ns]
    figures = _figures(before, after, stretch, contracts, decode_s)
    figures |= _delays(_delays_ms(stretch, heard))
    figures |= {"interval_p50_ms": _interval_ms(heard, before, after), "memory_mb": peak_mb}
    _check(figures, last, sent)
    return figures


def _delays(delays_ms: Floats) -> dict[str, float]:
    return {
        "tape_to_snapshot_p50_ms": float(np.median(delays_ms)),
        "tape_to_snapshot_p90_ms": float(np.percentile(delays_ms, 90)),
        "tape_to_snapshot_p99_ms": float(np.percentile(delays_ms, 99)),
        "tape_to_snapshot_max_ms": float(delays_ms.max()),
    }


def _figures(
    before: _Stretch,
    after: _Stretch,
    stretch: list[Sent],
    contracts: Mapping[str, int],
    decode_s: float,
) -> dict[str, float]:
    wall_s = (after.wall_ns - before.wall_ns) / 1e9
    cpu_s = after.cpu_s - before.cpu_s
    threads = {
        thread: spent - before.threads_s.get(thread, 0.0)
        for thread, spent in after.threads_s.items()
    }
    loop = threads.pop(min(threads), 0.0)
    told = {
        name: float(after.status[name]) - float(before.status[name])
        for name in ("events", "seconds", "previews", "failed_writes", "holes")
    }
    beats_s = _beats_s(before, after)
    recorded_s = [
        (int(value) - int(before.status[name])) / 1e9
        for name, value in after.status.items()
        if name.startswith("recorded_ns:")
    ]
    each = exp_ns(20)
    folds = told["previews"] / len(contracts) + min(recorded_s)
    floor_s = folds * GEXC_1.scan_nodes * sum(contracts.values()) * each / 1e9
    return {
        "contracts": float(sum(contracts.values())),
        "measured_s": wall_s,
        "updates_per_s": sum(one.quotes for one in stretch) / wall_s,
        "events_taken_per_s": told["events"] / beats_s,
        "engine_core_share": cpu_s / wall_s,
        "loop_core_share": loop / wall_s,
        "fold_core_share": max(threads.values(), default=0.0) / wall_s,
        "previews_per_s": told["previews"] / beats_s,
        "recorded_share": min(recorded_s) / beats_s,
        "failed_writes": told["failed_writes"],
        "holes": told["holes"],
        "decode_core_share": decode_s / wall_s,
        "engine_to_decode": cpu_s / decode_s,
        "exp_ns": each,
        "floor_core_share": floor_s / wall_s,
        "engine_to_floor": cpu_s / floor_s,
    }


def _check(figures: dict[str, float], last: _Stretch, sent: list[Sent]) -> None:
    """Refuse a run whose figures mean nothing."""
    if figures["updates_per_s"] < FED_MIN * PER_S:
        raise BenchInvalidError(f"only {figures['updates_per_s']:,.0f} updates a second were fed")
    if figures["holes"] or figures["failed_writes"]:
        raise BenchInvalidError("the engine missed events, or could not write")
    if figures["recorded_share"] < FED_MIN:
        raise BenchInvalidError("the engine did not record every second in time")
    ends = {one.tape: one.last_seq for one in sent if one.quotes}
    for tape, seq in ends.items():
        if last.status[f"position:{tape}"] != f"1-{seq}":
            raise BenchInvalidError(f"the engine was still behind on {tape} {TAIL_S:.0f} s after")


def _delays_ms(stretch: list[Sent], heard: Mapping[str, _Heard]) -> Floats:
    """Return how long each frame of the stretch took to each of its symbols' snapshots."""
    sent: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in stretch:
        for symbol in one.symbols:
            if symbol in heard:  # a future is in no snapshot
                sent[symbol].append((one.last_seq, one.sent_ns))
    delays = []
    for symbol, frames in sent.items():
        seq, sent_ns = np.array(frames).T
        found = np.searchsorted(heard[symbol].seq, seq)
        if found.max() >= len(heard[symbol].seq):
            raise BenchInvalidError(f"the last events of {symbol} were never published")
        delays.append(np.array(heard[symbol].at_ns)[found] - sent_ns)
    return np.concatenate(delays) / 1e6


def _interval_ms(heard: Mapping[str, _Heard], before: _Stretch, after: _Stretch) -> float:
    gaps = []
    for one in heard.values():
        at_ns = np.array(one.at_ns)
        gaps.append(np.diff(at_ns[(at_ns >= before.wall_ns) & (at_ns < after.wall_ns)]))
    return float(np.median(np.concatenate(gaps))) / 1e6


def _beats_s(before: _Stretch, after: _Stretch) -> float:
    """Return the seconds between the two states that the engine told."""
    return (int(after.status["ts_ns"]) - int(before.status["ts_ns"])) / 1e9


# --- processes ------------------------------------------------------------------------------------


@contextmanager
def _server(root: Path) -> Iterator[str]:
    server = EmbeddedServer()
    server.start(root, FIRST_PORT, MEMORY_MB)
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def _apart(store: redis.Redis) -> Iterator[None]:
    """Keep server, feeder and listener off the last core, where there are two or more."""
    cores = sorted(os.sched_getaffinity(0))
    info: Any = store.info("server")
    if len(cores) > 1:
        for pid in (0, int(info["process_id"])):
            os.sched_setaffinity(pid, cores[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _feeder(url: str, seconds: int, contracts: dict[str, int]) -> Iterator[Connection]:
    context = get_context("spawn")
    link, other = context.Pipe()
    process = context.Process(target=feed, args=(other, url, KEYS.prefix, seconds, contracts))
    process.start()
    other.close()
    try:
        yield link
    finally:
        link.close()
        process.join(5)
        process.kill()
        process.join()


@contextmanager
def _engine(root: Path, url: str, symbols: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `gex engine` with the defaults of all that is not said here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GEX_")}
    told = {
        "GEX_SOURCE": "simulator",
        "GEX_DATA_DIR": str(root),
        "GEX_REDIS_URL": url,
        "GEX_SYMBOLS": ",".join(symbols),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with (root / "engine.log").open("wb") as log:
        process = subprocess.Popen(  # our own command
            [sys.executable, "-m", "gex_pipeline.cli", "engine"],
            cwd=root,
            env=kept | told,
            stdout=log,
            stderr=log,
            preexec_fn=_on_any_core,  # noqa: PLW1509 # before our threads; it sets one number
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _on_any_core() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


@contextmanager
def _listener(url: str, contracts: Mapping[str, int]) -> Iterator[dict[str, _Heard]]:
    """Note when which snapshot of the scope `all` comes, in a thread of its own."""
    channels = {KEYS.gex(symbol, "all").encode(): symbol for symbol in contracts}
    heard = {symbol: _Heard([], []) for symbol in contracts}
    stop = threading.Event()
    with connect(url) as store, store.pubsub(ignore_subscribe_messages=True) as messages:
        messages.subscribe(*channels)

        def listen() -> None:
            while not stop.is_set():
                message = messages.get_message(timeout=0.2)
                if message is None:
                    continue
                at_ns = time.monotonic_ns()
                found = _POSITION.search(message["data"])
                if found:
                    one = heard[channels[message["channel"]]]
                    one.at_ns.append(at_ns)
                    one.seq.append(int(found[2]))

        thread = threading.Thread(target=listen, name="listen")
        thread.start()
        try:
            yield heard
        finally:
            stop.set()
            thread.join()


def _look(store: redis.Redis, pid: int) -> _Stretch:
    """Return the engine's state; CPU and wall time are of the same moment."""
    status = read_status(store, KEYS, SERVICE)
    if not status:
        raise BenchInvalidError("the engine does not tell how it is")
    wall_ns = time.monotonic_ns()
    threads = {
        int(task.name): _cpu_s((task / "stat").read_text())
        for task in Path(f"/proc/{pid}/task").iterdir()
    }
    return _Stretch(wall_ns, _cpu_s(Path(f"/proc/{pid}/stat").read_text()), threads, status)


def _cpu_s(stat: str) -> float:
    """Return user and system time of a line of /proc: fields 14 and 15."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _resident_mb(pid: int) -> float:
    """Return the most that was resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6


def _await(link: Connection, fact: str) -> None:
    if not link.poll(_PATIENCE_S):
        raise BenchInvalidError(fact)


def _sleep_until(at_ns: int, process: subprocess.Popen[bytes]) -> None:
    while (left_s := (at_ns - time.monotonic_ns()) / 1e9) > 0:
        if process.poll() is not None:
            raise BenchInvalidError("the engine ended")
        time.sleep(min(left_s, 0.5))
