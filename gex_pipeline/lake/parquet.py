"""Writing the lake's Parquet files: encodings that suit each column, and notes of what is in them.

A part is written fast, by fixed rules; a day file small, each column the way that came out smallest
on its first rows. Both are zstd Parquet that DuckDB, Polars and Arrow read.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gex_pipeline.lake.columns import file_notes, rows_per_group, schema_of
from gex_pipeline.market.tables import Table

PART_LEVEL: Final = 1
DAY_LEVEL: Final = 3
PART_GROUP: Final = 32_768
"""Rows of a part that are read at once: end of day reads it one underlying after the other."""
_SAMPLE_ROWS: Final = 65_536
_DICTIONARY: Final = "dictionary"
_SPLIT: Final = "BYTE_STREAM_SPLIT"
_DELTA: Final = "DELTA_BINARY_PACKED"
_COUNTED: Final = ("seq", "ts_recv_ns", "ts_event_ns")
"""Columns that mostly go on by small steps."""

Encodings = dict[str, str]
"""By a column's path in the file; without any, it is written plain."""


def write_part(
    table: Table, data: pa.Table, shared: Mapping[str, Any], path: Path, **notes: object
) -> None:
    """Write rows, sorted as the table wants them, as the file of a part.

    `shared` holds the columns that have one value in all rows; `data` all others.
    """
    coded = pa.table([_coded(column) for column in data.itercolumns()], names=data.column_names)
    keys = [_key(coded[name]) for name in reversed(table.sort_by) if name not in shared]
    ordered = coded.take(np.lexsort(keys))
    for name, value in shared.items():
        kind = schema_of(table).field(name).type
        ordered = ordered.append_column(name, _repeated(value, kind, ordered.num_rows))
    ordered = ordered.select(table.column_names)
    options = _options(table, part_encodings(table), PART_LEVEL) | {"schema": ordered.schema}
    with pq.ParquetWriter(path, **options) as writer:
        writer.add_key_value_metadata(file_notes(table, **notes))
        rows = min(rows_per_group(table), PART_GROUP)
        writer.write_table(ordered, row_group_size=rows)


def write_rows(
    table: Table, rows: Sequence[Mapping[str, Any]], path: Path, **notes: object
) -> None:
    """Write rows, sorted as the table wants them, as a small file."""
    schema = schema_of(table)
    data = pa.table({name: [row[name] for row in rows] for name in schema.names}, schema=schema)
    data = data.sort_by([(name, "ascending") for name in table.sort_by])
    with DayWriter(table, path, **notes) as writer:
        writer.write(data)


class DayWriter:
    """Writes a day file from tables that come in the order of their rows; memory: one row group."""

    def __init__(self, table: Table, path: Path, **notes: object) -> None:
        self.rows = 0
        self._table, self._path, self._notes = table, path, notes
        self._group = rows_per_group(table)
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, data: pa.Table) -> None:
        """Take the next rows."""
        self._waiting.append(data.select(self._table.column_names))
        self._waiting_rows += data.num_rows
        while self._waiting_rows >= self._group:
            self._put(self._group)

    def __enter__(self) -> "DayWriter":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and (self._waiting_rows or self._writer is None):
            self._put(self._waiting_rows)
        if self._writer is not None:
            if error[0] is None:
                self._writer.add_key_value_metadata(file_notes(self._table, **self._notes))
            self._writer.close()

    def _put(self, rows: int) -> None:
        schema = schema_of(self._table)
        waiting = pa.concat_tables(self._waiting) if self._waiting else schema.empty_table()
        group = waiting.slice(0, rows)
        self._waiting, self._waiting_rows = [waiting.slice(rows)], waiting.num_rows - rows
        if self._writer is None:
            chosen = best_encodings(self._table, group.slice(0, _SAMPLE_ROWS))
            self._writer = pq.ParquetWriter(self._path, **_options(self._table, chosen, DAY_LEVEL))
        self._writer.write_table(group, row_group_size=max(rows, 1))
        self.rows += rows


def part_encodings(table: Table) -> Encodings:
    """Return fixed encodings: texts by dictionary, floats by their bytes, counters by steps."""
    found: Encodings = {}
    for path, kind in _leaves(table):
        if kind == pa.string():
            found[path] = _DICTIONARY
        elif pa.types.is_floating(kind):
            found[path] = _SPLIT
        elif path in _COUNTED:
            found[path] = _DELTA
        elif path == "epoch":
            found[path] = _DICTIONARY
    return found


def best_encodings(table: Table, sample: pa.Table) -> Encodings:
    """Return for each column the encoding that made the sample smallest."""
    found: Encodings = {}
    for path, kind in _leaves(table):
        column = sample.select([path.partition(".")[0]])
        sizes = {how: _size(table, column, {path: how}) for how in _candidates(kind)}
        found[path] = min(sizes, key=lambda how: sizes[how])
    return found


def _candidates(kind: pa.DataType) -> tuple[str, ...]:
    if pa.types.is_floating(kind):
        return (_DICTIONARY, _SPLIT)
    if pa.types.is_integer(kind):
        return (_DICTIONARY, _DELTA)
    return (_DICTIONARY,) if kind in (pa.string(), pa.date32()) else ("PLAIN",)


def _size(table: Table, column: pa.Table, encodings: Encodings) -> int:
    sink = pa.BufferOutputStream()
    options = _options(table, encodings, DAY_LEVEL) | {"schema": column.schema}
    with pq.ParquetWriter(sink, **options) as writer:
        writer.write_table(column)
    return int(sink.getvalue().size)


def _options(table: Table, encodings: Encodings, level: int) -> dict[str, Any]:
    return {
        "schema": schema_of(table),
        "compression": "zstd",
        "compression_level": level,
        "store_schema": False,
        "use_dictionary": [path for path, how in encodings.items() if how == _DICTIONARY],
        "column_encoding": {path: how for path, how in encodings.items() if how != _DICTIONARY},
    }


def _coded(column: pa.ChunkedArray) -> pa.Array:
    """Return texts as numbers of a dictionary: cheaper to sort, to take and to write."""
    whole = column.combine_chunks()
    return whole.dictionary_encode() if whole.type == pa.string() else whole


def _key(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return numbers in the order of a column's values."""
    if not pa.types.is_dictionary(column.type):
        return np.asarray(column.to_numpy())
    (coded,) = column.chunks
    ranks = np.empty(
        len(coded.dictionary), dtype=np.uint16 if len(coded.dictionary) < 65_536 else np.int64
    )
    ranks[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(ranks.size)
    return np.asarray(ranks[coded.indices.to_numpy()])


def _repeated(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if kind != pa.string():
        return pa.repeat(pa.scalar(value, kind), rows)
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), pa.array([value], kind))


def _leaves(table: Table) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the columns as Parquet has them, a list's items under the list's path."""
    for field in schema_of(table):
        if pa.types.is_list(field.type):
            yield f"{field.name}.list.element", field.type.value_type
        else:
            yield field.name, field.type
