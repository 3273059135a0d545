"""The tables of market/tables.py as Arrow and DuckDB spell them, and rows of events as columns."""

from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, Table

_ARROW: Final = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "utf8": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "list<float32>": pa.list_(pa.float32()),
    "list<float64>": pa.list_(pa.float64()),
}
SQL_TYPES: Final = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "utf8": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "list<float32>": "FLOAT[]",
    "list<float64>": "DOUBLE[]",
}
ROWS_PER_GROUP: Final = {"chain_1m": 4}
"""Of a Parquet file, what is read at once at least: an image is half a megabyte."""
_ROWS_PER_GROUP: Final = 131_072
NOTE: Final = "gex."
"""Before the names that a Parquet file says of itself: gex.schema, gex.table, gex.tape."""


@cache
def schema_of(table: Table) -> pa.Schema:
    """Return a table's Arrow schema, its columns in order."""
    return pa.schema([pa.field(column.name, _ARROW[column.type]) for column in table.columns])


def file_notes(table: Table, **notes: object) -> dict[str, str]:
    """Return what a file of the table says of itself: `gex.schema`, `gex.table` and these notes."""
    own = {"schema": LAKE_SCHEMA_VERSION, "table": table.name} | notes
    return {f"{NOTE}{name}": str(value) for name, value in own.items()}


def version_of(path: Path) -> int:
    """Return the schema version of a file; the oldest did not say it."""
    notes = pq.read_metadata(path).metadata or {}
    return int(notes.get(f"{NOTE}schema".encode(), b"1"))


def rows_per_group(table: Table) -> int:
    """Return how many rows one group of the table's files has, so that one moment is read fast."""
    return ROWS_PER_GROUP.get(table.name, _ROWS_PER_GROUP)


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
