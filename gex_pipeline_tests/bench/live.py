"""`gex bench live`: the engine's own process on a whole market, from the tape to its channel."""

import re
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import redis

from gex_pipeline.engine.run import SERVICE
from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.clock import MarketClock
from gex_pipeline_tests.bench.engine import exp_ns
from gex_pipeline_tests.bench.frame import Bench, Op, held, machine
from gex_pipeline_tests.bench.live_feed import PER_S, START_NS, Sent, feed
from gex_pipeline_tests.bench.processes import (
    answer,
    any_core,
    apart,
    cpu_of,
    cpu_s,
    gex,
    helper,
    hot_store,
    memory_mb,
    needs_proc,
)

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
    needs_proc()
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
        url = stack.enter_context(hot_store(root, FIRST_PORT, MEMORY_MB))
        store = stack.enter_context(connect(url))
        stack.enter_context(apart(store))
        link = stack.enter_context(helper(feed, url, KEYS.prefix, seconds, dict(contracts)))
        answer(link, _PATIENCE_S, "the feed was not made")
        told = _environment(root, url, tuple(contracts))
        process = stack.enter_context(gex(root, "engine", environment=told, cores=any_core))
        heard = stack.enter_context(_listener(url, contracts))
        begin_ns = time.monotonic_ns() + 100_000_000
        publish_clock(store, KEYS, MarketClock(START_NS, begin_ns, 1.0))
        link.send(begin_ns)
        _sleep_until(begin_ns + round(WARM_UP_S * 1e9), process)
        before = _look(store, process.pid)
        _sleep_until(before.wall_ns + round(measured_s * 1e9), process)
        after = _look(store, process.pid)
        sent: list[Sent] = answer(link, _PATIENCE_S, "the feed did not end")
        time.sleep(TAIL_S)
        last, peak_mb = _look(store, process.pid), memory_mb(process.pid, "VmHWM")
        link.send((before.wall_ns, after.wall_ns))
        decode_s = float(answer(link, _PATIENCE_S, "its frames were not decoded"))
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


def _environment(root: Path, url: str, symbols: tuple[str, ...]) -> dict[str, str]:
    """Return what the engine is told; everything else is its default."""
    return {
        "GEX_SOURCE": "simulator",
        "GEX_DATA_DIR": str(root),
        "GEX_REDIS_URL": url,
        "GEX_SYMBOLS": ",".join(symbols),
    }


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
        int(task.name): cpu_of((task / "stat").read_text())
        for task in Path(f"/proc/{pid}/task").iterdir()
    }
    return _Stretch(wall_ns, cpu_s(pid), threads, status)


def _sleep_until(at_ns: int, process: subprocess.Popen[bytes]) -> None:
    while (left_s := (at_ns - time.monotonic_ns()) / 1e9) > 0:
        if process.poll() is not None:
            raise BenchInvalidError("the engine ended")
        time.sleep(min(left_s, 0.5))
