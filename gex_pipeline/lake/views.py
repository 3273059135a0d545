"""The lake as SQL: a view per table over given files, tables of what the chains say, macros."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from gex_pipeline.lake.columns import SQL_TYPES, quoted
from gex_pipeline.lake.damage import Damage
from gex_pipeline.lake.files import LakeFile
from gex_pipeline.lake.parts import Chain
from gex_pipeline.lake.upgrade import is_current, stored_names
from gex_pipeline.market.tables import TABLES, Column, Table

MACROS: Final = {
    "et": (
        "et(ts_ns)",
        "timezone('America/New_York', timezone('UTC', make_timestamp(ts_ns // 1000)))",
        "TIMESTAMP: New York's time of UTC nanoseconds, to the microsecond",
    ),
    "day_ns": (
        "day_ns(day, clock)",
        "epoch_ns(timezone('America/New_York', CAST(day AS DATE) + CAST(clock AS TIME)))",
        "BIGINT: UTC nanoseconds of a New York time of day: day_ns(DATE '2026-11-20', '10:00')",
    ),
}
"""Name to call, meaning in SQL, and what it gives."""

_LOST_ROW: Final = {
    "session_date": "session_date",
    "tape": "tape",
    "epoch": "epoch",
    "symbol": "''",
    "cause": "'lost'",
    "first_seq": "first_seq",
    "last_seq": "last_seq",
}
"""A lost range as a row of gaps: no event of the tape (no seq), and when it was nobody knows."""


def table_view(name: str, files: Sequence[LakeFile]) -> str:
    """Return the view of a table over exactly these files; without any, an empty one, typed."""
    table = TABLES[name]
    parts = [
        _selected(table, version, list(group))
        for version, group in groupby(
            sorted(files, key=lambda file: file.schema), key=lambda file: file.schema
        )
    ] or [f"SELECT {', '.join(map(_nothing, table.columns))} WHERE false"]
    if name == "gaps":
        parts.append(_lost(table))
    return f'CREATE VIEW "{name}" AS {" UNION ALL ".join(parts)}'


def chain_tables(found: Iterable[Chain], missing: Iterable[Damage]) -> tuple[str, ...]:
    """Return the statements that make `_ends`, `_lost` and `_damaged`."""
    chains = [chain for chain in found if chain.nodes]
    ends = [f"({quoted(c.tape)}, {c.epoch}, {c.cursor})" for c in chains]
    lost = [
        f"({quoted(c.tape)}, DATE '{node.date}', {gap.first}, {gap.last}, {node.epoch})"
        for c in chains
        for node in c.nodes
        for gap in node.gaps
    ]
    damaged = [
        f"({quoted(each.table)}, {quoted(each.tape)}, DATE '{each.date}', {each.rows},"
        f" {quoted(str(each.path))}, {quoted(each.problem)})"
        for each in missing
    ]
    return (
        "CREATE TABLE _ends (tape VARCHAR, epoch BIGINT, seq BIGINT)",
        "CREATE TABLE _lost (tape VARCHAR, session_date DATE, first_seq BIGINT, last_seq BIGINT,"
        " epoch BIGINT)",
        "CREATE TABLE _damaged (table_name VARCHAR, tape VARCHAR, session_date DATE,"
        " rows BIGINT, path VARCHAR, problem VARCHAR)",
        *_inserted("_ends", ends),
        *_inserted("_lost", lost),
        *_inserted("_damaged", damaged),
    )


def macros() -> tuple[str, ...]:
    """Return the statements that make the macros."""
    return tuple(f"CREATE MACRO {call} AS {meaning}" for call, meaning, _ in MACROS.values())


def lake_statements(
    files: Mapping[str, Sequence[LakeFile]],
    found: Iterable[Chain],
    missing: Sequence[Damage] = (),
    tables: Iterable[str] = TABLES,
) -> tuple[str, ...]:
    """Return all that makes these tables, without the files that are missing."""
    left_out = {each.path for each in missing}
    views = [
        table_view(name, [file for file in files.get(name, ()) if file.path not in left_out])
        for name in tables
    ]
    return (*chain_tables(found, missing), *views, *macros())


def _selected(table: Table, version: int, files: list[LakeFile]) -> str:
    listed = ", ".join(quoted(str(file.path)) for file in files)
    stored = stored_names(table, version)
    plain = is_current(table.name, version)
    chosen = ", ".join(
        f'"{column.name}"' if plain else _upgraded(column, stored[column.name])
        for column in table.columns
    )
    return f"SELECT {chosen} FROM read_parquet([{listed}], hive_partitioning=false)"  # noqa: S608 # ours


def _upgraded(column: Column, stored: str | None) -> str:
    if stored is None:
        return _nothing(column)
    return f'CAST("{stored}" AS {SQL_TYPES[column.type]}) AS "{column.name}"'


def _nothing(column: Column) -> str:
    return f'CAST(NULL AS {SQL_TYPES[column.type]}) AS "{column.name}"'


def _lost(gaps: Table) -> str:
    chosen = ", ".join(
        f'{_LOST_ROW[column.name]} AS "{column.name}"'
        if column.name in _LOST_ROW
        else _nothing(column)
        for column in gaps.columns
    )
    return f"SELECT {chosen} FROM _lost"  # noqa: S608 # names of ours


def _inserted(table: str, rows: list[str]) -> list[str]:
    return [f"INSERT INTO {table} VALUES {', '.join(rows)}"] if rows else []  # noqa: S608 # ours
