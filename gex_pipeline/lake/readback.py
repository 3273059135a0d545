"""What was written, read back: the same values column by column, and every seq of the day once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gex_pipeline.errors import LakeFileError
from gex_pipeline.lake.parts import Gap

_WRAP: Final = 2**64


class Sums:
    """Rows, and of each column its nulls and the sum of its values' bits, whatever their order."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: dict[str, tuple[int, int]] = {}

    def add(self, data: pa.Table) -> None:
        """Take some rows."""
        self.rows += data.num_rows
        for name in data.column_names:
            nulls, total = self.columns.get(name, (0, 0))
            for chunk in data[name].chunks:
                nulls += chunk.null_count
                total += _bits(chunk)
            self.columns[name] = (nulls, total % _WRAP)

    def differences(self, other: "Sums") -> list[str]:
        """Return what is not the same, by name."""
        found = ["rows"] if self.rows != other.rows else []
        return found + [n for n, sums in self.columns.items() if other.columns.get(n) != sums]


class SeqsSeen:
    """The seqs of one day, over all of its files."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._seen = first, np.zeros(last - first + 1, dtype=bool)
        self._rows = 0

    def add(self, seqs: np.ndarray[Any, Any]) -> None:
        """Take the seqs of some rows.

        Raises:
            ValueError: one is outside of the day.
        """
        places = seqs - self._first
        if places.size and not 0 <= places.min() <= places.max() < self._seen.size:
            raise ValueError(f"seq {seqs.min()} to {seqs.max()} is outside of the day")
        self._seen[places] = True
        self._rows += places.size

    def problems(self, gaps: Iterable[Gap]) -> Iterator[str]:
        """Yield what is wrong with them: each seq is there once, or lost."""
        known = int(self._seen.sum())
        if known != self._rows:
            yield f"{self._rows - known} rows are there twice"
        lost = 0
        for gap in gaps:
            lost += gap.last - gap.first + 1
            if self._seen[gap.first - self._first : gap.last - self._first + 1].any():
                yield f"rows of the lost range {gap.first} to {gap.last} are there"
        if known + lost != self._seen.size:
            yield f"{self._seen.size - known - lost} rows are missing"


def read_back(path: Path, sums: Sums, seqs: SeqsSeen) -> None:
    """Read a file whole and see that it holds what these sums say.

    Raises:
        LakeFileError: it does not.
    """
    found = Sums()
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                data = file.read_row_group(number)
                found.add(data)
                seqs.add(data["seq"].to_numpy())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LakeFileError(str(path), str(error)) from error
    if wrong := sums.differences(found):
        raise LakeFileError(str(path), f"{', '.join(wrong)} read back otherwise than written")


def _bits(chunk: pa.Array) -> int:
    kind = chunk.type
    if pa.types.is_list(kind):
        return _bits(chunk.flatten()) + int(pc.sum(pc.list_value_length(chunk)).as_py() or 0)
    if kind in (pa.string(), pa.binary()):
        return _letters(chunk) + int(pc.sum(pc.binary_length(chunk)).as_py() or 0)
    if kind == pa.bool_():
        return int(pc.sum(chunk).as_py() or 0)
    whole = chunk.fill_null(0) if chunk.null_count else chunk
    if kind == pa.date32():
        whole = whole.cast(pa.int32())
    values = whole.to_numpy()
    return int(values.view(f"u{values.itemsize}").sum(dtype=np.uint64))


def _letters(chunk: pa.Array) -> int:
    _, ends, data = chunk.buffers()
    if data is None or not len(chunk):
        return 0
    places = np.frombuffer(ends, dtype=np.int32)
    start, stop = places[chunk.offset], places[chunk.offset + len(chunk)]
    return int(np.frombuffer(data, dtype=np.uint8)[start:stop].sum(dtype=np.uint64))
