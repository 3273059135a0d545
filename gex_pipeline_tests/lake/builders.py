"""Small lakes by hand: rows of any table as a committed part, a finished day or a derived file."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.derived import Derived, commit_derived
from gex_pipeline.lake.parts import DayFile, Gap, Manifest, Part, commit_part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, TABLES

Rows = Sequence[Mapping[str, Any]]
FRIDAY = datetime.date(2026, 11, 20)
MONDAY = datetime.date(2026, 11, 23)
TAPE = "schwab.index"


def add_part(
    paths: LakePaths,
    tables: Mapping[str, Rows],
    *,
    tape: str = TAPE,
    date: datetime.date = FRIDAY,
    lost: int = 0,
    schema: int = LAKE_SCHEMA_VERSION,
) -> Part:
    """Commit rows as the tape's next part, behind some lost seqs; what a row lacks is null."""
    cursor = read_chain(paths, tape).cursor
    seq, filled = cursor + lost, {}
    for name, rows in tables.items():
        filled[name] = [_row(name, tape, date, seq + n, row) for n, row in enumerate(rows, 1)]
        seq += len(rows)
    part = Part(
        tape=tape,
        epoch=1,
        date=date,
        first=cursor + 1,
        last=seq,
        rows={name: len(rows) for name, rows in filled.items()},
        gaps=(Gap(cursor + 1, cursor + lost),) if lost else (),
        schema=schema,
    )
    assert commit_part(paths, part, {n: _writer(n, rows, schema) for n, rows in filled.items()})
    return part


def finish_day(
    paths: LakePaths,
    tables: Mapping[str, Rows],
    *,
    tape: str = TAPE,
    date: datetime.date = FRIDAY,
    first: int = 1,
) -> Manifest:
    """Write day files and the manifest over them, as end of day does."""
    files, seq = [], first - 1
    for name, rows in tables.items():
        filled = [_row(name, tape, date, seq + n, row) for n, row in enumerate(rows, 1)]
        seq += len(rows)
        file = f"{name}/date={date}/{tape}-{first}-{first + len(rows)}.parquet"
        path = paths.lake / file
        path.parent.mkdir(parents=True, exist_ok=True)
        _writer(name, filled)(path)
        files.append(DayFile(table=name, file=file, rows=len(rows), bytes=path.stat().st_size))
    manifest = Manifest(
        tape=tape,
        epoch=1,
        date=date,
        first=first,
        last=seq,
        files=tuple(files),
        schema=LAKE_SCHEMA_VERSION,
    )
    folder = paths.manifests(tape)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{first}-{seq}.json").write_bytes(msgspec.json.encode(manifest))
    return manifest


def derive(
    paths: LakePaths,
    table: str,
    rows: Rows,
    *,
    date: datetime.date = FRIDAY,
    key: str = "gex.index",
) -> Derived:
    """Commit rows as a derived file."""
    filled = [_row(table, "gex.index", date, n, row) for n, row in enumerate(rows, 1)]
    record = Derived(
        table=table,
        key=key,
        date=date,
        file=f"{table}/date={date}/{key}.parquet",
        rows=len(rows),
        bytes=0,
        schema=LAKE_SCHEMA_VERSION,
    )
    return commit_derived(paths, record, _writer(table, filled))


def _row(
    table: str, tape: str, date: datetime.date, seq: int, row: Mapping[str, Any]
) -> dict[str, Any]:
    known = {
        "source": tape.split(".")[0],
        "mode": "simulated",
        "session_date": date,
        "tape": tape,
        "epoch": 1,
        "seq": seq,
        "symbol": "SPX",
        "ts_event_ns": row.get("ts_recv_ns", 0),
        "ts_recv_ns": 0,
    }
    return dict.fromkeys(TABLES[table].column_names) | known | dict(row)


def _writer(table: str, rows: list[dict[str, Any]], schema: int = LAKE_SCHEMA_VERSION) -> Any:
    fields = schema_of(TABLES[table])
    if schema == 1 and table == "gex":
        fields = pa.schema([field for field in fields if field.name != "gap_s"])

    def write(path: Path) -> None:
        data = pa.table({name: [row[name] for row in rows] for name in fields.names}, schema=fields)
        data = data.sort_by([(name, "ascending") for name in TABLES[table].sort_by])
        pq.write_table(data, path, compression="zstd")

    return write
