"""`gex bench replay`: recorded days from the lake into the hot store, as fast as it goes."""

import datetime
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Position, position_of
from gex_pipeline.hot.session import session_keys
from gex_pipeline.hot.tape import tape_end
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.arrays import Bools
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.market.tables import HEARTBEATS, OPTION_QUOTES, QUOTES, TRADES, Table
from gex_pipeline.replay.generation import Generation
from gex_pipeline.replay.namespace import remove
from gex_pipeline.replay.plan import Plan, find_start, tracks
from gex_pipeline.replay.source import LakeSource
from gex_pipeline_tests.bench.frame import Bench, Op, held, machine
from gex_pipeline_tests.bench.lake_data import commit_day, filled
from gex_pipeline_tests.bench.option_flow import OPEN_NS, OptionFlow

ROUNDS: Final = 200
"""That make an honest run; fewer shorten it in proportion."""
EVENTS: Final = 2_000_000
PER_S: Final = 20_000
TICKS: Final = 0.09
"""Quotes and trades, of all events; the rest are quotes of options."""
PLAYED: Final = 3
DAY: Final = datetime.date(2026, 11, 20)
FIRST_PORT: Final = 22_490
MEMORY_MB: Final = 512
SESSION: Final = "bench"
_SYMBOLS: Final = ("SPX", "SPY", "QQQ", "NDX")

LIMITS: Final[dict[str, tuple[Op, float]]] = {"replay_events_per_s": (">=", 3e5)}
PEERS: Final = {
    "replay": f"{EVENTS:,} events of one morning, {PER_S:,} a market second, {TICKS:.0%} trades and"
    " quotes, the rest option quotes, on two tapes as end of day's files: read, merged, framed"
    " (zstd, CRC), into tape, newest values, ticks, option streams and channels, trimmed behind a"
    " reader that is always there; wall time, median of the rounds. No engine: it would set the"
    " pace. cpu_us counts the replaying process alone, on all its threads",
}


class _Reader:
    """Stands for an engine that has read all that is written: the tape is trimmed behind it."""

    idle = True

    def __init__(self) -> None:
        self.playing: Generation | None = None

    def run(self, stop: threading.Event) -> None:
        """Wait for the end."""
        stop.wait()

    def progress(self) -> Mapping[str, "_Read"]:
        """Return that everything is read."""
        written = self.playing.positions if self.playing else {}
        return {tape: _Read(position_of(text)) for tape, text in written.items()}

    def status(self) -> Mapping[str, object]:
        """Nothing is to be said."""
        return {}


class _Read(msgspec.Struct, frozen=True):
    position: Position | None
    seen_ns: int = OPEN_NS


