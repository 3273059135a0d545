"""The lake as Polars lazy frames: for notebooks, backtests and services; it needs no settings.

    from gex_pipeline.lake.frames import Lake

    lake = Lake("data")  # data/sim of a simulated run
    lake.scan("gex_1m", start="2026-01-02", symbols=["SPX"]).filter(scope="all").collect()

A frame names the files of the moment of `scan`. End of day leaves the files that it replaces for a
while, so collect a frame soon, or scan anew.
"""

import datetime
import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from gex_pipeline.errors import NoLakeError, NoTableError
from gex_pipeline.lake.damage import Damage, damaged, united
from gex_pipeline.lake.files import LakeFile
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import frame_of, look, settled
from gex_pipeline.lake.upgrade import is_current, stored_names
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.market.symbology import kind_of, to_canonical
from gex_pipeline.market.tables import TABLES, Table

LATE: Final = datetime.timedelta(days=5)
"""A row that came after its tape's day was over lies under the next one, over a long weekend."""

_TYPES: Final[dict[str, pl.DataType]] = {
    "bool": pl.Boolean(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "utf8": pl.String(),
    "binary": pl.Binary(),
    "date": pl.Date(),
    "list<float32>": pl.List(pl.Float32()),
    "list<float64>": pl.List(pl.Float64()),
}

Day = datetime.date | str
"""A date, or its text: "2026-11-20"."""


class DamagedFileWarning(UserWarning):
    """A file of the lake is left out of a frame."""


class Lake:
    """The lake below one data folder."""

    def __init__(self, root: str | Path = "data") -> None:
        """Name the folder that holds `lake/`: data, or data/sim for a simulated run.

        Raises:
            NoLakeError: it has none.
        """
        self.paths = LakePaths(Path(root).absolute())
        self._damaged: tuple[Damage, ...] = ()
        if not self.paths.lake.is_dir():
            simulated = self.paths.root / "sim"
            raise NoLakeError(str(root), str(simulated) if simulated.is_dir() else None)

    def scan(
        self,
        table: str,
        *,
        start: Day | None = None,
        end: Day | None = None,
        symbols: Iterable[str] | None = None,
    ) -> pl.LazyFrame:
        """Return a table's rows of some session dates, both ends in them, and of some symbols.

        Only files of these dates are opened; without any, the frame is empty and typed. A symbol
        may be spelled in any source's way, and stands for its options too.

        Raises:
            NoTableError: no table of that name.
            LakeError: the lake cannot be listed.
        """
        first, last = _day(start), _day(end)
        files = self._files(table, first, last)
        frame = pl.concat([scan_files(table, files), *self._lost(table, first, last)])
        for wanted in (*_between(first, last), *_of_symbols(table, symbols)):
            frame = frame.filter(wanted)
        return frame

    def dates(self, table: str) -> list[datetime.date]:
        """Return the session dates of which the table has rows, ascending."""
        files = self._files(table, None, None)
        return sorted({date for file in files if file.rows for date in file.dates})

    def files(self, table: str, *, start: Day | None = None, end: Day | None = None) -> list[Path]:
        """Return the table's Parquet files with rows of these dates: for other tools."""
        return [file.path for file in self._files(table, _day(start), _day(end))]

    def ends(self) -> pl.DataFrame:
        """Return the last committed event of each tape: tape, epoch, seq."""
        rows = [(each.tape, each.epoch, each.cursor) for each in look(self.paths, ()).chains]
        schema = {"tape": pl.String(), "epoch": pl.Int64(), "seq": pl.Int64()}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def sql(self, statement: str) -> pl.DataFrame:
        """Return the answer to one SELECT over the lake's tables.

        Raises:
            QueryError: not one SELECT, or DuckDB refuses it.
        """
        frame, missing = frame_of(self.paths, statement)
        _warn(missing)
        return frame

    def damaged(
        self, table: str, *, start: Day | None = None, end: Day | None = None
    ) -> tuple[Damage, ...]:
        """Read every byte of the table's files; frames leave out what is damaged from now on."""
        found = damaged(self._listed(table, _day(start), _day(end))[0])
        self._damaged = united(self._damaged, found)
        return found

    def _files(
        self, table: str, first: datetime.date | None, last: datetime.date | None
    ) -> list[LakeFile]:
        """Return the files of these dates that can be read, and warn of the others."""
        files, absent = self._listed(table, first, last)
        left_out = {each.path: each for each in united(absent, self._damaged)}
        _warn(left_out[file.path] for file in files if file.path in left_out)
        return [file for file in files if file.path not in left_out]

    def _listed(
        self, table: str, first: datetime.date | None, last: datetime.date | None
    ) -> tuple[list[LakeFile], tuple[Damage, ...]]:
        """Return the files of these dates, and which of the table's are not there."""
        if table not in TABLES:
            raise NoTableError(table, TABLES)
        low, high = first or datetime.date.min, last + LATE if last else datetime.date.max
        seen, absent = settled(self.paths, (table,))
        files = [each for each in seen.of((table,)) if low <= each.dates[-1] and each.date <= high]
        return files, absent

    def _lost(
        self, table: str, first: datetime.date | None, last: datetime.date | None
    ) -> list[pl.LazyFrame]:
        """Return the rows that `gaps` has besides those of events."""
        if table != "gaps":
            return []
        rows = [
            {"session_date": node.date, "tape": chain.tape, "epoch": node.epoch, "symbol": ""}
            | {"cause": "lost", "first_seq": gap.first, "last_seq": gap.last}
            for chain in look(self.paths, ()).chains
            for node in chain.nodes
            if (first or node.date) <= node.date <= (last or node.date)
            for gap in node.gaps
        ]
        return [pl.LazyFrame(rows, schema=schema_of(TABLES[table]))] if rows else []


def schema_of(table: Table) -> pl.Schema:
    """Return a table's columns and their types in Polars."""
    return pl.Schema({column.name: _TYPES[column.type] for column in table.columns})


def scan_files(table: str, files: Sequence[LakeFile]) -> pl.LazyFrame:
    """Return the rows of these files, with today's columns whatever their version."""
    versions = sorted({file.schema for file in files})
    frames = [
        _scanned(TABLES[table], version, [file for file in files if file.schema == version])
        for version in versions
    ]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema_of(TABLES[table]))


