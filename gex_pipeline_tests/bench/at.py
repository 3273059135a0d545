"""Any moment's figures out of the lake: a stretch of a full-size session, asked at random moments.

Day files as end of day writes them, with the rate and the chains of a whole market; of the session
only some minutes, because a moment is read out of its own minute whatever lies beside it. Times are
CPU time of all threads, which on a quiet machine is no less than the time that a caller waits.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.exposure.asof import Stretch, image_at
from gex_pipeline.exposure.live import Image, spot_price
from gex_pipeline.exposure.moment import positions_text
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.gateway.asof import figures_at
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.durable import make_folders
from gex_pipeline.lake.moments import Moments
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.parts import DayFile, Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.told import told_of
from gex_pipeline.market.arrays import Ints
from gex_pipeline.market.sessions import SECOND_NS, session_date
from gex_pipeline.market.tables import (
    CHAIN_1M,
    CHAIN_HEADERS,
    HEARTBEATS,
    LAKE_SCHEMA_VERSION,
    OPTION_QUOTES,
    TRADES,
    Table,
)
from gex_pipeline_tests.bench.option_flow import OPEN_NS, OptionFlow

FEED, OWN, SYMBOL = "schwab.index", "gex.index", "SPX"
MINUTES: Final = 10
CONTRACTS: Final = 61_100
"""Of the whole market: 27,000 of SPX."""
PER_S: Final = 9_500
"""Of the whole market: 4,500 of SPX."""
KEPT: Final = ("SPX", "NDX")
"""What lies on the tape of indexes."""
DAY: Final = session_date(OPEN_NS, "index")
_FIRST_NS: Final = OPEN_NS + SECOND_NS


def measure(rounds: int, folder: Path | None = None, minutes: int = MINUTES) -> dict[str, float]:
    """Return `at_*` figures: times in ms of so many random moments, and what is asked."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        paths = LakePaths(Path(root))
        build(paths, minutes)
        return asked(paths, rounds, minutes)


def asked(paths: LakePaths, rounds: int, minutes: int) -> dict[str, float]:
    """Return the figures of a lake that was built."""
    rng = np.random.default_rng(5)
    moments_ns = OPEN_NS + (rng.uniform(60, minutes * 60 - 2, rounds) * SECOND_NS).astype(np.int64)
    times_ms, cpu_ms = [], []
    for ts_ns in moments_ns.tolist():
        start_ns, start_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        found = figures_at(paths, SYMBOL, "all", ts_ns)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        cpu_ms.append((time.process_time_ns() - start_cpu_ns) / 1e6)
        if found.net_gex is None or found.ts_event_ns != ts_ns // SECOND_NS * SECOND_NS:
            raise BenchInvalidError("a moment's figures are not those of its second")
    return {
        "at_contracts": float(found.contracts),
        "at_updates_per_s": _per_s(paths),
        "at_image_kb": _image_kb(paths),
        "at_first_ms": cpu_ms[0],
        "at_p50_ms": float(np.median(cpu_ms[1:])),
        "at_p90_ms": float(np.percentile(cpu_ms[1:], 90)),
        "at_wall_p50_ms": float(np.median(times_ms[1:])),
    }


def build(paths: LakePaths, minutes: int = MINUTES) -> None:
    """Write the tape of indexes from the open on, and the chain images of its minutes."""
    flow = OptionFlow(contracts=CONTRACTS, per_s=PER_S)
    quotes = _all_at_once(flow)
    end_ns = OPEN_NS + minutes * 60 * SECOND_NS + 2 * SECOND_NS
    blocks = [quotes]
    while int(blocks[-1]["ts_recv_ns"][-1]) < end_ns:
        blocks.append(_kept(flow.block()))
    _write_feed(paths, blocks, minutes)
    _write_images(paths, minutes)


def _all_at_once(flow: OptionFlow) -> dict[str, Any]:
    """Return every contract once, as the first answer of the chain has them."""
    odds = flow._odds
    flow._odds = np.arange(1, odds.size + 1) / odds.size
    draws = flow._rng
    flow._rng = _InOrder(odds.size)  # type: ignore[assignment] # each contract exactly once
    columns = flow.block(odds.size)
    flow._odds, flow._rng, flow._ts_ns = odds, draws, _FIRST_NS
    columns["ts_recv_ns"] = np.full(odds.size, _FIRST_NS)
    return _kept(columns)


class _InOrder:
    """Draws that choose one contract after the other."""

    def __init__(self, count: int) -> None:
        self._count = count

    def random(self, rows: int) -> Any:
        return (np.arange(rows) + 0.5) / self._count

    def integers(self, low: int, high: int) -> int:
        return low


def _kept(columns: dict[str, Any]) -> dict[str, Any]:
    ours = np.isin(columns["underlying"].astype(str), KEPT)
    return {name: column[ours] for name, column in columns.items()}