def run(rounds: int) -> Bench:
    """Return the figures of a replay; 200 rounds are the whole size."""
    events = max(round(EVENTS * min(rounds / ROUNDS, 1.0)), 50_000)
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as folder:
        paths = LakePaths(Path(folder) / "data")
        written = build(paths, events)
        server = EmbeddedServer()
        url = server.start(Path(folder) / "server", FIRST_PORT, MEMORY_MB)
        try:
            played = [play(url, paths, written) for _ in range(PLAYED)]
        finally:
            server.stop()
    wall_s, cpu_s, peak = (float(np.median(part)) for part in zip(*played, strict=True))
    figures = {
        "events": float(written),
        "replay_events_per_s": written / wall_s,
        "cpu_us_per_event": cpu_s * 1e6 / written,
        "hot_peak_mb": peak,
    }
    return Bench(
        bench="replay",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


def play(url: str, paths: LakePaths, events: int) -> tuple[float, float, float]:
    """Return wall and CPU seconds of one replay, and the most memory that the hot store used."""
    plan = Plan(
        session=SESSION,
        date=DAY,
        symbols=_SYMBOLS,
        source="simulator",
        mode="simulated",
        speed=None,
    )
    keys, reader, peak = session_keys(SESSION), _Reader(), 0.0
    with connect(url) as store:
        every = tracks(paths, plan)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        start = find_start(paths, every, every[0].first_ns)
        playing = Generation(store, keys, LakeSource(paths), plan, every, start, lambda _: reader)
        reader.playing = playing
        end_ns = max(track.last_ns for track in every)
        while not playing.over:
            playing.feed(end_ns, quietly=False, lag_ns=None)
            if playing.held:
                raise BenchInvalidError("the hot store's memory was short")
        spent = time.perf_counter() - wall_s, time.process_time() - cpu_s
        info: Any = store.info("memory")
        peak = info["used_memory_peak"] / 2**20
        playing.close()
        ends = [tape_end(store, keys.tape(track.tape)) for track in every]
        remove(store, keys)
    if sum(end.seq for end in ends if end) != events:
        raise BenchInvalidError("not every event came to the hot store")
    return (*spent, peak)


def build(paths: LakePaths, events: int) -> int:
    """Write a day of two tapes; return how many events it has."""
    options = OptionFlow(per_s=round(PER_S * (1 - TICKS))).block(round(events * (1 - TICKS)))
    calendars = {name: calendar_of(name) for name in set(options["underlying"].tolist())}
    return sum(
        _commit(paths, f"schwab.{calendar}", options, _of(options, calendars, calendar), share)
        for calendar, share in (("equity", 0.8), ("index", 0.2))
        for share in (round(events * TICKS * share),)
    )


def _of(options: dict[str, Any], calendars: dict[str, Any], calendar: str) -> Bools:
    return np.array([calendars[name] == calendar for name in options["underlying"].tolist()])


def _commit(paths: LakePaths, tape: str, options: dict[str, Any], mine: Bools, ticks: int) -> int:
    """Number a tape's events by their receipt and write them, each table sorted as it should be."""
    own = {name: values[mine] for name, values in options.items()}
    rng, last_ns = np.random.default_rng(5), int(own["ts_recv_ns"][-1])
    parts: list[tuple[Table, dict[str, Any]]] = [
        (OPTION_QUOTES, own | {"settlement": "P", "streamed": True}),
        (QUOTES, _ticks(rng, tape, ticks // 2, last_ns)),
        (TRADES, _ticks(rng, tape, ticks - ticks // 2, last_ns)),
        (HEARTBEATS, _beats(last_ns)),
    ]
    stamps = np.concatenate([columns["ts_recv_ns"] for _, columns in parts])
    seqs = np.empty(stamps.size, dtype=np.int64)
    seqs[np.argsort(stamps, kind="stable")] = np.arange(1, stamps.size + 1)
    tables: dict[str, pa.Table] = {}
    for table, columns in parts:
        size = columns["ts_recv_ns"].size
        at, seqs = seqs[:size], seqs[size:]
        known = columns | {
            "source": "simulator",
            "mode": "simulated",
            "session_date": DAY,
            "tape": tape,
            "epoch": 1,
            "seq": at,
        }
        order = [(name, "ascending") for name in table.sort_by]
        tables[table.name] = filled(table, known, size).sort_by(order)
    commit_day(paths, tape, DAY, 1, tables)
    return int(stamps.size)


def _ticks(rng: np.random.Generator, tape: str, size: int, last_ns: int) -> dict[str, Any]:
    """Return trades and quotes of some symbols, on ticks."""
    names = ("SPX", "NDX", "VIX") if tape.endswith("index") else ("SPY", "QQQ", "AAPL", "NVDA")
    stamps = np.sort(rng.integers(OPEN_NS + SECOND_NS, last_ns, size))
    price = np.round(600 + np.cumsum(rng.normal(0, 0.01, size)), 2)
    return {
        "symbol": np.array(names, dtype=object)[rng.integers(0, len(names), size)],
        "ts_event_ns": stamps - 1_000_000,
        "ts_recv_ns": stamps,
        "price": price,
        "size": rng.integers(1, 500, size).astype(float),
        "bid": price - 0.01,
        "ask": price + 0.01,
        "bid_size": rng.integers(1, 50, size).astype(float),
        "ask_size": rng.integers(1, 50, size).astype(float),
    }


def _beats(last_ns: int) -> dict[str, Any]:
    stamps = np.arange(OPEN_NS + SECOND_NS, last_ns, SECOND_NS) + SECOND_NS - 1
    return {
        "symbol": np.full(stamps.size, "", dtype=object),
        "ts_event_ns": stamps,
        "ts_recv_ns": stamps,
        "received": np.arange(stamps.size),
        "connected": True,
    }
