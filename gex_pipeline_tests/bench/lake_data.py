"""Lakes for the bench: a year of GEX seconds, and a day of ticks, as end of day writes them."""

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from gex_pipeline.exposure.live import Image, Rows, Spot, lay_out
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.derived import Derived, commit_derived
from gex_pipeline.lake.durable import make_folders
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.parts import DayFile, Manifest
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.sessions import (
    SECOND_NS,
    next_trading_day,
    regular_open_ns,
    trading_day_on_or_after,
)
from gex_pipeline.market.tables import GEX, LAKE_SCHEMA_VERSION, TABLES, Table

DAYS: Final = 252
SECONDS: Final = 23_400
"""Of regular hours."""
GEX_TAPE: Final = "gex.index"
_FIRST_DAY: Final = datetime.date(2025, 11, 20)
_LEVELS: Final = ("call_wall", "put_wall", "abs_gamma_strike", "max_net_strike", "min_net_strike")
_SUMS: Final = ("net_gex", "call_gex", "put_gex", "gross_gex", "dex", "vex", "cex")


def build_year(paths: LakePaths, days: int = DAYS, seconds: int = SECONDS) -> None:
    """Write a year of gex, one symbol and scope, with manifests, and its gex_1m."""
    rng = np.random.default_rng(11)
    day, seq, spot = trading_day_on_or_after(_FIRST_DAY), 0, 6000.0
    for _ in range(days):
        rows = gex_day(rng, day, seconds, seq, spot)
        commit_day(paths, GEX_TAPE, day, seq + 1, {GEX.name: rows})
        minute = rows["ts_recv_ns"].to_numpy() // (60 * SECOND_NS)
        last = np.flatnonzero(np.diff(minute, append=minute[-1] + 1))
        _derive(paths, day, rows.take(pa.array(last)))
        seq, spot = seq + seconds, rows["spot"][-1].as_py()
        day = next_trading_day(day)


def gex_day(
    rng: np.random.Generator, day: datetime.date, seconds: int, seq: int, spot: float
) -> pa.Table:
    """Return a day's rows: spot on ticks, sums that wander, levels that rest and then jump."""
    ts_ns = regular_open_ns(day) + (np.arange(seconds) + 1) * SECOND_NS
    spots = np.round(spot * np.exp(np.cumsum(rng.standard_normal(seconds)) * 7e-5), 2)
    columns: dict[str, Any] = {
        "source": "gex",
        "mode": "live",
        "session_date": day,
        "tape": GEX_TAPE,
        "epoch": 1,
        "seq": seq + 1 + np.arange(seconds),
        "symbol": "SPX",
        "ts_event_ns": ts_ns,
        "ts_recv_ns": ts_ns,
        "scope": "all",
        "convention": "gexc-1:356bfcae",
        "positions": _positions(rng, seconds),
        "spot": spots,
        "max_pain": np.full(seconds, 5 * np.round(spot / 5)),
        "expected_move": np.abs(_walk(rng, seconds, 20.0, 0.01)),
        "open_interest": np.full(seconds, 1.4e7),
        "volume": np.cumsum(rng.integers(0, 300, seconds)).astype(float),
        "contracts": np.full(seconds, 20_000),
        "own_share": _walk(rng, seconds, 0.95, 1e-4),
        "vendor_share": _walk(rng, seconds, 0.04, 1e-4),
        "confidence": _walk(rng, seconds, 0.9, 1e-4),
        "confidence_level": "high",
        "null_reasons": "{}",
        "gap_s": np.zeros(seconds),
    }
    for weight in ("oi", "volume"):
        for name in _SUMS:
            columns[f"{name}_{weight}"] = _walk(rng, seconds, 3e9, 4e6)
        columns[f"zero_gamma_{weight}"] = spots + _walk(rng, seconds, -40.0, 0.05)
        for name in _LEVELS:
            columns[f"{name}_{weight}"] = _resting(rng, spots)
    return filled(GEX, columns, seconds)


