"""`gex sql`: one query over the lake's Parquet files, exactly those that are committed now."""

from collections.abc import Iterator
from typing import Any, Final

import click
import msgspec

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import Answer, query
from gex_pipeline.settings import origin_of

WIDEST: Final = 60
"""Letters of a cell that a table shows."""


@click.command()
@click.argument("statement")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: columns and rows.")
def sql(*, statement: str, as_json: bool) -> None:
    """Answer one SELECT over the lake: trades, quotes, option_quotes, depth, gaps and so on.

    `_ends` has the last committed event of each tape, `_lost` the events that nothing holds any
    more. Times are UTC nanoseconds.

    \b
    Example:
      gex sql "select count(*), min(ts_event_ns), max(ts_event_ns) from trades"
      gex sql "select symbol, count(*) from quotes group by all order by all" --json
    """
    origin = origin_of(service_settings(strict=False))
    answer = query(LakePaths(origin.root), statement)
    click.echo(_json(answer) if as_json else "\n".join(_table(answer, origin.mode)))


def _json(answer: Answer) -> str:
    fields = {"columns": answer.columns, "rows": answer.rows}
    return msgspec.json.encode(fields, enc_hook=str).decode()


def _table(answer: Answer, mode: str) -> Iterator[str]:
    cells = [[_cell(value) for value in row] for row in answer.rows]
    columns = zip(answer.columns, *cells, strict=True)
    widths = [max(len(text) for text in column) for column in columns]
    numeric = [
        all(isinstance(row[n], int | float | None) for row in answer.rows)
        for n in range(len(widths))
    ]
    yield _line(list(answer.columns), widths, numeric)
    yield "  ".join("-" * width for width in widths)
    yield from (_line(row, widths, numeric) for row in cells)
    note = ", SIMULATED" if mode == "simulated" else ""
    yield f"({len(cells)} row{'' if len(cells) == 1 else 's'}{note})"


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    told = zip(cells, widths, numeric, strict=True)
    return "  ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in told).rstrip()


def _cell(value: Any) -> str:
    text = "null" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
