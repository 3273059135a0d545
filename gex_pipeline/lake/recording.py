"""What the lake holds of a tape as its events again: the same numbers, in the same order.

Replay, as-of and recomputation read here. A day file is sorted by symbol, so it is read in windows
of seqs: within a symbol seqs ascend, and a file's row groups say which of them they hold.
"""

import datetime
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.wire import Encoded, encode_rows
from gex_pipeline.market.arrays import Ints
from gex_pipeline.market.codec import batch_of_rows, decode_events
from gex_pipeline.market.events import KINDS, Event, tag_of
from gex_pipeline.market.tables import EVENT_TABLES

WINDOW: Final = 400_000
"""Seqs that are read at a time: what one step holds in memory."""

KIND_TAGS: Final = tuple(map(tag_of, KINDS))

_TAG_OF: Final = {table.name: tag for tag, table in EVENT_TABLES.items()}
_FIELDS: Final = {tag_of(kind): kind.__struct_fields__ for kind in KINDS}
_FOR_ALL: Final = ("heartbeats", "gaps", "ledger")
"""Tables whose rows concern every symbol of the tape."""


class Stretch(msgspec.Struct, frozen=True, eq=False):
    """Some consecutive events of a tape, all of one epoch and session date, as columns."""

    tape: str
    epoch: int
    session_date: datetime.date
    seq: Ints
    """Ascending; numbers may be missing."""
    recv_ns: Ints
    kind: Ints
    """Which of `KIND_TAGS`."""
    subject: Ints
    """Which of `names`: the symbol; of an option its underlying."""
    names: tuple[str, ...]
    data: bytes
    """The events as the wire has them, one msgpack array after the other."""
    ends: Ints
    """Where in `data` each of them ends."""

    def __len__(self) -> int:
        return int(self.seq.size)

    @property
    def seqs(self) -> list[int]:
        """The numbers of its events."""
        seqs: list[int] = self.seq.tolist()
        return seqs

    @property
    def events(self) -> list[Event]:
        """All of it, decoded."""
        return decode_events(batch_of_rows(self.data, len(self)))

    def encoded(self, start: int, end: int) -> bytes:
        """Return the events from one place up to another as the wire has them."""
        return self.data[self._start(start) : self._start(end)]

    def chosen(self, places: Ints) -> list[bytes]:
        """Return the events at some places, each as the wire has it."""
        ends = self.ends[places].tolist()
        starts = np.where(places > 0, self.ends[places - 1], 0).tolist()
        return [self.data[start:end] for start, end in zip(starts, ends, strict=True)]

    def _start(self, place: int) -> int:
        return int(self.ends[place - 1]) if place else 0


def recorded(  # noqa: PLR0913 # where, from, to, and what of it
    paths: LakePaths,
    chain: Chain,
    *,
    after_seq: int = 0,
    through_seq: int | None = None,
    symbols: Set[str] | None = None,
    tables: Set[str] | None = None,
    window: int = WINDOW,
) -> Iterator[Stretch]:
    """Yield a tape's events behind a seq in order; `symbols` and `tables` leave only some of them.

    With `symbols`, also their options and what concerns the whole tape come. A file that end of day
    has just replaced raises FileNotFoundError: read the chain again and go on behind the last seq.
    """
    end = chain.cursor if through_seq is None else min(through_seq, chain.cursor)
    for node in chain.nodes:
        first, last = max(node.first, after_seq + 1), min(node.last, end)
        files = {
            each.table: each.path for each in files_of_node(paths, node) if each.table in _TAG_OF
        }
        if tables is not None:
            files = {name: path for name, path in files.items() if name in tables}
        for start in range(first, last + 1, window):
            stop = min(start + window - 1, last)
            yield from _window(chain.tape, node, files, (start, stop), symbols)


class _Found(NamedTuple):
    """Rows of one file, by seq."""

    seq: Ints
    epoch: Ints
    recv_ns: Ints
    subjects: pl.Series
    kind: int
    rows: Encoded