def filled(table: Table, columns: dict[str, Any], rows: int) -> pa.Table:
    """Return the table of these columns; a single value stands for all rows, what lacks is null."""
    schema = schema_of(table)

    def array(field: pa.Field) -> pa.Array:
        value = columns.get(field.name)
        if value is None:
            return pa.nulls(rows, field.type)
        if isinstance(value, list | np.ndarray):
            return pa.array(value, type=field.type, from_pandas=True)
        return pa.repeat(pa.scalar(value, field.type), rows)

    return pa.Table.from_arrays([array(field) for field in schema], schema=schema)


def commit_day(
    paths: LakePaths, tape: str, day: datetime.date, first: int, tables: dict[str, pa.Table]
) -> None:
    """Write sorted rows as day files, and the manifest that names them."""
    files, last = [], first - 1
    for name, rows in tables.items():
        last += rows.num_rows
        file = f"{name}/date={day}/{tape}-{first}-{last}.parquet"
        size = write_day(TABLES[name], rows, paths.lake / file)
        files.append(DayFile(table=name, file=file, rows=rows.num_rows, bytes=size))
    manifest = Manifest(
        tape=tape,
        epoch=1,
        date=day,
        first=first,
        last=last,
        files=tuple(files),
        schema=LAKE_SCHEMA_VERSION,
    )
    make_folders(paths.manifests(tape))
    place = paths.manifests(tape) / f"{first}-{last}.json"
    place.write_bytes(msgspec.json.encode(manifest))


def write_day(table: Table, rows: pa.Table, path: Path) -> int:
    """Write one day file as end of day does and return its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with DayWriter(table, path) as writer:
        writer.write(rows)
    return path.stat().st_size


def _derive(paths: LakePaths, day: datetime.date, rows: pa.Table) -> None:
    record = Derived(
        table="gex_1m",
        key=GEX_TAPE,
        date=day,
        file=f"gex_1m/date={day}/{GEX_TAPE}.parquet",
        rows=rows.num_rows,
        bytes=0,
        schema=LAKE_SCHEMA_VERSION,
    )
    commit_derived(paths, record, lambda path: _write(rows, path))


def _write(rows: pa.Table, path: Path) -> None:
    write_day(TABLES["gex_1m"], rows, path)


def _walk(rng: np.random.Generator, rows: int, around: float, step: float) -> Floats:
    return around + np.cumsum(rng.standard_normal(rows)) * step


def _resting(rng: np.random.Generator, spots: Floats) -> Floats:
    """Return strikes near spot that change a dozen times a day."""
    chosen = np.sort(rng.integers(0, spots.size, 12))
    place: Ints = chosen[np.searchsorted(chosen, np.arange(spots.size)).clip(max=11)]
    return 5 * np.round(spots[place] / 5) + 25 * rng.integers(-4, 5, 12)[place % 12]


def _positions(rng: np.random.Generator, rows: int) -> list[str]:
    equity = np.cumsum(rng.integers(800, 1_200, rows)).tolist()
    index = np.cumsum(rng.integers(1, 9, rows)).tolist()
    return [
        f'{{"schwab.equity":[1,{a}],"schwab.index":[1,{b}]}}'
        for a, b in zip(equity, index, strict=True)
    ]


def build_ticks(
    paths: LakePaths, symbols: int, rows: int, days: int = 20
) -> tuple[datetime.date, dict[str, float]]:
    """Write a day of quotes and trades amid small other days; return it, and its bytes a row."""
    rng = np.random.default_rng(5)
    day, seq, asked, found = trading_day_on_or_after(_FIRST_DAY), 0, _FIRST_DAY, {}
    for n in range(days):
        whole = n == days // 2
        tables = dict(ticks_day(rng, day, symbols, rows if whole else 20_000))
        commit_day(paths, "schwab.equity", day, seq + 1, tables)
        if whole:
            asked = day
            for name, each in tables.items():
                (file,) = (paths.lake / name / f"date={day}").glob("*.parquet")
                found[f"{name}_bytes_per_row"] = file.stat().st_size / each.num_rows
        seq += sum(each.num_rows for each in tables.values())
        day = next_trading_day(day)
    return asked, found


def ticks_day(
    rng: np.random.Generator, day: datetime.date, symbols: int, rows: int
) -> Iterator[tuple[str, pa.Table]]:
    """Yield a day's quotes and trades of many shares, sorted as their day files are."""
    names = sorted({"SPY", "QQQ", *(f"T{n:03}" for n in range(symbols - 2))})
    shares = rng.dirichlet(np.full(symbols, 0.5)) * 0.88
    shares[names.index("SPY")] = 0.12  # the one that is asked for is the busiest
    counts = np.maximum((shares * rows).astype(int), 10).tolist()
    for table, kept in (("quotes", 1.0), ("trades", 0.3)):
        pieces = [
            _ticks(rng, day, name, int(count * kept), table)
            for name, count in zip(names, counts, strict=True)
        ]
        yield table, pa.concat_tables(pieces)


