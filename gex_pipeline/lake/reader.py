"""Reading the lake by SQL: exactly the files that the chains name at this moment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec

from gex_pipeline.errors import QueryError
from gex_pipeline.lake.columns import quoted, view_sql
from gex_pipeline.lake.parts import Chain, Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import TABLES

ATTEMPTS: Final = 2
"""Lists of files that one query may see: end of day replaces parts by day files."""


class Answer(msgspec.Struct, frozen=True):
    """What a query gave: names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def chains(paths: LakePaths) -> tuple[Chain, ...]:
    """Return the chain of every tape that the lake holds."""
    return tuple(read_chain(paths, tape) for tape in paths.tapes())


def files_of(paths: LakePaths, found: tuple[Chain, ...]) -> dict[str, tuple[Path, ...]]:
    """Return the files of every table that these chains name, with absolute paths."""
    files: dict[str, list[Path]] = {name: [] for name in TABLES}
    for chain in found:
        for node in chain.nodes:
            for table, path in _named(paths, node):
                files.setdefault(table, []).append(path.absolute())
    return {table: tuple(listed) for table, listed in files.items()}


def query(paths: LakePaths, sql: str) -> Answer:
    """Return the answer to one SELECT over the tables, `_ends` and `_lost`.

    The files are those of this moment. Nothing can be written and no other file can be read.

    Raises:
        QueryError: not one SELECT, or DuckDB refuses it.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _query_once(paths, sql)
        except duckdb.IOException as error:
            if attempt == ATTEMPTS - 1:
                raise QueryError(str(error)) from error
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
    raise AssertionError("the last attempt returns or raises")


def lake_views(paths: LakePaths, found: tuple[Chain, ...]) -> tuple[str, ...]:
    """Return the statements that make every table, `_ends` and `_lost` for these chains."""
    files: Mapping[str, tuple[Path, ...]] = files_of(paths, found)
    views = [view_sql(name, files[name]) for name in TABLES]
    ends = [f"({quoted(c.tape)}, {c.epoch}, {c.cursor})" for c in found if c.nodes]
    lost = [
        f"({quoted(chain.tape)}, DATE '{node.date}', {gap.first}, {gap.last})"
        for chain in found
        for node in chain.nodes
        for gap in node.gaps
    ]
    return (
        *views,
        "CREATE TABLE _ends (tape VARCHAR, epoch BIGINT, seq BIGINT)",
        "CREATE TABLE _lost (tape VARCHAR, session_date DATE, first_seq BIGINT, last_seq BIGINT)",
        *_inserted("_ends", ends),
        *_inserted("_lost", lost),
    )


def _inserted(table: str, rows: list[str]) -> list[str]:
    return [f"INSERT INTO {table} VALUES {', '.join(rows)}"] if rows else []  # noqa: S608 # ours


def _query_once(paths: LakePaths, sql: str) -> Answer:
    with duckdb.connect(":memory:") as connection:
        for statement in lake_views(paths, chains(paths)):
            connection.execute(statement)
        _lock_down(connection, paths)
        _check(connection, sql)
        done = connection.execute(sql)
        names = tuple(str(column[0]) for column in done.description or ())
        return Answer(names, tuple(tuple(row) for row in done.fetchall()))


def _lock_down(connection: duckdb.DuckDBPyConnection, paths: LakePaths) -> None:
    """Leave the lake as all that a query can read."""
    connection.execute(f"SET allowed_directories = [{quoted(f'{paths.lake.absolute()}/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    kinds = [statement.type for statement in statements]
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if len(kinds) != 1 or kinds[0] not in allowed:
        raise QueryError("it is not one SELECT statement")


def _named(paths: LakePaths, node: Any) -> list[tuple[str, Path]]:
    if isinstance(node, Manifest):
        return [(file.table, paths.lake / file.file) for file in node.files]
    folder = paths.part(node.tape, node.first)
    return [(table, folder / f"{table}.parquet") for table in node.rows]
