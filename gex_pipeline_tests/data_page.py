"""The part of docs/data.md that is made from the declarations: every table, column and macro."""

from collections.abc import Iterator
from typing import Final

from gex_pipeline.lake.columns import SQL_TYPES
from gex_pipeline.lake.views import MACROS
from gex_pipeline.market.tables import (
    DERIVED_TABLES,
    GEX_RECOMPUTED,
    HEARTBEATS,
    TABLES,
    Column,
    Table,
)

START: Final = "<!-- tables: python -m gex_pipeline_tests.generate_docs -->\n"
END: Final = "<!-- end of tables -->\n"

OWN: Final = {
    "_ends": "The last committed event of each tape: `tape`, `epoch`, `seq`.",
    "_lost": "Ranges of numbers that nothing holds any more: `tape`, `session_date`, `first_seq`,"
    " `last_seq`, `epoch`. They are rows of `gaps`, too.",
    "_damaged": "Files that could not be read and are left out: `table_name`, `tape`,"
    " `session_date`, `rows` (that it should hold), `path`, `problem`.",
    "_files": "In the catalog file only: `table_name`, `path` of every file of its views.",
}


def with_tables(page: str) -> str:
    """Return a page with its generated part made anew."""
    head, rest = page.split(START)
    return head + START + "\n".join(_lines()) + "\n" + END + rest.split(END)[1]


def shared_columns() -> tuple[Column, ...]:
    """Return the columns that every table of a tape begins with."""
    names = [table.column_names for table in TABLES.values() if table.name not in DERIVED_TABLES]
    count = min(
        next((n for n, name in enumerate(each) if name != names[0][n]), len(each)) for each in names
    )
    return HEARTBEATS.columns[:count]


def _lines() -> Iterator[str]:
    shared = shared_columns()
    yield "\n### Columns that tables share\n"
    yield "Every table begins with these, except `daily`, `quality` and `greeks_compared`, which"
    yield "name all of theirs.\n"
    yield from _columns(shared)
    for table in TABLES.values():
        yield from _table(table, shared)
    yield "### What the reader adds\n"
    yield "| table | rows |"
    yield "|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in OWN.items())
    yield "\n| macro | gives |"
    yield "|---|---|"
    yield from (f"| `{call}` | {gives} |" for call, _, gives in MACROS.values())


def _table(table: Table, shared: tuple[Column, ...]) -> Iterator[str]:
    yield f"### `{table.name}`\n"
    ended = table.name in DERIVED_TABLES and table is not GEX_RECOMPUTED
    made = " Derived: made when a day ends." if ended else ""
    sort = ", ".join(f"`{name}`" for name in table.sort_by)
    yield f"{table.meaning}{made} Sorted by {sort}.\n"
    begins = table.columns[: len(shared)] == shared
    yield from _columns(table.columns[len(shared) :] if begins else table.columns)


def _columns(columns: tuple[Column, ...]) -> Iterator[str]:
    yield "| column | type | unit | meaning |"
    yield "|---|---|---|---|"
    for column in columns:
        kind = f"`{SQL_TYPES[column.type]}`"
        yield f"| `{column.name}` | {kind} | {column.unit} | {column.meaning} |"
    yield ""
