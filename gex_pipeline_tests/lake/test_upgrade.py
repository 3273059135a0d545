"""Older files read as today's do, by SQL and as frames."""

from pathlib import Path

import polars as pl
import pytest

from gex_pipeline.lake import frames, upgrade, views
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.lake.upgrade import CHANGES, Change, is_current, stored_names
from gex_pipeline.market.tables import GEX, LAKE_SCHEMA_VERSION, TABLES
from gex_pipeline_tests.lake.builders import MONDAY, add_part


@pytest.mark.parametrize("table", TABLES)
def test_todays_files_need_nothing(table: str) -> None:
    """Every column stands under its own name."""
    assert is_current(table, LAKE_SCHEMA_VERSION)


def test_a_file_of_version_1_lacks_its_gap_seconds(tmp_path: Path) -> None:
    """They read as null beside those of today, in both ways of reading."""
    paths = LakePaths(tmp_path)
    add_part(paths, {"gex": [{"spot": 6000.0}]}, schema=1)
    add_part(paths, {"gex": [{"spot": 6001.0, "gap_s": 2.5}]}, date=MONDAY)

    by_sql = query(paths, "select spot, gap_s from gex order by spot").rows
    frame = Lake(tmp_path).scan("gex").select("spot", "gap_s").sort("spot").collect()

    assert by_sql == ((6000.0, None), (6001.0, 2.5))
    assert frame.rows() == [(6000.0, None), (6001.0, 2.5)]
    assert frame.schema == {"spot": pl.Float64, "gap_s": pl.Float64}
    assert Lake(tmp_path).scan("gex").collect().columns == list(GEX.column_names)


def test_changes_add_up() -> None:
    """Two renames of one column, one that came later: each version has its own name."""
    changes = (
        Change(2, "trades", renamed={"size": "quantity"}),
        Change(3, "trades", renamed={"quantity": "amount"}, added=("volume",)),
        Change(3, "quotes", added=("bid",)),
    )
    table = TABLES["trades"]
    back = (Change(4, "trades", renamed={"size": "quantity"}), changes[1])

    assert stored_names(table, 3, changes)["size"] == "size"
    assert stored_names(table, 1, back)["size"] == "amount"
    assert stored_names(table, 3, back)["size"] == "quantity"
    assert stored_names(table, 2, back)["volume"] is None


def test_a_renamed_column_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its old name, in both ways of reading."""
    paths = LakePaths(tmp_path)
    add_part(paths, {"trades": [{"price": 6000.0, "exchange": "X"}]}, schema=1)
    changes = (*CHANGES, Change(2, "trades", renamed={"conditions": "exchange"}))
    for module, name in ((views, "SQL"), (frames, "frames")):
        assert name
        monkeypatch.setattr(
            module, "stored_names", lambda table, version: stored_names(table, version, changes)
        )
        monkeypatch.setattr(
            module, "is_current", lambda table, version: is_current(table, version, changes)
        )

    assert query(paths, "select conditions from trades").rows == (("X",),)
    assert Lake(tmp_path).scan("trades").collect()["conditions"].to_list() == ["X"]
    assert upgrade.CHANGES == CHANGES
