"""What the lake holds of a tape's day: parts and day files read back row by row, and counted.

Memory is flat: rows are counted by minute, and each seq of a node takes a byte.
"""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.archive.holding import Holding
from gex_pipeline.lake.damage import damaged
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.arrays import Bools, Ints
from gex_pipeline.market.events import LEVEL_ONE
from gex_pipeline.market.tables import DEPTH
from gex_pipeline.quality.closing import Stage
from gex_pipeline.quality.ledger import MINUTE_NS, SOURCE_TABLES, Entry
from gex_pipeline.quality.spans import Span
from gex_pipeline.quality.tails import Mark

_BATCH: Final = 1 << 18
_UNREADABLE: Final = (OSError, pa.ArrowException, pl.exceptions.PolarsError)
_Seen = np.ndarray[tuple[int], np.dtype[np.uint8]]
_Node = Part | Manifest


def read_committed(holding: Holding, paths: LakePaths, chain: Chain, date: datetime.date) -> None:
    """Count what the chain holds of the date; what retention let go is held no more."""
    nodes = [node for node in chain.nodes if node.date == date and not _is_retired(node)]
    for node in nodes:
        holding.stage = _stage(node)
        holding.note_seqs(node.first, node.last, node.epoch)
        holding.lost += [(gap.first, gap.last) for gap in node.gaps]
        _read_marks(holding, {file.table: file.path for file in files_of_node(paths, node)})
    for node in nodes:
        _read_node(holding, paths, node)
        holding.doubtful += [
            _between(holding, paths, chain, (gap.first, gap.last)) for gap in node.gaps
        ]


def _is_retired(node: _Node) -> bool:
    return isinstance(node, Manifest) and bool(node.retired)


def _stage(node: _Node) -> Stage:
    return "days" if isinstance(node, Manifest) else "parts"


def _read_marks(holding: Holding, files: dict[str, Path]) -> None:
    """Take the ledger's counts and the gaps, in the order of their seqs."""
    found: list[tuple[int, int, str, tuple[Any, ...]]] = []
    for table, columns in _MARKS.items():
        if table in files:
            try:
                frame = pl.read_parquet(
                    files[table], columns=list(columns), hive_partitioning=False
                )
            except _UNREADABLE:  # the node's own reading tells it
                continue
            found += [(*row[:2], table, row[2:]) for row in frame.select(columns).iter_rows()]
    for seq, ts_ns, table, facts in sorted(found, key=lambda each: each[0]):
        mark = Mark(seq, ts_ns)
        if table == "gaps":
            cause, first_seq, last_seq, from_ns = facts
            holding.note_gap(mark, cause, (first_seq, last_seq), from_ns)
        else:
            minute_ns, name, outcome, reason, count = facts
            holding.entries[Entry(minute_ns, name, outcome, reason)] += count
            holding.tails.settled(mark)


_MARKS: Final = {
    "gaps": ("seq", "ts_recv_ns", "cause", "first_seq", "last_seq", "ts_from_ns"),
    "ledger": ("seq", "ts_recv_ns", "ts_minute_ns", "table", "outcome", "reason", "events"),
}


def _read_node(holding: Holding, paths: LakePaths, node: _Node) -> None:
    """Count a node's rows by minute, and its seqs, each of which must be there once."""
    stage = _stage(node)
    seen: _Seen = np.zeros(node.last - node.first + 1, np.uint8)
    files = files_of_node(paths, node)
    for damage in damaged(files):
        holding.broken(stage, f"{damage.path.name} {damage.problem}", table=damage.table)
    for file in files:
        try:
            rows = _read_table(holding, file.table, file.path, seen, node.first)
        except _UNREADABLE:  # told above
            continue
        holding.events[stage] += rows
        if rows != file.rows:
            words = f"{file.path.name} has {rows} rows and should have {file.rows}"
            holding.broken(stage, words, table=file.table, by=rows - file.rows)
    for first, last in _runs(seen == 0, node.first):
        holding.missing(stage, first, last)
    for first, last in _runs(seen > 1, node.first):
        words = f"{last - first + 1} events are there more than once"
        holding.broken(stage, words, by=last - first + 1, seqs=(first, last))


def _read_table(holding: Holding, table: str, path: Path, seen: _Seen, first: int) -> int:
    rows = 0
    columns = ["seq", "ts_recv_ns", *(["venue"] if table == DEPTH.name else [])]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=columns):
            seqs: Ints = batch.column("seq").to_numpy()
            stamps: Ints = batch.column("ts_recv_ns").to_numpy()
            rows += len(seqs)
            holding.note_times(stamps)
            _see(seqs - first, seen)
            if table in SOURCE_TABLES:
                told = _is_told(batch)
                _count(holding, table, seqs[told], stamps[told])
    return rows


def _is_told(batch: pa.RecordBatch) -> Bools:
    """Return where a row is an update of its source, and not a book that we made of a quote."""
    if "venue" not in batch.schema.names:
        return np.ones(batch.num_rows, np.bool_)
    made: Bools = np.asarray(batch.column("venue").to_pylist(), object) == LEVEL_ONE
    return ~made


def _see(places: Ints, seen: _Seen) -> None:
    inside = places[(places >= 0) & (places < len(seen))]
    fresh, counts = np.unique(inside, return_counts=True)
    seen[fresh] = np.minimum(seen[fresh] + counts, 2)


def _count(holding: Holding, table: str, seqs: Ints, stamps: Ints) -> None:
    """Count rows by minute; those of a tail apart."""
    settled = np.ones(len(seqs), np.bool_)
    for tail in holding.tails.all():
        before = np.iinfo(np.int64).max if tail.before is None else tail.before.seq
        inside = (seqs > tail.after.seq) & (seqs < before)
        settled &= ~inside
        for ts_ns, count in _by_minute(stamps[inside]):
            tail.add(table, ts_ns, count)
    for ts_ns, count in _by_minute(stamps[settled]):
        holding.rows[ts_ns - ts_ns % MINUTE_NS, table] += count


def _by_minute(stamps: Ints) -> Iterator[tuple[int, int]]:
    """Yield each minute's newest stamp and how many there are."""
    ordered = np.sort(stamps)
    minutes = ordered // MINUTE_NS
    ends = np.flatnonzero(np.diff(minutes, append=np.iinfo(np.int64).max))
    counts = np.diff(ends, prepend=-1)
    yield from zip(ordered[ends].tolist(), counts.tolist(), strict=True)


def _runs(mask: Bools, first: int) -> list[Span]:
    """Return the stretches where the mask holds, both ends in it."""
    places = np.flatnonzero(mask)
    if not len(places):
        return []
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    stops = np.append(starts[1:], len(places)) - 1
    found = zip(places[starts].tolist(), places[stops].tolist(), strict=True)
    return [(first + start, first + stop) for start, stop in found]


def _between(holding: Holding, paths: LakePaths, chain: Chain, lost: Span) -> Span:
    """Return the time between the neighbours of lost seqs."""
    before = _ts_of(paths, chain, lost[0] - 1)
    after = _ts_of(paths, chain, lost[1] + 1)
    start = holding.first_ns if before is None else before
    return start, (holding.last_ns if after is None else after) + 1


def _ts_of(paths: LakePaths, chain: Chain, seq: int) -> int | None:
    for node in chain.nodes:
        if not node.first <= seq <= node.last:
            continue
        for file in files_of_node(paths, node):
            scan = pl.scan_parquet(file.path, hive_partitioning=False).filter(pl.col("seq") == seq)
            found = scan.select("ts_recv_ns").collect()
            if len(found):
                return int(found.item(0, 0))
    return None
