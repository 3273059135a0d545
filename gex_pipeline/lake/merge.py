"""Sorted parts into one sorted stream, in bounded memory.

Each part is sorted by the table's key, and on a tape time does not go back from part to part. So
what the parts hold of one symbol, part after part, is in order already: a large symbol is passed on
as it is read, small ones are gathered and sorted together. The order is looked at all the same;
where it does not hold, the table is sorted whole by DuckDB, which may use the disk.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.lake.columns import quoted, schema_of
from gex_pipeline.lake.upgrade import stored_names
from gex_pipeline.market.tables import Table

GATHERED_BYTES: Final = 96 * 1024 * 1024
"""Of rows that are gathered and sorted together."""
_BATCH: Final = 65_536
SORT_MEMORY: Final = "800MB"
_TIED: Final = ("ts_recv_ns", "seq")


class PartFile(NamedTuple):
    """A sorted file, and the schema version of its writer."""

    path: Path
    version: int


class DisorderError(Exception):
    """Parts of one symbol are not in the order of time and seq."""


class _Slice(NamedTuple):
    """Where a file holds one value of the first key."""

    file: PartFile
    start: int
    rows: int


def merged(table: Table, files: Sequence[PartFile]) -> Iterator[pa.Table]:
    """Yield the rows of sorted files, given in the order of their seqs, in the table's order.

    Raises:
        DisorderError: they are not; some rows may have been given. Use `sorted_whole`.
    """
    if table.sort_by[-2:] != _TIED:  # few rows, sorted by something else
        yield _ordered(table, pa.concat_tables([_read(table, each) for each in files]))
        return
    if table.sort_by == _TIED:
        yield from _watched(table, (g for each in files for g in _groups(table, each)))
        return
    for bucket in _buckets(table, files):
        if len(bucket) > 1:
            rows = pa.concat_tables([_cut(table, each) for each in _joined(bucket)])
            yield _ordered(table, rows)
        else:
            pieces = (piece for each in bucket[0] for piece in _pieces(table, each))
            yield from _watched(table, pieces)


def sorted_whole(table: Table, files: Sequence[PartFile], folder: Path) -> Iterator[pa.Table]:
    """Yield the same, whatever the order within and between the files."""
    listed = ", ".join(quoted(str(each.path)) for each in files)
    order = ", ".join(f'"{name}"' for name in table.sort_by)
    select = f"SELECT * FROM read_parquet([{listed}], hive_partitioning=false, union_by_name=true)"  # noqa: S608 # names of ours
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = {quoted(SORT_MEMORY)}")
        connection.execute(f"SET temp_directory = {quoted(str(folder))}")
        connection.execute("SET preserve_insertion_order = false")
        for batch in connection.sql(f"{select} ORDER BY {order}").to_arrow_reader(_BATCH):
            data = pa.Table.from_batches([batch])
            yield upgraded(table, data, min(each.version for each in files))


def upgraded(table: Table, data: pa.Table, version: int) -> pa.Table:
    """Return rows of an older version with the columns of today."""
    schema, names = schema_of(table), stored_names(table, version)
    columns = [
        pa.nulls(data.num_rows, field.type)
        if (stored := names[field.name]) is None or stored not in data.column_names
        else data[stored].cast(field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


# --- buckets --------------------------------------------------------------------------------------


def _buckets(table: Table, files: Sequence[PartFile]) -> Iterator[list[list[_Slice]]]:
    """Yield the values of the first key in order: small ones together, a large one alone."""
    found: dict[Any, list[_Slice]] = {}
    for each in files:
        for value, start, rows in _runs(table, each):
            found.setdefault(value, []).append(_Slice(each, start, rows))
    most = max(int(GATHERED_BYTES / _bytes_per_row(files)), 1)
    gathered: list[list[_Slice]] = []
    rows = 0
    for value in sorted(found):
        size = sum(each.rows for each in found[value])
        if gathered and rows + size > most:
            yield gathered
            gathered, rows = [], 0
        gathered.append(found[value])
        rows += size
    if gathered:
        yield gathered


def _runs(table: Table, file: PartFile) -> Iterator[tuple[Any, int, int]]:
    """Yield each value of the first key with the place and number of its rows."""
    column = pq.read_table(
        file.path, columns=[table.sort_by[0]], read_dictionary=[table.sort_by[0]]
    )
    coded = column.column(0).unify_dictionaries().combine_chunks()
    codes = coded.indices.to_numpy()
    starts = np.append(0, np.flatnonzero(np.diff(codes)) + 1) if codes.size else np.empty(0, int)
    names = [coded.dictionary[int(code)].as_py() for code in codes[starts]]
    if len(set(names)) != len(names):
        raise DisorderError
    yield from zip(names, starts.tolist(), np.diff(starts, append=codes.size).tolist(), strict=True)


def _joined(bucket: list[list[_Slice]]) -> list[_Slice]:
    """Return one slice a file: values that follow one another in the bucket do so in the file."""
    found: dict[Path, _Slice] = {}
    for each in (each for slices in bucket for each in slices):
        known = found.get(each.file.path)
        found[each.file.path] = (
            each if known is None else known._replace(rows=each.start + each.rows - known.start)
        )
    return list(found.values())


def _bytes_per_row(files: Sequence[PartFile]) -> float:
    size = rows = 0
    for each in files[:10]:
        meta = pq.read_metadata(each.path)
        rows += meta.num_rows
        size += sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
    return max(size / max(rows, 1), 1.0) * 2  # encoded; in memory it is about twice as much


# --- reading --------------------------------------------------------------------------------------


def _read(table: Table, file: PartFile) -> pa.Table:
    return upgraded(table, pq.read_table(file.path), file.version)


def _groups(table: Table, file: PartFile) -> Iterator[pa.Table]:
    with pq.ParquetFile(file.path) as opened:
        for number in range(opened.num_row_groups):
            yield upgraded(table, opened.read_row_group(number), file.version)


def _cut(table: Table, part: _Slice) -> pa.Table:
    return pa.concat_tables(_pieces(table, part))


def _pieces(table: Table, part: _Slice) -> Iterator[pa.Table]:
    """Yield the rows of a slice, a row group of the file at a time."""
    start, stop, at = part.start, part.start + part.rows, 0
    with pq.ParquetFile(part.file.path) as opened:
        for number in range(opened.num_row_groups):
            rows = opened.metadata.row_group(number).num_rows
            first, last = max(start, at), min(stop, at + rows)
            if first < last:
                group = opened.read_row_group(number).slice(first - at, last - first)
                yield upgraded(table, group, part.file.version)
            at += rows


# --- order ----------------------------------------------------------------------------------------


def _ordered(table: Table, rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in table.sort_by])


def _watched(table: Table, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the pieces, each of one value of the first key, and see that they are in order."""
    last = (-1, -1)
    for piece in pieces:
        ts_ns, seq = (piece[name].to_numpy() for name in _TIED)
        if not len(seq):
            continue
        step_ns = np.diff(ts_ns, prepend=last[0])
        if (step_ns < 0).any() or ((step_ns == 0) & (np.diff(seq, prepend=last[1]) <= 0)).any():
            raise DisorderError
        last = (int(ts_ns[-1]), int(seq[-1]))
        yield piece
