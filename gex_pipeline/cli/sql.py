"""`gex sql`: one query over the lake's Parquet files, exactly those that are committed now."""

import csv
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
import msgspec

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.lake.damage import Damage
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import Stream, answering
from gex_pipeline.settings import origin_of

WIDEST: Final = 60
"""Letters of a cell that a table shows."""

_JSON: Final = msgspec.json.Encoder(enc_hook=str)
_Rows = list[tuple[Any, ...]]


@click.command()
@click.argument("statement")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: columns and rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header; null is empty.")
@click.option("--check", is_flag=True, help="Read every byte of the files first: finds all damage.")
def sql(*, statement: str, as_json: bool, as_csv: bool, check: bool) -> None:
    """Answer one SELECT over the lake: trades, quotes, option_quotes, gex, gaps and so on.

    `_ends` has the last committed event of each tape, `_lost` the events that nothing holds any
    more, `_damaged` the files that could not be read: they are left out, and named in a warning.
    Times are UTC nanoseconds; et(ts_ns) gives New York's time, day_ns(date, '10:00') the
    nanoseconds of it. Tables, columns and example queries: docs/data.md.

    \b
    Example:
      gex sql "select count(*), min(ts_event_ns), max(ts_event_ns) from trades"
      gex sql "select symbol, count(*) from quotes group by all order by all" --json
      gex sql "select et(ts_recv_ns) as at, * from gex_1m order by ts_recv_ns" --csv > gex.csv
    """
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both.")
    origin = origin_of(service_settings(strict=False))
    with answering(LakePaths(origin.root), statement, checked=check) as stream:
        if as_json:
            lines = _json(stream, origin.mode)
        elif as_csv:
            lines = _csv(stream)
        else:
            lines = _table(stream, origin.mode)
        for line in lines:
            sys.stdout.write(line)
    if as_csv and origin.mode == "simulated":
        click.echo("SIMULATED", err=True)
    _warn(stream.damaged)


def _warn(damaged: Iterable[Damage]) -> None:
    for each in damaged:
        click.echo(f"WARNING: left out of the answer: {each}", err=True)


def _json(stream: Stream, mode: str) -> Iterator[str]:
    head = _JSON.encode({"mode": mode, "columns": stream.columns}).decode()
    yield f'{head[:-1]},"rows":['
    comma = ""
    for batch in stream.batches:
        yield comma + _JSON.encode(batch).decode()[1:-1]
        comma = ","
    yield f'],"damaged":{_JSON.encode([str(each) for each in stream.damaged]).decode()}}}\n'


class _Line:
    """What a CSV writer writes to: it hands the line back."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def _csv(stream: Stream) -> Iterator[str]:
    writer: Any = csv.writer(_Line(), lineterminator="\n")
    yield writer.writerow(stream.columns)
    for batch in stream.batches:
        yield "".join([writer.writerow(row) for row in batch])


def _table(stream: Stream, mode: str) -> Iterator[str]:
    """Give the lines of a table; the first batch says how wide its columns are."""
    first: _Rows = next(stream.batches, [])
    cells = [[_cell(value) for value in row] for row in first]
    columns = zip(stream.columns, *cells, strict=True)
    widths = [max(len(text) for text in column) for column in columns]
    numeric = [
        all(isinstance(row[n], int | float | None) for row in first) for n in range(len(widths))
    ]
    yield _line(list(stream.columns), widths, numeric)
    yield "  ".join("-" * width for width in widths) + "\n"
    count = 0
    for batch in itertools.chain([first], stream.batches):
        count += len(batch)
        yield from (_line([_cell(value) for value in row], widths, numeric) for row in batch)
    note = ", SIMULATED" if mode == "simulated" else ""
    yield f"({count} row{'' if count == 1 else 's'}{note})\n"


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    told = zip(cells, widths, numeric, strict=True)
    return "  ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in told).rstrip() + "\n"


def _cell(value: Any) -> str:
    text = "null" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