def _ticks(
    rng: np.random.Generator, day: datetime.date, symbol: str, rows: int, table: str
) -> pa.Table:
    ts_ns = regular_open_ns(day) + np.sort(rng.integers(0, SECONDS * SECOND_NS, rows))
    price = np.round(100 + np.cumsum(rng.choice([-0.01, 0.0, 0.0, 0.01], rows)), 2)
    columns: dict[str, Any] = {
        "source": "schwab",
        "mode": "live",
        "session_date": day,
        "tape": "schwab.equity",
        "epoch": 1,
        "seq": np.sort(rng.choice(rows * 40, rows, replace=False)) + 1,
        "symbol": symbol,
        "ts_event_ns": ts_ns // 1_000_000 * 1_000_000,
        "ts_recv_ns": ts_ns + 3_000_000,
    }
    if table == "quotes":
        columns |= {
            "bid": price,
            "ask": np.round(price + rng.choice([0.01, 0.02], rows), 2),
            "bid_size": 100.0 * rng.integers(1, 30, rows),
            "ask_size": 100.0 * rng.integers(1, 30, rows),
        }
    else:
        columns |= {
            "price": price,
            "size": rng.integers(1, 500, rows).astype(float),
            "volume": np.cumsum(rng.integers(1, 500, rows)),
            "exchange": rng.choice(np.array(["P", "Q", "Z", "D"], dtype=object), rows),
        }
    return filled(TABLES[table], columns, rows)


def images_day(paths: LakePaths, minutes: int, contracts: int) -> None:
    """Write a day of chain images of one underlying: a third of the rows change each minute."""
    rng = np.random.default_rng(3)
    day = trading_day_on_or_after(_FIRST_DAY)
    image = _first_image(rng, day, contracts)
    rows = []
    for minute in range(minutes):
        ts_ns = regular_open_ns(day) + (minute + 1) * 60 * SECOND_NS
        image = _next_image(rng, image, ts_ns)
        rows.append(encode_image(image))
    columns = {
        "source": "gex",
        "mode": "live",
        "session_date": day,
        "tape": GEX_TAPE,
        "epoch": 1,
        "seq": 1 + np.arange(minutes),
        "symbol": "SPX",
        "ts_event_ns": regular_open_ns(day) + (1 + np.arange(minutes)) * 60 * SECOND_NS,
        "ts_recv_ns": regular_open_ns(day) + (1 + np.arange(minutes)) * 60 * SECOND_NS,
        "positions": "{}",
        "spot": 6000 + _walk(rng, minutes, 0.0, 2.0),
        "contracts": np.full(minutes, contracts),
        "image": rows,
    }
    commit_day(paths, GEX_TAPE, day, 1, {"chain_1m": filled(TABLES["chain_1m"], columns, minutes)})


