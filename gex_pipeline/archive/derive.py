"""Derived tables of finished days: gex_1m, the last row of each minute, and daily, a row a symbol.

A record says what it was made from, tape by tape up to which seq; where that is no longer what the
chains hold, it is made anew. So a source's day is made again when the engine's day is finished too.
"""

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from gex_pipeline.archive.step import OURS
from gex_pipeline.errors import InputError
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.derived import Derived, commit_derived, read_derived
from gex_pipeline.lake.durable import point
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import SOURCE_SEQUENCE
from gex_pipeline.market.sessions import SECOND_NS, session
from gex_pipeline.market.symbology import calendar_of, kind_of
from gex_pipeline.market.tables import DAILY, GEX_1M, LAKE_SCHEMA_VERSION, TABLES

POINTS: Final = ("derived.written", "derived.committed")
"""Moments at which a crash costs nothing, in their order."""
_MINUTE_NS: Final = 60 * SECOND_NS
_SCOPE: Final = "all"
_ORDER: Final = ("ts_recv_ns", "seq")
_AT_CLOSE: Final = DAILY.column_names[DAILY.column_names.index("convention") :]
"""Columns of daily that are the exposure's, at the close."""


def derive_days(paths: LakePaths) -> tuple[Derived, ...]:
    """Make what is missing or out of date, for every finished day; return what was made."""
    known = {(each.table, each.date, each.key): each for each in read_derived(paths)}
    days = list(_finished(paths))
    ends = {(day.tape, day.date): day.last for day in days}
    made = []
    for day in days:
        table = GEX_1M.name if _is_ours(day.tape) else DAILY.name
        made_from = _made_from(day, ends)
        record = known.get((table, day.date, day.tape))
        if record is not None and (record.made_from, record.schema) == (
            made_from,
            LAKE_SCHEMA_VERSION,
        ):
            continue
        rows = _gex_1m(paths, day) if table == GEX_1M.name else _daily(paths, day)
        if rows.height:
            made.append(_commit(paths, table, day, made_from, rows))
    return tuple(made)


def _finished(paths: LakePaths) -> Iterator[Manifest]:
    """Yield the finished days whose rows are still there, and that something is made from."""
    for tape in paths.tapes():
        wanted = {"gex"} if _is_ours(tape) else {"trades", "quotes", "option_quotes"}
        for node in read_chain(paths, tape).nodes:
            if isinstance(node, Manifest) and wanted & {each.table for each in node.files}:
                yield node


def _is_ours(tape: str) -> bool:
    return tape.startswith(f"{OURS}.")


def _gex_tape(tape: str) -> str:
    """Return the tape of the exposure of what a source's tape carries."""
    return f"{OURS}.{tape.rpartition('.')[2]}"


def _made_from(day: Manifest, ends: Mapping[tuple[str, datetime.date], int]) -> str:
    """Return the ends of the tapes that a day's figures come from."""
    tapes = (day.tape,) if _is_ours(day.tape) else (day.tape, _gex_tape(day.tape))
    return " ".join(f"{tape}:{ends.get((tape, day.date), 0)}" for tape in tapes)


def _commit(
    paths: LakePaths, table: str, day: Manifest, made_from: str, rows: pl.DataFrame
) -> Derived:
    schema = schema_of(TABLES[table])
    ordered = rows.sort(TABLES[table].sort_by).select(schema.names).to_arrow().cast(schema)
    version = made_from.replace(":", "-").replace(" ", "_")  # another version is another file

    def write(path: Path) -> None:
        with DayWriter(TABLES[table], path, made_from=made_from) as writer:
            writer.write(ordered)
        point("derived.written")

    record = Derived(
        table=table,
        key=day.tape,
        date=day.date,
        file=f"{table}/date={day.date}/{version}.parquet",
        rows=rows.height,
        bytes=0,
        made_from=made_from,
        schema=LAKE_SCHEMA_VERSION,
    )
    done = commit_derived(paths, record, write)
    point("derived.committed")
    return done


def _rows(paths: LakePaths, table: str, tape: str, date: datetime.date) -> pl.LazyFrame:
    return Lake(paths.root).scan(table, start=date, end=date).filter(pl.col("tape") == tape)


# --- gex_1m ---------------------------------------------------------------------------------------