def _write_feed(paths: LakePaths, blocks: list[dict[str, Any]], minutes: int) -> None:
    """Number quotes, spots, headers and heartbeats by their receipt, and write them."""
    quotes = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    beats_ns = OPEN_NS + SECOND_NS * np.arange(1, minutes * 60 + 3) + 2_000_000
    head = {"ts_recv_ns": np.full(1, _FIRST_NS)}
    trades = {"ts_recv_ns": beats_ns - 500_000_000}
    stamps = (head["ts_recv_ns"], quotes["ts_recv_ns"], trades["ts_recv_ns"], beats_ns)
    order = np.argsort(np.concatenate(stamps), kind="stable")
    seq = np.empty(order.size, dtype=np.int64)
    seq[order] = np.arange(1, order.size + 1)
    numbers = np.split(seq, np.cumsum([part.size for part in stamps])[:-1])
    spot = float(quotes["underlying_price"][quotes["underlying"] == SYMBOL][0])
    headers = {
        "symbol": SYMBOL,
        "first_expiry": DAY,
        "last_expiry": DAY.replace(year=DAY.year + 6),
        "contracts": 1,
        "complete": True,
        "underlying_price": spot,
        **head,
    }
    own = {"streamed": True, "settlement": "P", "ts_event_ns": quotes["ts_event_ns"]}
    _commit(
        paths,
        FEED,
        seq.size,
        {
            CHAIN_HEADERS: _table(CHAIN_HEADERS, numbers[0], headers),
            OPTION_QUOTES: _table(OPTION_QUOTES, numbers[1], quotes | own),
            TRADES: _table(TRADES, numbers[2], trades | {"symbol": SYMBOL, "price": spot}),
            HEARTBEATS: _table(
                HEARTBEATS,
                numbers[3],
                {"ts_recv_ns": beats_ns, "received": 1, "connected": True, "symbol": ""},
            ),
        },
    )


def _write_images(paths: LakePaths, minutes: int) -> None:
    """Write the chain at each minute, each folded from the one before."""
    moments = Moments(paths, read_chain(paths, FEED))
    underlying = Underlying(SYMBOL, "schwab", "real")
    rows: list[dict[str, Any]] = []
    after, image = 0, None
    for minute in range(1, minutes + 1):
        ts_ns = OPEN_NS + minute * 60 * SECOND_NS
        prefix = moments.prefix(ts_ns)
        if prefix is None:
            raise BenchInvalidError("the tape ends before its last minute")
        last = prefix.position[1]
        told = told_of(moments, SYMBOL, after, last, every=False)
        stretch = Stretch(
            positions={FEED: prefix.position},
            heard_ns=moments.heard_ns(0, last),
            newest_ns=told.newest_ns,
            quotes=told.quotes,
            quote_seq=told.quote_seq,
            events=told.events,
        )
        image = image_at(underlying, stretch, ts_ns)
        rows.append(_image_row(image, ts_ns))
        after = last
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = _table(CHAIN_1M, np.arange(1, len(rows) + 1), columns)
    _commit(paths, OWN, len(rows), {CHAIN_1M: table})


def _image_row(image: Image, ts_ns: int) -> dict[str, Any]:
    return {
        "symbol": image.symbol,
        "ts_recv_ns": ts_ns,
        "positions": positions_text(image),
        "spot": spot_price(image.spot, image.symbol, image.asof_ns),
        "contracts": len(image.contracts),
        "image": encode_image(image),
    }


def _table(table: Table, seq: Ints, given: dict[str, Any]) -> pa.Table:
    """Return rows with the columns that are given, sorted as the table wants them."""
    schema, size = schema_of(table), seq.size
    shared = {
        "source": "schwab",
        "mode": "live",
        "session_date": DAY,
        "tape": FEED,
        "epoch": 1,
        "ts_event_ns": given["ts_recv_ns"],
    }
    values = shared | given | {"seq": seq}
    columns = []
    for field in schema:
        value = values.get(field.name)
        if value is None:
            columns.append(pa.nulls(size, field.type))
        elif isinstance(value, np.ndarray | list):
            columns.append(pa.array(value, field.type))
        else:
            columns.append(pa.repeat(pa.scalar(value, field.type), size))
    rows = pa.table(columns, schema=schema)
    return rows.sort_by([(name, "ascending") for name in table.sort_by])


def _commit(paths: LakePaths, tape: str, last: int, tables: dict[Table, pa.Table]) -> None:
    """Write day files and the manifest that names them."""
    files = []
    for table, rows in tables.items():
        name = f"{table.name}/date={DAY}/{tape}-1-{last}.parquet"
        make_folders((paths.lake / name).parent)
        with DayWriter(table, paths.lake / name) as writer:
            writer.write(rows)
        size = (paths.lake / name).stat().st_size
        files.append(DayFile(table=table.name, file=name, rows=rows.num_rows, bytes=size))
    manifest = Manifest(
        tape=tape,
        epoch=1,
        date=DAY,
        first=1,
        last=last,
        files=tuple(files),
        schema=LAKE_SCHEMA_VERSION,
    )
    make_folders(paths.manifests(tape))
    (paths.manifests(tape) / f"1-{last}.json").write_bytes(msgspec.json.encode(manifest))


def _per_s(paths: LakePaths) -> float:
    """Return the underlying's option updates a second, in the tape's last minute."""
    moments = Moments(paths, read_chain(paths, FEED))
    _, end_ns = moments.span() or (0, 0)
    first, last = (moments.prefix(end_ns - at * SECOND_NS) for at in (61, 1))
    if first is None or last is None:
        raise BenchInvalidError("the tape is shorter than a minute")
    told = told_of(moments, SYMBOL, first.position[1], last.position[1], every=False)
    return len(told.quotes) / 60


def _image_kb(paths: LakePaths) -> float:
    (node,) = read_chain(paths, OWN).nodes
    sizes = [file.bytes for file in node.files] if isinstance(node, Manifest) else [0]
    return sum(sizes) / node.last / 1e3