def et(column: str) -> pl.Expr:
    """Return New York's time of a column of UTC nanoseconds."""
    utc = pl.from_epoch(pl.col(column), time_unit="ns").dt.replace_time_zone("UTC")
    return utc.dt.convert_time_zone("America/New_York")


def day_ns(day: Day, clock: str) -> int:
    """Return the UTC nanoseconds of a New York time of day, "10:00" or "09:30:05"."""
    at = datetime.time.fromisoformat(clock)
    date = datetime.date.fromisoformat(day) if isinstance(day, str) else day
    return et_ns(date, at.hour, at.minute) + at.second * 10**9 + at.microsecond * 1000


def _day(day: Day | None) -> datetime.date | None:
    return datetime.date.fromisoformat(day) if isinstance(day, str) else day


def _scanned(table: Table, version: int, files: list[LakeFile]) -> pl.LazyFrame:
    """Return the rows of files of one version.

    A derived file is one row group: there is nothing that its statistics could leave out.
    """
    schema = schema_of(table)
    scan = partial(
        pl.scan_parquet,
        [file.path for file in files],
        hive_partitioning=False,
        glob=False,
        use_statistics=any(file.tape for file in files),
    )
    if is_current(table.name, version):
        return scan(schema=schema)
    stored = stored_names(table, version)
    frame = scan()
    return frame.select(
        (pl.lit(None) if (old := stored[name]) is None else pl.col(old)).cast(kind).alias(name)
        for name, kind in schema.items()
    )


def _between(first: datetime.date | None, last: datetime.date | None) -> list[pl.Expr]:
    date = pl.col("session_date")
    return [*([date >= first] if first else []), *([date <= last] if last else [])]


def _of_symbols(table: str, symbols: Iterable[str] | None) -> list[pl.Expr]:
    if symbols is None:
        return []
    names = [to_canonical(symbol) for symbol in symbols]
    if table != "option_quotes":
        return [pl.col("symbol").is_in(names)]
    options = [name for name in names if kind_of(name) in ("option", "future_option")]
    others = [name for name in names if name not in options]
    wanted = pl.col("underlying").is_in(others)
    return [wanted | pl.col("symbol").is_in(options) if options else wanted]


def _warn(missing: Iterable[Damage]) -> None:
    for each in missing:
        warnings.warn(f"left out: {each}", DamagedFileWarning, stacklevel=4)
