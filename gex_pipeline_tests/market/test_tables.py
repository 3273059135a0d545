"""The lake's tables as data."""

from typing import get_args

import pytest
from msgspec import inspect

from gex_pipeline.market.events import KINDS, tag_of
from gex_pipeline.market.tables import (
    DERIVED_TABLES,
    EVENT_TABLES,
    TABLES,
    Column,
    ColumnType,
    Table,
)

IDENTITY = ("source", "mode", "session_date", "tape", "epoch", "seq")
NO_TAPE = {"daily", "quality", "greeks_compared"}
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def test_the_tables_of_the_lake() -> None:
    """By the names that users query."""
    assert set(TABLES) == {
        "trades",
        "quotes",
        "option_quotes",
        "depth",
        "candles",
        "chain_headers",
        "heartbeats",
        "gex",
        "gex_1m",
        "gex_recomputed",
        "gex_strikes",
        "chain_1m",
        "level_changes",
        "basis",
        "gaps",
        "ledger",
        "quality",
        "daily",
        "greeks_compared",
        "gexbot",
        "api_usage",
    }


@every_table
def test_columns_are_sound(table: Table) -> None:
    """No name twice, only types of the closed set, a meaning for each, sorted by own columns."""
    names = table.column_names

    assert len(set(names)) == len(names)
    assert {column.type for column in table.columns} <= set(get_args(ColumnType))
    assert all(column.meaning and column.name.isidentifier() for column in table.columns)
    assert set(table.sort_by) <= set(names)


@every_table
def test_every_row_says_where_it_is_from(table: Table) -> None:
    """Source, mode and session date stand in every table; identity in all that a tape feeds."""
    assert table.column_names[:3] == IDENTITY[:3]
    if table.name not in NO_TAPE:
        assert table.column_names[:6] == IDENTITY
        assert {"ts_event_ns", "ts_recv_ns"} <= set(table.column_names)


@every_table
def test_times_are_nanoseconds(table: Table) -> None:
    """Every time is a whole number of nanoseconds, and says so in name and unit."""
    for column in table.columns:
        is_time = column.name.startswith("ts_")
        assert is_time == (column.unit == "ns")
        assert not is_time or (column.name.endswith("_ns") and column.type == "int64")


@pytest.mark.parametrize("tag", EVENT_TABLES)
def test_events_fit_their_table(tag: str) -> None:
    """A table has one column of the right type for each field of its event, and no other."""
    kind = next(kind for kind in KINDS if tag_of(kind) == tag)
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    added = {"source", "mode", "session_date", "tape", "epoch"}
    columns = {
        column.name: column.type for column in EVENT_TABLES[tag].columns if column.name not in added
    }

    assert {field.name: column_type(field.type) for field in info.fields} == {
        name: kind.replace("float32", "float64") for name, kind in columns.items()
    }


def test_every_kind_has_a_table() -> None:
    """What no table kept could be neither replayed nor counted."""
    assert set(EVENT_TABLES) == {tag_of(kind) for kind in KINDS}
    assert not {table.name for table in EVENT_TABLES.values()} & set(DERIVED_TABLES)
    assert {table.name for table in EVENT_TABLES.values()} | set(DERIVED_TABLES) == set(TABLES)


def test_a_column_is_data() -> None:
    """Name, type, unit and meaning are plain text: no library's types."""
    spot = Column("spot", "float64", "$", "price of the underlying")

    assert (spot.name, spot.type, spot.unit) == ("spot", "float64", "$")


def column_type(field: inspect.Type) -> str:
    """Return the column type that holds a field, null or not."""
    if isinstance(field, inspect.UnionType):
        return next(column_type(one) for one in field.types if one != inspect.NoneType())
    if isinstance(field, inspect.VarTupleType):
        return f"list<{column_type(field.item_type)}>"
    return {
        inspect.IntType: "int64",
        inspect.FloatType: "float64",
        inspect.StrType: "utf8",
        inspect.BytesType: "binary",
        inspect.LiteralType: "utf8",
        inspect.BoolType: "bool",
        inspect.DateType: "date",
    }[type(field)]
