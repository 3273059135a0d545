"""Row groups of the lake's files: which of them can hold what is asked for, and only those read.

Files never change once they are named, so what a file's footer says is kept: of a day of option
quotes it is megabytes, and reading it takes longer than reading a minute of rows.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.market.arrays import Bools, Ints

_FILES_KNOWN: Final = 512
_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_DICTIONARY: Final = ("symbol", "underlying")
"""Read as codes of names: a file stores them so."""

Span = tuple[int, int]
"""From and to, both ends in it."""


class Groups(msgspec.Struct, frozen=True, eq=False):
    """A file's row groups; what a footer does not say of one could be anything."""

    path: Path
    footer: Any
    columns: frozenset[str]
    seq: Ints
    """(2, G) least and most in each group."""
    recv_ns: Ints
    """(2, G)"""
    subject: tuple[tuple[str, str] | None, ...]
    """First and last symbol of each group; of options their underlying."""

    def where(
        self,
        *,
        seq: Span | None = None,
        recv_ns: Span | None = None,
        subject: str | None = None,
    ) -> list[int]:
        """Return the groups that can hold rows within these limits, both ends in them."""
        possible = np.ones(self.seq.shape[1], dtype=bool)
        if seq is not None:
            possible &= _overlaps(self.seq, seq)
        if recv_ns is not None:
            possible &= _overlaps(self.recv_ns, recv_ns)
        found: list[int] = np.flatnonzero(possible).tolist()
        return found if subject is None else [g for g in found if _holds(self.subject[g], subject)]

    def read(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return those columns of some groups; one that the file's version lacks is left out."""
        known = [column for column in columns if column in self.columns]
        names = [name for name in _DICTIONARY if name in known]
        with pq.ParquetFile(self.path, metadata=self.footer, read_dictionary=names) as file:
            return file.read_row_groups(list(groups), columns=known)


def within(rows: pa.Table, span: Span) -> pa.Table:
    """Return the rows whose seq is in a span: a slice, where they are in order."""
    seq = rows["seq"].to_numpy()
    if (np.diff(seq) < 0).any():
        return rows.filter(pa.array((seq >= span[0]) & (seq <= span[1])))
    start, end = np.searchsorted(seq, (span[0], span[1] + 1)).tolist()
    return rows.slice(start, end - start)


@lru_cache(maxsize=_FILES_KNOWN)
def groups_of(path: Path) -> Groups:
    """Return the row groups of a file that the chain names."""
    footer = pq.read_metadata(path)
    places = {footer.schema.column(at).path: at for at in range(footer.num_columns)}
    subject = "underlying" if "underlying" in places else "symbol"
    return Groups(
        path=path,
        footer=footer,
        columns=frozenset(footer.schema.to_arrow_schema().names),
        seq=_limits(footer, places["seq"]),
        recv_ns=_limits(footer, places["ts_recv_ns"]),
        subject=tuple(
            _said(footer, group, places[subject]) for group in range(footer.num_row_groups)
        ),
    )


def _overlaps(limits: Ints, wanted: Span) -> Bools:
    least, most = limits
    overlaps: Bools = (most >= wanted[0]) & (least <= wanted[1])
    return overlaps


def _holds(said: tuple[str, str] | None, subject: str) -> bool:
    return said is None or said[0] <= subject <= said[1]


def _limits(footer: Any, column: int) -> Ints:
    said = [_said(footer, group, column) for group in range(footer.num_row_groups)]
    pairs = [pair or (_LEAST, _MOST) for pair in said]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _said(footer: Any, group: int, column: int) -> Any:
    """Return least and most of a column in a group; None where the footer does not say."""
    statistics = footer.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return None
    return statistics.min, statistics.max
