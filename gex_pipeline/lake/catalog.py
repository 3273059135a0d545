"""The catalog: a DuckDB file of views over exactly the files that the chains name, swapped whole.

It is built under a lock that is taken before the files are listed and kept until the swap is done,
so that a slow builder can never put back an older one.
"""

import itertools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import duckdb

from gex_pipeline.lake.columns import quoted
from gex_pipeline.lake.durable import locked, sync
from gex_pipeline.lake.parts import Chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import chains, files_of, lake_views

READ_ONLY: Final = 0o444

Connect = Callable[[Path], AbstractContextManager[duckdb.DuckDBPyConnection]]
"""Opens the database file of a path."""

_numbers = itertools.count(1)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a database file."""
    return duckdb.connect(str(path))


def build_catalog(paths: LakePaths, opened: Connect = connect) -> Path:
    """Make the catalog anew from the chains of this moment and return its path."""
    with locked(paths.catalog_lock):
        found = chains(paths)
        draft = paths.root / f".cat-{os.getpid()}-{next(_numbers)}.duckdb"
        try:
            _fill(paths, found, draft, opened)
            _swap(draft, paths.catalog)
        finally:
            draft.unlink(missing_ok=True)
            _wal(draft).unlink(missing_ok=True)
    return paths.catalog


def _fill(paths: LakePaths, found: tuple[Chain, ...], draft: Path, opened: Connect) -> None:
    files = files_of(paths, found)
    listed = [(table, str(path)) for table, each in files.items() for path in each]
    with opened(draft) as connection:
        for statement in lake_views(paths, found):
            connection.execute(statement)
        connection.execute("CREATE TABLE _files (table_name VARCHAR, path VARCHAR)")
        if listed:
            rows = ", ".join(f"({quoted(table)}, {quoted(path)})" for table, path in listed)
            connection.execute(f"INSERT INTO _files VALUES {rows}")  # noqa: S608 # names of ours
        connection.execute("CHECKPOINT")


def _swap(draft: Path, catalog: Path) -> None:
    if _wal(draft).exists():
        raise RuntimeError(f"{_wal(draft).name} was left by a checkpoint and close")
    draft.chmod(READ_ONLY)
    sync(draft)
    _wal(catalog).unlink(missing_ok=True)  # of a user's read-write open that died: it fits no more
    draft.replace(catalog)
    sync(catalog.parent)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
