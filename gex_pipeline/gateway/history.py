"""History out of the lake: figures over time, the last of each interval, and gaps.

Figures come from the rollup by minutes where end of day has made it, and from the recorded seconds
of the days since. They are those of one convention: others are never mixed in.
"""

import datetime
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from gex_pipeline.errors import ConventionError, NoLakeError, NotRecordedError, TooMuchError
from gex_pipeline.lake.frames import DamagedFileWarning, Lake
from gex_pipeline.market.futures import index_of, month_of, root_of
from gex_pipeline.market.sessions import SECOND_NS, session_date
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.market.tables import BASIS, GEX, GEX_1M

MOST_ROWS: Final = 50_000
FIELDS: Final = tuple(
    column.name
    for column in GEX.columns
    if column.name not in ("source", "tape", "epoch", "seq", "source_seq", "symbol", "ts_recv_ns")
)
"""What can be asked for; the time of each row comes by itself."""
LEVELS: Final = (
    "spot",
    *(
        f"{name}_{weight}"
        for name in (
            "zero_gamma",
            "call_wall",
            "put_wall",
            "abs_gamma_strike",
            "max_net_strike",
            "min_net_strike",
        )
        for weight in ("oi", "volume")
    ),
    "max_pain",
)
"""Of a future these are its index's + basis."""
_GAP_COLUMNS: Final = (
    "tape",
    "session_date",
    "symbol",
    "ts_from_ns",
    "ts_to_ns",
    "cause",
    "first_seq",
    "last_seq",
    "filled_by",
)
_LATEST: Final = datetime.timedelta(days=1)
_warned: Final = threading.Lock()
"""Warnings are caught for the whole process: by one question at a time."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which figures over which time."""

    symbol: str
    scope: str
    convention: str
    start_ns: int
    end_ns: int
    """Both in it."""
    interval_s: int
    fields: tuple[str, ...]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over time."""

    symbol: str
    scope: str
    convention: str
    interval_s: int
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    """In order; the first column is ts_recv_ns, the end of the second that a row is of."""
    damaged: tuple[str, ...]
    """Files that could not be read: their rows are missing."""


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """What was not seen, or was lost."""

    gaps: list[dict[str, Any]]
    damaged: tuple[str, ...]


def history(root: Path, asked: Asked) -> History:
    """Return the last row of each interval that has one; of a future those of its index, moved.

    Raises:
        ConventionError: a field that the table does not have.
        NotRecordedError: there is no lake yet.
        TooMuchError: more rows than one answer holds.
    """
    for name in asked.fields:
        if name not in FIELDS:
            raise ConventionError("Field", name, FIELDS)
    with damage() as damaged:
        index, lake = index_of(asked.symbol), _lake(root, asked.symbol)
        if index is None:
            rows = _rows(lake, asked)
        else:
            of_index = _rows(lake, msgspec.structs.replace(asked, symbol=index))
            rows = _moved(lake, of_index, asked)
    return History(
        symbol=asked.symbol,
        scope=asked.scope,
        convention=asked.convention,
        interval_s=asked.interval_s,
        columns=("ts_recv_ns", *asked.fields),
        rows=rows.rows(),
        damaged=tuple(damaged),
    )


def gaps(root: Path, start_ns: int, end_ns: int) -> Gaps:
    """Return the gaps that reach into a time, and what its days lost without a time.

    Raises:
        NotRecordedError, TooMuchError: as `history`.
    """
    first, last = (session_date(ns, "index") for ns in (start_ns, end_ns))
    inside = (pl.col("ts_to_ns") >= start_ns) & (pl.col("ts_from_ns") <= end_ns)
    with damage() as damaged:
        frame = (
            _lake(root, "")
            .scan("gaps", start=first - _LATEST, end=last + _LATEST)
            .filter(inside | pl.col("ts_from_ns").is_null())
            .sort("ts_from_ns", "tape", "first_seq")
        )
        rows = _bounded(frame.select(_GAP_COLUMNS))
    return Gaps(gaps=rows.to_dicts(), damaged=tuple(damaged))


def _rows(lake: Lake, asked: Asked) -> pl.DataFrame:
    """Return the rows by minutes, and those by seconds of the days that have no minutes yet."""
    calendar = calendar_of(asked.symbol)
    first, last = (session_date(ns, calendar) for ns in (asked.start_ns, asked.end_ns))
    found = []
    if asked.interval_s % 60 == 0:
        minutes = _bounded(_of(lake, GEX_1M.name, (first, last), asked))
        days = minutes["session_date"]
        first = first if days.is_empty() else max(days) + _LATEST
        found.append(minutes)
    if first <= last:
        found.append(_bounded(_of(lake, GEX.name, (first, last), asked)))
    rows = pl.concat(found).lazy().sort("ts_recv_ns").select("ts_recv_ns", *asked.fields)
    return _bounded(rows)


def _moved(lake: Lake, rows: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Return an index's rows in the points of its future; without a basis of a second, null."""
    first, last = (session_date(ns, "cme") for ns in (asked.start_ns, asked.end_ns))
    conditions = [pl.col("ts_recv_ns").is_between(asked.start_ns, asked.end_ns)]
    if month_of(asked.symbol):
        conditions.append(pl.col("contract") == asked.symbol)
    basis = (
        lake.scan(BASIS.name, start=first, end=last, symbols=[root_of(asked.symbol)])
        .filter(*conditions)
        .select("ts_recv_ns", pl.col("basis").alias("_basis"))
        .unique("ts_recv_ns", keep="last")
    )
    levels = [name for name in asked.fields if name in LEVELS]
    joined = rows.lazy().join(basis, on="ts_recv_ns", how="left", maintain_order="left")
    return joined.with_columns(pl.col(levels) + pl.col("_basis")).drop("_basis").collect()


def _of(
    lake: Lake, table: str, dates: tuple[datetime.date, datetime.date], asked: Asked
) -> pl.LazyFrame:
    interval = pl.col("ts_recv_ns") // (asked.interval_s * SECOND_NS)
    columns = tuple(dict.fromkeys(("ts_recv_ns", "session_date", *asked.fields)))
    return (
        lake.scan(table, start=dates[0], end=dates[1], symbols=[asked.symbol])
        .filter(
            pl.col("ts_recv_ns").is_between(asked.start_ns, asked.end_ns),
            pl.col("scope") == asked.scope,
            pl.col("convention") == asked.convention,
        )
        .select(columns)
        .sort("ts_recv_ns")
        .group_by(interval.alias("_interval"), maintain_order=True)
        .last()
        .select(columns)
    )


def _bounded(frame: pl.LazyFrame) -> pl.DataFrame:
    rows = frame.limit(MOST_ROWS + 1).collect()
    if rows.height > MOST_ROWS:
        raise TooMuchError(MOST_ROWS)
    return rows


def _lake(root: Path, symbol: str) -> Lake:
    try:
        return Lake(root)
    except NoLakeError as error:
        raise NotRecordedError(symbol or "any symbol", "yet", "there is none") from error


@contextmanager
def damage() -> Iterator[list[str]]:
    """Give the list of damaged files that frames leave out, filled when the block ends."""
    damaged: list[str] = []
    with _warned, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DamagedFileWarning)
        yield damaged
        damaged += [str(each.message) for each in told]