def copied_days(paths: LakePaths, days: int) -> None:
    """Add copies of the one day of images as the days after it: only their number matters."""
    (old,) = (paths.lake / "chain_1m").glob("date=*/*.parquet")
    day = datetime.date.fromisoformat(old.parent.name.removeprefix("date="))
    (known,) = paths.manifests(GEX_TAPE).glob("[0-9]*.json")
    manifest = msgspec.json.decode(known.read_bytes(), type=Manifest)
    for n in range(1, days + 1):
        day = next_trading_day(day)
        first, last = manifest.last * n + 1, manifest.last * (n + 1)
        file = f"chain_1m/date={day}/{GEX_TAPE}-{first}-{last}.parquet"
        (paths.lake / file).parent.mkdir()
        shutil.copyfile(old, paths.lake / file)
        files = (msgspec.structs.replace(manifest.files[0], file=file),)
        again = msgspec.structs.replace(manifest, date=day, first=first, last=last, files=files)
        place = paths.manifests(GEX_TAPE) / f"{first}-{last}.json"
        place.write_bytes(msgspec.json.encode(again))


def _first_image(rng: np.random.Generator, day: datetime.date, contracts: int) -> Image:
    """Return a chain as wide as SPX's: dates by the week, strikes by five points."""
    per_expiry = 450
    expiries = [day + datetime.timedelta(days=7 * n) for n in range(contracts // per_expiry)]
    names = [
        f"SPXW  {expiry:%y%m%d}{right}{strike * 1000:08d}"
        for expiry in expiries
        for strike in range(4900, 4900 + 5 * per_expiry // 2, 5)
        for right in "CP"
    ]
    size = len(names)
    price = np.concatenate(([np.nan], np.round(rng.exponential(40, size), 1)))
    zeros = np.zeros(size + 1, dtype=np.int64)
    rows = Rows(
        bid=price,
        ask=price + 0.2,
        iv=np.concatenate(([np.nan], rng.uniform(0.1, 0.4, size))),
        gamma=price,
        open_interest=np.concatenate(([0.0], rng.integers(0, 9000, size).astype(float))),
        volume=np.zeros(size + 1),
        quote_ns=zeros,
        seen_ns=zeros,
        changed_ns=zeros,
        streamed=np.ones(size + 1, dtype=bool),
        bought=np.zeros(size + 1),
        sold=np.zeros(size + 1),
    )
    settlements = ("P",) * size
    return Image(
        symbol="SPX",
        source="schwab",
        mode="real",
        contracts=tuple(names),
        settlements=settlements,
        layout=lay_out("SPX", names, settlements),
        rows=rows,
        spot=Spot(last=6000.0),
        asof_ns=0,
        watched_ns=0,
        heard_ns=0,
        ts_recv_ns=0,
        windows=(),
        positions={"schwab.index": (1, 1)},
    )


def _next_image(rng: np.random.Generator, image: Image, ts_ns: int) -> Image:
    """Return the chain a minute later: a third of its rows have another quote, some traded."""
    rows, size = image.rows, image.rows.bid.size
    moved = rng.random(size) < 1 / 3
    shift = np.where(moved, rng.choice([-0.1, 0.1], size), 0.0)
    stamp = np.where(moved, ts_ns - rng.integers(0, 60 * SECOND_NS, size), rows.seen_ns)
    changed = msgspec.structs.replace(
        rows,
        bid=np.round(rows.bid + shift, 2),
        ask=np.round(rows.ask + shift, 2),
        iv=np.where(moved, np.round(rows.iv * np.exp(shift / 50), 5), rows.iv),
        volume=rows.volume + np.where(moved, rng.integers(0, 5, size), 0),
        quote_ns=stamp // 1_000_000 * 1_000_000,
        seen_ns=stamp,
        changed_ns=stamp,
    )
    return msgspec.structs.replace(image, rows=changed, asof_ns=ts_ns, ts_recv_ns=ts_ns)
