"""Reading the lake by SQL: exactly the files that the chains name at this moment.

A file that end of day replaces meanwhile makes the list be taken again. A damaged one is left out
and named in the answer and in `_damaged`. Nothing can be written, no other file can be read.
"""

import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import polars as pl

from gex_pipeline.errors import LakeDamagedError, QueryError
from gex_pipeline.lake.columns import quoted
from gex_pipeline.lake.damage import Damage, blamed, damaged, gone, united
from gex_pipeline.lake.files import LakeFile, files_of
from gex_pipeline.lake.listing import chains, derived_records
from gex_pipeline.lake.parts import Chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.views import lake_statements
from gex_pipeline.market.tables import TABLES

ATTEMPTS: Final = 4
"""Lists of files that one query may see: end of day replaces parts, a damaged file is left out."""
BATCH_ROWS: Final = 10_000
HELD_ROWS: Final = 50_000
"""Rows that are at hand before the first is given out: until then all can be asked again."""

_Begin = Callable[[duckdb.DuckDBPyConnection, str], Any]
"""Starts a statement and returns its answer, or the first of it."""
_EXPLAIN: Final = re.compile(r"\s*explain(\s+analyze\b|\s*\([^)]*\))?", re.IGNORECASE)
_CATALOGUE: Final = re.compile(
    r"\b(show|describe|summarize|information_schema|duckdb_\w+|pg_\w+|sqlite_master|query\w*"
    r"|_damaged)\b",
    re.IGNORECASE,
)
"""Words of statements that look at tables without naming them, or at the files of all."""
_DECODING: Final = re.compile("parquet|unicode|decompress", re.IGNORECASE)
_STATEMENTS: Final = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
    duckdb.ConversionException,
)
"""What is the statement's own fault, not a file's."""


class Answer(msgspec.Struct, frozen=True):
    """What a query gave: names of the columns, the rows, and what could not be read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    damaged: tuple[Damage, ...] = ()


class Stream(msgspec.Struct, frozen=True, eq=False):
    """The same with its rows in batches, for answers of any size."""

    columns: tuple[str, ...]
    damaged: tuple[Damage, ...]
    batches: Iterator[list[tuple[Any, ...]]]


class Seen(msgspec.Struct, frozen=True):
    """The lake at one moment."""

    chains: tuple[Chain, ...]
    files: dict[str, tuple[LakeFile, ...]]

    def of(self, tables: Iterable[str]) -> list[LakeFile]:
        """Return the files of these tables."""
        return [file for table in tables for file in self.files.get(table, ())]


def look(paths: LakePaths, tables: Collection[str] = TABLES) -> Seen:
    """Return what the lake holds of these tables now.

    Raises:
        LakeError: a chain is broken, or a newer release wrote some of it.
    """
    found = chains(paths)
    return Seen(found, files_of(paths, found, derived_records(paths), tables))


def settled(paths: LakePaths, tables: Collection[str] = TABLES) -> tuple[Seen, tuple[Damage, ...]]:
    """Return what the lake holds of these tables, and the files of it that are not there.

    A file that end of day replaces is gone from the next list: only what two lists running name is
    missing for good.

    Raises:
        LakeError: as `look`.
    """
    known: set[Path] = set()
    for _ in range(ATTEMPTS):
        seen = look(paths, tables)
        lacking = gone(seen.of(tables))
        absent = {each.path for each in lacking}
        if absent <= known:
            break
        known = absent
    return seen, lacking


def query(paths: LakePaths, sql: str, *, checked: bool = False) -> Answer:
    """Return the answer to one SELECT over the tables, `_ends`, `_lost` and `_damaged`.

    `checked` reads every byte of the files first, and so finds damage that decodes.

    Raises:
        QueryError: not one SELECT, or DuckDB refuses it.
        LakeError: the lake cannot be listed.
    """
    with answering(paths, sql, checked=checked) as stream:
        rows = tuple(row for batch in stream.batches for row in batch)
        return Answer(stream.columns, rows, stream.damaged)


def frame_of(paths: LakePaths, sql: str) -> tuple[pl.DataFrame, tuple[Damage, ...]]:
    """Return the answer to one SELECT as a frame, and what could not be read.

    Raises:
        QueryError, LakeError: as `query`.
    """
    with _opened(paths, sql, _as_frame) as (_, asked):
        return asked.first, asked.missing


@contextmanager
def answering(paths: LakePaths, sql: str, *, checked: bool = False) -> Iterator[Stream]:
    """Give the answer as a stream of rows.

    Raises:
        QueryError, LakeError: as `query`.
        LakeDamagedError: while the rows are read: damage was met after some were given out.
    """
    with _opened(paths, sql, _first_rows, checked=checked) as (connection, asked):
        names = tuple(str(column[0]) for column in connection.description or ())
        yield Stream(names, asked.missing, _batches(connection, asked))


class _Asked(msgspec.Struct, frozen=True):
    """A statement that runs, what it reads, and what it has given so far."""

    files: list[LakeFile]
    missing: tuple[Damage, ...]
    first: Any


@contextmanager
def _opened(
    paths: LakePaths, sql: str, begin: _Begin, *, checked: bool = False
) -> Iterator[tuple[duckdb.DuckDBPyConnection, _Asked]]:
    """Give a connection in which the statement has begun, after as many attempts as it takes."""
    tables, found = _named(sql), tuple[Damage, ...]()
    for _ in range(ATTEMPTS):
        seen, lacking = settled(paths, tables)
        files = seen.of(tables)
        if checked and not found:
            found = damaged(files)
        missing = _listed(united(lacking, found), files)
        with duckdb.connect(":memory:") as connection:
            try:
                _prepare(connection, seen, tables, missing)
                _check(connection, sql)
                first = begin(connection, sql)
            except duckdb.Error as error:
                tables, worse = _cure(error, tables, files)
                found = united(found, worse)
                continue
            yield connection, _Asked(files, missing, first)
            return
    raise QueryError("its files were replaced each time they were listed; ask again")


def _cure(
    error: duckdb.Error, tables: tuple[str, ...], files: Sequence[LakeFile]
) -> tuple[tuple[str, ...], tuple[Damage, ...]]:
    """Return the tables and the damaged files to try again with, or raise what is no file's."""
    if isinstance(error, duckdb.CatalogException) and len(tables) < len(TABLES):
        return tuple(TABLES), ()  # it may name one in a way that we do not see
    if isinstance(error, _STATEMENTS) or not _of_a_file(error):
        raise QueryError(str(error)) from error
    found = blamed(str(error), files)
    if not found and not gone(files):
        raise QueryError(str(error)) from error
    return tables, found