def _window(
    tape: str,
    node: Part | Manifest,
    files: dict[str, Path],
    span: tuple[int, int],
    symbols: Set[str] | None,
) -> Iterator[Stretch]:
    """Yield a window's events, one stretch per epoch: it changes where another owner took over."""
    found = [_rows(name, path, span, symbols) for name, path in files.items()]
    found = [each for each in found if each.seq.size]
    if not found:
        return
    order = np.argsort(np.concatenate([each.seq for each in found]), kind="stable")
    epochs = np.concatenate([each.epoch for each in found])[order]
    names, subjects = _coded([each.subjects for each in found])
    data, sizes = _merged([each.rows for each in found], order)
    whole = Stretch(
        tape,
        int(epochs[0]),
        node.date,
        seq=np.concatenate([each.seq for each in found])[order],
        recv_ns=np.concatenate([each.recv_ns for each in found])[order],
        kind=np.concatenate([np.full(each.seq.size, each.kind) for each in found])[order],
        subject=subjects[order],
        names=names,
        data=data,
        ends=np.cumsum(sizes),
    )
    turns = (np.flatnonzero(np.diff(epochs)) + 1).tolist()
    if not turns:
        yield whole
        return
    for start, end in zip([0, *turns], [*turns, len(whole)], strict=True):
        yield _part_of(whole, int(epochs[start]), start, end)


def _part_of(whole: Stretch, epoch: int, start: int, end: int) -> Stretch:
    part = {name: getattr(whole, name)[start:end] for name in ("seq", "recv_ns", "kind", "subject")}
    ends = whole.ends[start:end] - (whole.ends[start - 1] if start else 0)
    data = whole.encoded(start, end)
    return msgspec.structs.replace(whole, epoch=epoch, data=data, ends=ends, **part)


def _merged(found: list[Encoded], order: Ints) -> tuple[bytes, Ints]:
    """Return the rows of several files in their common order: runs of one file stay together."""
    sizes = np.concatenate([each.sizes for each in found])[order]
    if len(found) == 1 and bool((np.diff(order) == 1).all()):
        return found[0].data, sizes
    data = b"".join(each.data for each in found)
    ends = np.cumsum(np.concatenate([each.sizes for each in found]))
    cuts = np.flatnonzero(np.diff(order) != 1)
    first, last = np.concatenate(([0], cuts + 1)), np.concatenate((cuts, [order.size - 1]))
    starts = np.where(order[first] > 0, ends[order[first] - 1], 0).tolist()
    runs = zip(starts, ends[order[last]].tolist(), strict=True)
    return b"".join([data[start:end] for start, end in runs]), sizes


def _coded(series: list[pl.Series]) -> tuple[tuple[str, ...], Ints]:
    """Return the names that occur, and which of them each row has."""
    names = pl.concat(series)
    known = names.unique().sort()
    codes = names.cast(pl.Enum(known)).to_physical().to_numpy().astype(np.int64)
    return tuple(known.to_list()), codes


def _rows(name: str, path: Path, span: tuple[int, int], symbols: Set[str] | None) -> _Found:
    tag = _TAG_OF[name]
    subject = "underlying" if name == "option_quotes" else "symbol"
    frame = pl.scan_parquet(path, hive_partitioning=False).filter(pl.col("seq").is_between(*span))
    if symbols is not None and name not in _FOR_ALL:
        frame = frame.filter(pl.col(subject).is_in(list(symbols)))
    known = set(frame.collect_schema().names())
    fields = [field for field in _FIELDS[tag] if field in known]  # new ones come last
    columns = frame.select("epoch", *fields).sort("seq").collect()
    return _Found(
        columns["seq"].to_numpy(),
        columns["epoch"].to_numpy(),
        columns["ts_recv_ns"].to_numpy(),
        columns[subject],
        KIND_TAGS.index(tag),
        encode_rows(columns.select(fields), tag),
    )
