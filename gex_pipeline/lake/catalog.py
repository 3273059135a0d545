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
from gex_pipeline.lake.damage import Damage, blamed, gone, united
from gex_pipeline.lake.durable import locked, point, sync
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import Seen, look
from gex_pipeline.lake.views import lake_statements
from gex_pipeline.market.tables import TABLES

READ_ONLY: Final = 0o444
POINTS: Final = ("catalog.built", "catalog.log_removed", "catalog.swapped")
"""Moments at which a crash costs nothing, in their order."""

Connect = Callable[[Path], AbstractContextManager[duckdb.DuckDBPyConnection]]
"""Opens the database file of a path."""

_numbers = itertools.count(1)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a database file."""
    return duckdb.connect(str(path))


def build_catalog(paths: LakePaths, opened: Connect = connect) -> Path:
    """Make the catalog anew from the chains of this moment and return its path.

    A file that cannot be opened is left out and named in its table `_damaged`.
    """
    with locked(paths.catalog_lock):
        seen = look(paths)
        draft = paths.root / f".cat-{os.getpid()}-{next(_numbers)}.duckdb"
        try:
            missing = gone(seen.of(TABLES))
            while worse := _fill(seen, missing, draft, opened):
                missing = united(missing, worse)
            _swap(draft, paths.catalog)
        finally:
            draft.unlink(missing_ok=True)
            _wal(draft).unlink(missing_ok=True)
    return paths.catalog


def _fill(
    seen: Seen, missing: tuple[Damage, ...], draft: Path, opened: Connect
) -> tuple[Damage, ...]:
    """Fill the draft; return what could not be opened: it is to be made again without that."""
    left_out = {each.path for each in missing}
    files = [file for file in seen.of(TABLES) if file.path not in left_out]
    rows = ", ".join(f"({quoted(file.table)}, {quoted(str(file.path))})" for file in files)
    draft.unlink(missing_ok=True)
    try:
        with opened(draft) as connection:
            for statement in lake_statements(seen.files, seen.chains, missing):
                connection.execute(statement)
            connection.execute("CREATE TABLE _files (table_name VARCHAR, path VARCHAR)")
            if rows:
                connection.execute(f"INSERT INTO _files VALUES {rows}")  # noqa: S608 # ours
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        worse = blamed(str(error), files)
        if not worse:
            raise
        return worse
    return ()


def _swap(draft: Path, catalog: Path) -> None:
    if _wal(draft).exists():
        raise RuntimeError(f"{_wal(draft).name} was left by a checkpoint and close")
    draft.chmod(READ_ONLY)
    sync(draft)
    point("catalog.built")
    _wal(catalog).unlink(missing_ok=True)  # of a user's read-write open that died: it fits no more
    point("catalog.log_removed")
    draft.replace(catalog)
    point("catalog.swapped")
    sync(catalog.parent)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