def _prepare(
    connection: duckdb.DuckDBPyConnection,
    seen: Seen,
    tables: tuple[str, ...],
    missing: tuple[Damage, ...],
) -> None:
    """Make the tables, then leave their files as all that a statement can touch."""
    try:
        for statement in lake_statements(seen.files, seen.chains, missing, tables):
            connection.execute(statement)
    except duckdb.Error as error:  # whatever it calls itself, a file is the cause
        raise duckdb.IOException(str(error)) from error
    allowed = ", ".join(quoted(str(file.path)) for file in seen.of(tables))
    spill = Path(tempfile.gettempdir()) / f"gex-sql-{os.getpid()}"
    connection.execute(f"SET temp_directory = {quoted(str(spill))}")
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _first_rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchmany(HELD_ROWS)


def _as_frame(connection: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    frame: pl.DataFrame = connection.sql(sql).pl()
    return frame


def _batches(
    connection: duckdb.DuckDBPyConnection, asked: _Asked
) -> Iterator[list[tuple[Any, ...]]]:
    batch = asked.first
    while batch:
        yield batch
        try:
            batch = connection.fetchmany(BATCH_ROWS)
        except duckdb.Error as error:
            found = blamed(str(error), asked.files) if _of_a_file(error) else ()
            if not found:
                raise QueryError(str(error)) from error
            raise LakeDamagedError([str(each) for each in found]) from error


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse all but one SELECT, or the EXPLAIN of one: EXPLAIN ANALYZE runs what it explains."""
    explained = _EXPLAIN.match(sql)
    statements = connection.extract_statements(sql[explained.end() :] if explained else sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise QueryError("it is not one SELECT statement")


def _named(sql: str) -> tuple[str, ...]:
    """Return the tables whose names are in a statement: the others need not be opened."""
    if _CATALOGUE.search(sql):
        return tuple(TABLES)
    words = set(re.findall(r"\w+", sql.lower()))
    return tuple(name for name in TABLES if name in words)


def _of_a_file(error: duckdb.Error) -> bool:
    """Return whether a file, rather than the statement, may be the cause.

    Of altered bytes DuckDB says so in its reader's or decoder's own words, often as a plain Error.
    """
    broad = (duckdb.IOException, duckdb.InternalException, duckdb.SerializationException)
    return (
        type(error) is duckdb.Error
        or isinstance(error, broad)
        or bool(_DECODING.search(str(error)))
    )


def _listed(found: Iterable[Damage], files: Iterable[LakeFile]) -> tuple[Damage, ...]:
    """Return those that are still among the files."""
    listed = {file.path for file in files}
    return tuple(each for each in found if each.path in listed)
