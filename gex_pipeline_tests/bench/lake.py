"""`gex bench lake`: questions to a year, a day and a moment; parts and days written; sketches."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.gateway.sketches import gex_by_strike
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.months import merge_months
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.bench import at, lake_writing
from gex_pipeline_tests.bench.frame import Bench, Op, held, machine
from gex_pipeline_tests.bench.lake_data import (
    DAYS,
    SECONDS,
    build_ticks,
    build_year,
    copied_days,
    images_day,
)

ROUNDS: Final = 200
"""That make an honest run; fewer shorten it in proportion."""
ASKED: Final = 15
"""Times that each question is asked in an honest run."""
TICK_SYMBOLS: Final = 60
TICKS: Final = 3_000_000
"""Quotes of the day, of all symbols; trades come on top."""
MINUTES: Final = 240
CONTRACTS: Final = 27_000
_FIVE_NS: Final = 300_000_000_000
_COLUMNS: Final = ("spot", "net_gex_oi", "zero_gamma_oi", "call_wall_oi")

LIMITS: Final[dict[str, tuple[Op, float]]] = {
    "archive_rows_per_s": (">=", 5e5),
    "end_of_day_s": ("<=", 75),
    "end_of_day_peak_gb": ("<=", 1.6),
    "year_query_ms": ("<=", 50),
    "year_raw_ms": ("<=", 600),
    "day_ticks_ms": ("<=", 100),
    "at_p50_ms": ("<=", 150),
    "history_rows_per_s": (">=", 1e7),
    "history_memory_ratio": ("<=", 1.2),
}
PEERS: Final = {
    "year": f"{DAYS} day files of {SECONDS:,} seconds of one symbol and scope with their manifests,"
    " at a 5-minute interval, spot, net GEX, zero gamma and call wall: year_query from gex_1m,"
    " year_raw from the seconds; Lake.scan with the listing in it, wall time, median; _sql: the"
    " same by gex sql's reader, a fresh connection each",
    "day_ticks": f"all quotes and trades of the busiest of {TICK_SYMBOLS} symbols, 12% of"
    f" {TICKS:,} quotes and 30% as many trades, every column",
    "at": f"any moment's figures of one underlying out of chain_1m and the tape behind it:"
    f" {at.MINUTES} minutes of a session with {at.PER_S:,} updates a second, wall time of random"
    " moments",
    "archive": "frames of option quotes to committed parts, rows a CPU second",
    "end_of_day": f"{lake_writing.DAY_ROWS:,} option quotes in parts to a day file that is read"
    " back, in a process of its own",
    "history": f"minute images of {CONTRACTS:,} contracts to exposure by strike, open interest and"
    " volume, CPU of the process; memory_ratio: peak of a process over four days to that over one",
}


def run(rounds: int) -> Bench:
    """Return the figures of the lake; 200 rounds are the whole sizes."""
    share = min(rounds / ROUNDS, 1.0)
    asked = max(round(ASKED * share), 3)
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as folder:
        root = Path(folder)
        figures = {
            **year(root / "year", share, asked),
            **ticks(root / "ticks", share, asked),
            **history(root / "images", share, max(asked // 3, 2)),
            **at.measure(max(rounds, 10)),
            **lake_writing.measure(share),
        }
    return Bench(
        bench="lake",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


def year(root: Path, share: float, asked: int) -> dict[str, float]:
    """Return how long questions to a year take."""
    paths = LakePaths(root)
    build_year(paths, max(round(DAYS * share), 25), SECONDS)
    merge_months(paths)
    lake = Lake(root)
    _agree(five_minutes(lake, "gex_1m"), five_minutes(lake, "gex"), five_minutes_sql(lake, "gex"))
    times = medians_ms(
        asked,
        {
            "year_query_ms": lambda: five_minutes(lake, "gex_1m"),
            "year_raw_ms": lambda: five_minutes(lake, "gex"),
            "year_query_sql_ms": lambda: five_minutes_sql(lake, "gex_1m"),
            "year_raw_sql_ms": lambda: five_minutes_sql(lake, "gex"),
        },
    )
    raw = [path.stat().st_size for path in lake.files("gex")]
    rows = float(lake.scan("gex").select(pl.len()).collect().item())
    shutil.rmtree(root)
    return times | {"year_rows": rows, "gex_bytes_per_row": sum(raw) / rows}


def five_minutes(lake: Lake, table: str) -> pl.DataFrame:
    """Return the last row of each five minutes, as a notebook asks for it."""
    return (
        lake.scan(table, symbols=["SPX"])
        .filter(scope="all")
        .group_by(five=pl.col("ts_recv_ns") // _FIVE_NS)
        .agg(pl.col(name).last() for name in _COLUMNS)
        .sort("five")
        .collect()
    )


def five_minutes_sql(lake: Lake, table: str) -> pl.DataFrame:
    """Return the same by SQL."""
    chosen = ", ".join(f"arg_max({name}, ts_recv_ns) AS {name}" for name in _COLUMNS)
    return lake.sql(
        f"SELECT ts_recv_ns // {_FIVE_NS} AS five, {chosen} FROM {table}"  # noqa: S608 # ours
        " WHERE symbol = 'SPX' AND scope = 'all' GROUP BY five ORDER BY five"
    )


def ticks(root: Path, share: float, asked: int) -> dict[str, float]:
    """Return how long a day's raw ticks of one symbol take."""
    rows = max(round(TICKS * share), 100_000)
    day, sizes = build_ticks(LakePaths(root), TICK_SYMBOLS, rows)
    lake = Lake(root)
    asks = {"start": day, "end": day, "symbols": ["SPY"]}

    def frames() -> list[pl.DataFrame]:
        return [lake.scan(table, **asks).collect() for table in ("quotes", "trades")]  # type: ignore[arg-type] # dates and symbols

    def sql() -> list[pl.DataFrame]:
        where = f"WHERE session_date = DATE '{day}' AND symbol = 'SPY'"
        return [lake.sql(f"FROM {table} {where}") for table in ("quotes", "trades")]

    by_frames, by_sql = frames(), sql()
    _agree(*(each.select(pl.len()) for each in (by_frames[0], by_sql[0])))
    found = float(sum(each.height for each in by_frames))
    times = medians_ms(asked, {"day_ticks_ms": frames, "day_ticks_sql_ms": sql})
    shutil.rmtree(root)
    return times | {"day_ticks_rows": found} | sizes


