"""One tape's day as the rules want it: columns of a symbol, in the order in which they came."""

import datetime
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from gex_pipeline.archive.spotcheck import Sample
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.arrays import Ints
from gex_pipeline.quality.spans import Span

STEP_NS: Final = 30 * 60 * 1_000_000_000
"""Market time of option quotes that is held in memory at once."""
_DRAWN: Final = ("quotes", "trades", "option_quotes")


class TapeTicks:
    """Reads the files of one tape's day."""

    def __init__(self, paths: LakePaths, chain: Chain, date: datetime.date) -> None:
        self.tape = chain.tape
        self.date = date
        self.nodes: list[Part | Manifest] = [node for node in chain.nodes if node.date == date]
        self.over = any(node.date > date for node in chain.nodes)
        """The tape has gone on to a later date."""
        self.new = bool(self.nodes) and self.nodes[0].first == 1
        """The tape began on this date."""
        self._paths = paths

    @property
    def lost(self) -> int:
        """How many numbers are told to be lost."""
        return sum(gap.last - gap.first + 1 for node in self.nodes for gap in node.gaps)

    @property
    def numbers(self) -> int:
        """How many numbers the day has."""
        return sum(node.last - node.first + 1 for node in self.nodes)

    def scan(self, table: str) -> pl.LazyFrame | None:
        """Return a table's rows; None: the day has no such file."""
        files = [
            file.path
            for node in self.nodes
            for file in files_of_node(self._paths, node)
            if file.table == table
        ]
        return pl.scan_parquet(files, hive_partitioning=False) if files else None

    def times(self) -> Span | None:
        """Return when the first and the last heartbeat came; None: there are none."""
        found = self.scan("heartbeats")
        if found is None:
            return None
        row = found.select(
            pl.col("ts_recv_ns").min().alias("first"), pl.col("ts_recv_ns").max().alias("last")
        )
        first, last = row.collect().row(0)
        return first, last

    def gaps(self) -> list[Span]:
        """Return the gaps that the tape tells of itself; those of one symbol are the source's."""
        found = self.scan("gaps")
        if found is None:
            return []
        rows = (
            found.filter(pl.col("symbol") == "").select("ts_from_ns", "ts_to_ns").collect().rows()
        )
        return [(start, stop) for start, stop in rows]

    def symbols(self, table: str) -> list[str]:
        """Return the symbols of a table, of options their underlyings."""
        found = self.scan(table)
        if found is None:
            return []
        subject = "underlying" if table == "option_quotes" else "symbol"
        return sorted(found.select(pl.col(subject).unique()).collect().to_series().to_list())

    def of_symbol(self, table: str, symbol: str, columns: tuple[str, ...]) -> pl.DataFrame:
        """Return some columns of a symbol, in the order of seqs."""
        found = self.scan(table)
        if found is None:
            return pl.DataFrame()
        return (
            found.filter(pl.col("symbol") == symbol).select("seq", *columns).collect().sort("seq")
        )

    def option_steps(self, underlying: str, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
        """Yield an underlying's streamed option quotes, half an hour at a time."""
        found, times = self.scan("option_quotes"), self.times()
        if found is None or times is None:
            return
        mine = found.filter((pl.col("underlying") == underlying) & pl.col("streamed"))
        for start in range(times[0], times[1] + 1, STEP_NS):
            step = mine.filter(pl.col("ts_recv_ns").is_between(start, start + STEP_NS - 1))
            frame = step.select("seq", "symbol", *columns).collect().sort("seq")
            if len(frame):
                yield frame

    def draw(self, count: int, seed: int) -> list[Sample]:
        """Return events drawn at random from what the sources said; equal seeds draw alike."""
        if not self.nodes:
            return []
        dice = np.random.default_rng(seed)
        first, last = self.nodes[0].first, self.nodes[-1].last
        seqs: Ints = dice.integers(first, last, size=count * 2, endpoint=True)
        samples = [
            _sample(self.tape, table, row)
            for table in _DRAWN
            if (found := self.scan(table)) is not None
            for row in found.filter(pl.col("seq").is_in(seqs.tolist()))
            .collect()
            .iter_rows(named=True)
        ]
        dice.shuffle(samples)
        return samples[:count]


def _sample(tape: str, table: str, row: dict[str, Any]) -> Sample:
    return Sample(
        tape=tape,
        table=table,
        seq=row["seq"],
        symbol=row["symbol"],
        ts_recv_ns=row["ts_recv_ns"],
        streamed=row.get("streamed", True),
        figures=row,
    )