def _gex_1m(paths: LakePaths, day: Manifest) -> pl.DataFrame:
    """Return the last row of each minute, symbol and scope."""
    minute = (pl.col("ts_recv_ns") // _MINUTE_NS).alias("minute")
    newest = _rows(paths, "gex", day.tape, day.date).sort(_ORDER)
    last = newest.group_by("symbol", "scope", "convention", minute).last()
    return last.drop("minute").collect()


# --- daily ----------------------------------------------------------------------------------------


def _daily(paths: LakePaths, day: Manifest) -> pl.DataFrame:
    """Return a row per symbol that the tape had trades, quotes or options of."""
    counts = {
        "trades": _counted(paths, day, "trades", "symbol"),
        "quotes": _counted(paths, day, "quotes", "symbol"),
        "option_quotes": _counted(paths, day, "option_quotes", "underlying"),
    }
    symbols = sorted({name for each in counts.values() for name in each if _is_listed(name)})
    shared = _shared(paths, day)
    gaps = _rows(paths, "gaps", day.tape, day.date).filter(_UNSEEN).collect()
    rows = []
    for symbol in symbols:
        hours = _hours(day.date, symbol)
        rows.append(
            shared
            | {"session_date": day.date, "symbol": symbol}
            | {table: each.get(symbol, 0) for table, each in counts.items()}
            | _prices(paths, day, symbol, hours)
            | _at_close(paths, day, symbol, hours)
            | {"gap_s": _gap_s(gaps, symbol, hours)}
        )
    schema = {name: pl.Float64() for name in DAILY.column_names} | _TYPES
    return pl.DataFrame(rows, schema=schema)


_UNSEEN: Final = pl.col("filled_by").is_null() & (pl.col("cause") != SOURCE_SEQUENCE)
"""Numbers that jumped are of candles, which no figure of a day is made from."""

_TYPES: Final[dict[str, Any]] = {
    column.name: {"utf8": pl.String(), "int64": pl.Int64(), "date": pl.Date()}[column.type]
    for column in DAILY.columns
    if column.type != "float64"
}


def _counted(paths: LakePaths, day: Manifest, table: str, subject: str) -> dict[str, int]:
    counted = _rows(paths, table, day.tape, day.date).group_by(subject).len().collect()
    return dict(counted.iter_rows())


def _is_listed(name: str) -> bool:
    """Whether a symbol has a row: options count with their underlying, if it was told."""
    return bool(name) and kind_of(name) not in ("option", "future_option")


def _shared(paths: LakePaths, day: Manifest) -> dict[str, Any]:
    """Return the source and mode of the tape's rows."""
    table = next(each.table for each in day.files)
    row = _rows(paths, table, day.tape, day.date).select("source", "mode").head(1).collect()
    return row.to_dicts()[0] if row.height else {}


def _hours(date: datetime.date, symbol: str) -> tuple[int, int]:
    """Return the regular hours of a symbol; none on a day without."""
    try:
        hours = session(date, calendar_of(symbol))
    except InputError:
        return (0, 0)
    return hours.open_ns, hours.close_ns


def _prices(paths: LakePaths, day: Manifest, symbol: str, hours: tuple[int, int]) -> dict[str, Any]:
    trades = _rows(paths, "trades", day.tape, day.date).filter(pl.col("symbol") == symbol)
    regular = trades.filter(pl.col("ts_event_ns").is_between(*hours, closed="left"))
    price = pl.col("price").sort_by("ts_event_ns", "seq")
    found = regular.select(
        open=price.first(), high=price.max(), low=price.min(), close=price.last()
    ).collect()
    volume = trades.select(pl.col("volume").sort_by("seq").drop_nulls().last()).collect()
    return found.to_dicts()[0] | volume.to_dicts()[0]


def _at_close(
    paths: LakePaths, day: Manifest, symbol: str, hours: tuple[int, int]
) -> dict[str, Any]:
    """Return the engine's figures of the last second of regular hours; none without them."""
    wanted = (
        (pl.col("symbol") == symbol)
        & (pl.col("scope") == _SCOPE)
        & pl.col("ts_recv_ns").is_between(*hours)
    )
    rows = _rows(paths, "gex", _gex_tape(day.tape), day.date).filter(wanted)
    last = rows.sort(_ORDER).select(_AT_CLOSE).last().collect()
    return last.to_dicts()[0] if last.height else {}


def _gap_s(gaps: pl.DataFrame, symbol: str, hours: tuple[int, int]) -> float:
    """Return the seconds of regular hours that lie in a gap, each of them once."""
    open_ns, close_ns = hours
    concerned = gaps.filter(pl.col("symbol").is_in(["", symbol])).sort("ts_from_ns")
    total, until = 0, open_ns
    for start, stop in concerned.select("ts_from_ns", "ts_to_ns").iter_rows():
        if start is None or stop is None:  # a lost range: nobody knows when it was
            continue
        begin, end = max(start, until), min(stop, close_ns)
        total, until = total + max(end - begin, 0), max(until, end)
    return total / SECOND_NS