def history(root: Path, share: float, rounds: int) -> dict[str, float]:
    """Return how fast images become exposure by strike, and what memory that takes."""
    paths = LakePaths(root)
    images_day(paths, max(round(MINUTES * share), 100), CONTRACTS)
    speeds = []
    for _ in range(rounds):
        start_ns = time.process_time_ns()
        rows = sum(each.used for each in gex_by_strike(root, "SPX"))
        speeds.append(rows / (time.process_time_ns() - start_ns) * 1e9)
    one = in_a_process(peak_mb, str(root))
    copied_days(paths, 3)
    four = in_a_process(peak_mb, str(root))
    shutil.rmtree(root)
    return {
        "history_rows_per_s": float(np.median(speeds)),
        "history_peak_mb": four,
        "history_memory_ratio": four / one,
    }


def peak_mb(root: str) -> float:
    """Return this process's peak after it went through all images once."""
    for _ in gex_by_strike(root, "SPX"):
        pass
    told = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", told)  # ru_maxrss begins with the parent's
    return int(peak) / 1024


def in_a_process(work: Callable[[str], float], argument: str) -> float:
    """Return what work gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, argument).result()


def medians_ms(rounds: int, parts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return each part's median wall time: every round runs every part once, after one for all."""
    times: dict[str, list[int]] = {name: [] for name in parts}
    for n in range(rounds + 1):
        for name, part in parts.items():
            start_ns = time.perf_counter_ns()
            part()
            if n:
                times[name].append(time.perf_counter_ns() - start_ns)
    return {name: float(np.median(taken)) / 1e6 for name, taken in times.items()}


def _agree(first: pl.DataFrame, *others: pl.DataFrame) -> None:
    """Refuse a run whose questions have different answers."""
    for other in others:
        if not first.equals(other.cast(first.schema)):
            raise BenchInvalidError("two ways of asking the same have different answers")
