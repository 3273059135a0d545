"""What the lake holds of a tape as its events again: the same numbers, in the same order.

Replay, as-of and recomputation read here. A day file is sorted by symbol, so it is read in windows
of seqs: within a symbol seqs ascend, and a file's row groups say which of them they hold.
"""

import datetime
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.codec import SCHEMA_VERSION, decode_events
from gex_pipeline.market.events import KINDS, Event, tag_of
from gex_pipeline.market.tables import EVENT_TABLES

WINDOW: Final = 400_000
"""Seqs that are read at a time: what one step holds in memory."""

Row = tuple[Any, ...]
"""An event as the wire has it: its tag, then its fields in order."""

_TAG_OF: Final = {table.name: tag for tag, table in EVENT_TABLES.items()}
_FIELDS: Final = {tag_of(kind): kind.__struct_fields__ for kind in KINDS}
_FOR_ALL: Final = ("heartbeats", "gaps", "ledger")
"""Tables whose rows concern every symbol of the tape."""
_encoder: Final = msgspec.msgpack.Encoder()


class Stretch(msgspec.Struct, frozen=True, eq=False):
    """Some consecutive events of a tape, all of one epoch and session date."""

    tape: str
    epoch: int
    session_date: datetime.date
    seqs: list[int]
    rows: list[Row]

    @property
    def events(self) -> list[Event]:
        """The rows as events."""
        return decode_events(_encoder.encode((SCHEMA_VERSION, self.rows)))


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
        files = {name: path for name, path in files_of_node(paths, node) if name in _TAG_OF}
        if tables is not None:
            files = {name: path for name, path in files.items() if name in tables}
        for start in range(first, last + 1, window):
            stop = min(start + window - 1, last)
            yield from _window(chain.tape, node, files, (start, stop), symbols)


def files_of_node(paths: LakePaths, node: Part | Manifest) -> list[tuple[str, Path]]:
    """Return the tables of a part or a finished day, and the file of each."""
    if isinstance(node, Manifest):
        return [(file.table, paths.lake / file.file) for file in node.files]
    folder = paths.part(node.tape, node.first)
    return [(table, folder / f"{table}.parquet") for table in node.rows]


def _window(
    tape: str,
    node: Part | Manifest,
    files: dict[str, Path],
    span: tuple[int, int],
    symbols: Set[str] | None,
) -> Iterator[Stretch]:
    """Yield a window's events, one stretch per epoch: it changes where another owner took over."""
    first, last = span
    slots: list[tuple[int, Row] | None] = [None] * (last - first + 1)
    for name, path in files.items():
        for seq, epoch, row in _rows(name, path, span, symbols):
            slots[seq - first] = (epoch, row)
    seqs: list[int] = []
    rows: list[Row] = []
    current = 0
    for seq, slot in enumerate(slots, first):
        if slot is None:
            continue
        if slot[0] != current and rows:
            yield Stretch(tape, current, node.date, seqs, rows)
            seqs, rows = [], []
        current = slot[0]
        seqs.append(seq)
        rows.append(slot[1])
    if rows:
        yield Stretch(tape, current, node.date, seqs, rows)


def _rows(
    name: str, path: Path, span: tuple[int, int], symbols: Set[str] | None
) -> Iterator[tuple[int, int, Row]]:
    tag = _TAG_OF[name]
    frame = pl.scan_parquet(path, hive_partitioning=False).filter(pl.col("seq").is_between(*span))
    if symbols is not None and name not in _FOR_ALL:
        subject = "underlying" if name == "option_quotes" else "symbol"
        frame = frame.filter(pl.col(subject).is_in(list(symbols)))
    found = frame.select("seq", "epoch", pl.lit(tag).alias("_tag"), *map(_own, _FIELDS[tag]))
    columns = found.collect()
    rows = columns.select(pl.exclude("seq", "epoch")).rows()
    return zip(columns["seq"].to_list(), columns["epoch"].to_list(), rows, strict=True)


def _own(field: str) -> pl.Expr:
    """Return a field's column under a name of its own: seq is selected twice."""
    return pl.col(field).alias(f"_{field}")
