"""Bytes a row of each table's day files, from realistic rows: `python -m …bench.sizes`.

What docs/data.md says of sizes comes from here: rows as the simulator's market and the bench's
walks make them, written by the writer of day files.
"""

import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import SECOND_NS, regular_open_ns
from gex_pipeline.market.tables import TABLES
from gex_pipeline_tests.bench.lake_data import (
    SECONDS,
    filled,
    gex_day,
    images_day,
    ticks_day,
    write_day,
)
from gex_pipeline_tests.bench.option_flow import BLOCK, OptionFlow

DAY: Final = datetime.date(2026, 11, 20)
OPTION_ROWS: Final = 2_000_000
_STRIKES: Final = 420


def measure() -> dict[str, float]:
    """Return bytes a row, by table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        found = {name: _size(name, rows, root) for name, rows in _tables()}
        found["option_quotes"] = _option_quotes(root / "options.parquet")
        paths = LakePaths(root)
        images_day(paths, 60, 27_000)
        (images,) = (paths.lake / "chain_1m").glob("date=*/*.parquet")
        return found | {"chain_1m": images.stat().st_size / 60}


def _tables() -> Iterator[tuple[str, pa.Table]]:
    rng = np.random.default_rng(1)
    yield from ticks_day(rng, DAY, 60, 3_000_000)
    gex = gex_day(rng, DAY, SECONDS, 0, 6000.0)
    yield "gex", gex
    yield "gex_1m", gex.take(pa.array(np.arange(0, SECONDS, 60)))
    yield "gex_strikes", _strikes(rng)
    yield "depth", _depth(rng)
    yield "heartbeats", _heartbeats()


def _size(name: str, rows: pa.Table, root: Path) -> float:
    return write_day(TABLES[name], rows, root / f"{name}.parquet") / int(rows.num_rows)


def _option_quotes(path: Path) -> float:
    """Return the size of a whole market's flow, sorted by underlying and time."""
    table, flow = TABLES["option_quotes"], OptionFlow(contracts=60_000, per_s=20_000)
    pieces = []
    for start in range(0, OPTION_ROWS, BLOCK):
        block = flow.block(BLOCK) | {
            **_shared("schwab.index"),
            "seq": start + 1 + np.arange(BLOCK),
            "streamed": True,
            "settlement": "P",
        }
        pieces.append(filled(table, block, BLOCK))
    order = [(name, "ascending") for name in table.sort_by]
    with DayWriter(table, path) as writer:
        writer.write(pa.concat_tables(pieces).sort_by(order))
    return path.stat().st_size / OPTION_ROWS


def _shared(tape: str) -> dict[str, Any]:
    return {"source": "schwab", "mode": "live", "session_date": DAY, "tape": tape, "epoch": 1}


def _stamped(rows: int, every_s: float) -> dict[str, Any]:
    ts_ns = regular_open_ns(DAY) + (np.arange(rows) * every_s * SECOND_NS).astype(np.int64)
    return {"seq": 1 + np.arange(rows), "ts_event_ns": ts_ns, "ts_recv_ns": ts_ns}


def _strikes(rng: np.random.Generator) -> pa.Table:
    rows = SECONDS // 15
    strikes = [np.arange(_STRIKES) * 5.0 + 5000] * rows
    shapes = np.cumsum(rng.standard_normal((4, rows, _STRIKES)) * 1e5, axis=1) + 1e8
    names = ("call_gex_oi", "put_gex_oi", "call_gex_volume", "put_gex_volume")
    sums = {n: list(each.astype(np.float32)) for n, each in zip(names, shapes, strict=True)}
    columns = _shared("gex.index") | _stamped(rows, 15) | {"symbol": "SPX", "scope": "all"}
    columns |= {"strikes": strikes, "spot": 6000 + rng.standard_normal(rows), **sums}
    return filled(TABLES["gex_strikes"], columns, rows)


def _depth(rng: np.random.Generator, rows: int = 50_000, levels: int = 10) -> pa.Table:
    best = np.round(600 + np.cumsum(rng.choice([-0.01, 0, 0, 0.01], rows)), 2)
    steps = np.arange(levels) * 0.01
    columns = _shared("schwab.equity") | _stamped(rows, 0.5) | {"symbol": "SPY", "whole": True}
    for side, sign in (("bid", -1), ("ask", 1)):
        prices = np.round(best[:, None] + sign * (steps + 0.01), 2)
        sizes = 100.0 * rng.integers(1, 40, (rows, levels))
        columns |= {f"{side}_prices": list(prices), f"{side}_sizes": list(sizes)}
    return filled(TABLES["depth"], columns, rows)


def _heartbeats() -> pa.Table:
    received = np.cumsum(np.random.default_rng(2).integers(9_000, 11_000, SECONDS))
    columns = _shared("schwab.index") | _stamped(SECONDS, 1) | {"symbol": ""}
    columns |= {"received": received, "connected": True}
    return filled(TABLES["heartbeats"], columns, SECONDS)


if __name__ == "__main__":
    for name, size in measure().items():
        print(f"{name:16}{size:12,.1f}")  # noqa: T201 # for a person
