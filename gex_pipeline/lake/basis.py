"""Recorded rows of the futures' basis, found by time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.images import OWN
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Basis
from gex_pipeline.market.sessions import session_date
from gex_pipeline.market.tables import BASIS

TAPE: Final = f"{OWN}.cme"
"""On which they are recorded."""
_FIELDS: Final = tuple(name for name in Basis.__struct_fields__ if name in BASIS.column_names)


def newest_rows(paths: LakePaths, at_ns: int, back_ns: int, root: str = "") -> list[Basis]:
    """Return the newest rows at or before a moment, and those so long before them, in order.

    `root` leaves only one future's.
    """
    found: list[Basis] = []
    for path in _files(paths, at_ns):
        newest_ns = found[-1].ts_recv_ns if found else _newest_ns(path, at_ns, root)
        rows = _read(path, newest_ns - back_ns, at_ns, root) if newest_ns else []
        if found and not rows:
            break
        found = rows + found
    return found


def _files(paths: LakePaths, at_ns: int) -> Iterator[Path]:
    """Yield the files that may have some, the newest first."""
    last = session_date(at_ns, "cme")
    for node in reversed(read_chain(paths, TAPE).nodes):
        if node.date <= last:
            for file in files_of_node(paths, node, (BASIS.name,)):
                yield file.path


def _newest_ns(path: Path, at_ns: int, root: str) -> int:
    """Return the newest second of a file at or before a moment; 0: there is none."""
    rows = _scan(path, 0, at_ns, root).select(pl.col("ts_recv_ns").max()).collect()
    return rows.item() or 0


def _read(path: Path, since_ns: int, at_ns: int, root: str) -> list[Basis]:
    rows = _scan(path, since_ns, at_ns, root).select(_FIELDS).sort("ts_recv_ns", "seq").collect()
    return [Basis(**row) for row in rows.iter_rows(named=True)]


def _scan(path: Path, since_ns: int, at_ns: int, root: str) -> pl.LazyFrame:
    rows = pl.scan_parquet(path, hive_partitioning=False).filter(
        pl.col("ts_recv_ns").is_between(since_ns, at_ns)
    )
    return rows.filter(pl.col("symbol") == root) if root else rows
