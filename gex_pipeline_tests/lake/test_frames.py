"""The lake as lazy frames: no settings, only the files that are asked for."""

import datetime
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from gex_pipeline.errors import NoLakeError, NoTableError, QueryError, SymbolError
from gex_pipeline.lake.frames import Lake, day_ns, et, schema_of
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.market.tables import TABLES
from gex_pipeline_tests.lake.builders import FRIDAY, MONDAY, TAPE, add_part, finish_day

TUESDAY = MONDAY + datetime.timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A finished Friday, Monday and Tuesday in parts, on a path with blanks and brackets."""
    paths = LakePaths(tmp_path / "my [data]")
    friday: dict[str, list[dict[str, object]]] = {
        "trades": [{"price": 1.0}, {"price": 2.0, "symbol": "SPY"}],
        "option_quotes": [
            {"symbol": "SPXW  261120C06000000", "underlying": "SPX", "bid": 0.0},
            {"symbol": "SPY   261120P00600000", "underlying": "SPY", "bid": 0.1},
            {"symbol": "./OGG26C4240", "underlying": "/GCG26", "bid": 0.2},
            {"symbol": "./OGG26P4240", "underlying": "", "bid": 0.3},
        ],
    }
    finish_day(paths, friday)
    add_part(paths, {"trades": [{"price": 3.0}]}, date=MONDAY)
    add_part(paths, {"trades": [{"price": 4.0}]}, date=MONDAY)
    late = {"price": 5.0, "session_date": MONDAY}
    add_part(paths, {"trades": [{"price": 6.0}, late]}, date=TUESDAY)
    return Lake(paths.root)


def prices(frame: pl.LazyFrame) -> list[float]:
    """Return the prices of a frame, ascending."""
    return frame.collect()["price"].sort().to_list()


def test_a_frame_has_the_rows_of_its_dates(lake: Lake) -> None:
    """Both ends in it; dates or their texts; a late row counts under its own date."""
    assert prices(lake.scan("trades")) == [1, 2, 3, 4, 5, 6]
    assert prices(lake.scan("trades", end=FRIDAY)) == [1, 2]
    assert prices(lake.scan("trades", start="2026-11-23", end="2026-11-23")) == [3, 4, 5]
    assert prices(lake.scan("trades", start=TUESDAY)) == [6]


def test_only_files_of_these_dates_are_opened(lake: Lake) -> None:
    """A file of another date may be damaged, or not there, and nobody sees it."""
    assert len(lake.files("trades")) == 4
    assert len(lake.files("trades", start=TUESDAY)) == 1
    lake.files("trades", end=FRIDAY)[0].unlink()

    assert prices(lake.scan("trades", start=TUESDAY)) == [6]


def test_a_symbol_in_any_spelling_stands_for_its_options(lake: Lake) -> None:
    """$SPX is SPX; one contract can be asked for alone, or beside another's underlying."""
    assert prices(lake.scan("trades", symbols=["SPY"])) == [2]
    assert prices(lake.scan("trades", symbols=["$SPX"], end=FRIDAY)) == [1]
    for symbols, bids in (
        (["SPX"], [0.0]),
        (["SPXW261120C06000000"], [0.0]),
        (["SPX", "SPY   261120P00600000"], [0.0, 0.1]),
        (["@GCG26"], [0.2]),
        (["./OGG26P4240", ".@OGG26C4240"], [0.2, 0.3]),
    ):
        frame = lake.scan("option_quotes", symbols=symbols).collect()
        assert sorted(frame["bid"].to_list()) == bids
    with pytest.raises(SymbolError):
        lake.scan("trades", symbols=["not a symbol"])


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_frame_is_typed(lake: Lake, table: str) -> None:
    """Columns and types are those of the table, with rows or without, in SQL too."""
    empty = lake.scan(table, start="2030-01-01").collect()

    assert empty.height == 0
    assert empty.schema == schema_of(TABLES[table]) == lake.scan(table).collect().schema
    assert lake.sql(f"select * from {table}").schema == empty.schema  # noqa: S608 # ours


def test_dates_and_ends(lake: Lake) -> None:
    """Which days there are, and up to which event of each tape."""
    assert lake.dates("trades") == [FRIDAY, MONDAY, TUESDAY]
    assert lake.dates("option_quotes") == [FRIDAY]
    assert lake.dates("gex") == []
    assert lake.ends().rows() == [(TAPE, 1, 10)]


def test_frames_and_sql_agree(lake: Lake) -> None:
    """The same rows, whichever way."""
    frame = lake.scan("trades").sort("seq").collect()

    assert lake.sql("select * from trades order by seq").equals(frame)
    assert query(lake.paths, "select * from trades order by seq").rows == tuple(frame.rows())


def test_what_is_not_there_is_said(lake: Lake, tmp_path: Path) -> None:
    """No lake, one level too high, no such table, no SELECT."""
    (tmp_path / "root" / "sim" / "lake").mkdir(parents=True)
    with pytest.raises(NoLakeError, match=r"The simulated one is in .*sim"):
        Lake(tmp_path / "root")
    with pytest.raises(NoLakeError, match="Name the folder that holds lake/"):
        Lake(tmp_path / "nowhere")
    with pytest.raises(NoTableError, match="It has trades, quotes"):
        lake.scan("trade")
    with pytest.raises(QueryError):
        lake.sql("drop view trades")


def test_times_of_new_york() -> None:
    """Summer and winter, a change of clocks between them."""
    assert day_ns("2026-07-01", "10:00") == 1_782_914_400 * 10**9  # 14:00 UTC
    assert day_ns(FRIDAY, "10:00:01") == 1_795_186_801 * 10**9  # 15:00:01 UTC
    frame = pl.DataFrame({"ts_ns": [1_782_914_400 * 10**9]}).select(et("ts_ns"))
    assert frame["ts_ns"].dt.strftime("%Y-%m-%d %H:%M %Z").to_list() == ["2026-07-01 10:00 EDT"]


def test_a_notebook_needs_no_settings(lake: Lake) -> None:
    """Neither settings nor Dagster, Redis or a feed is imported."""
    code = (
        "import sys; from gex_pipeline.lake.frames import Lake;"
        " print(Lake(sys.argv[1]).scan('trades').collect().height,"
        " [m for m in ('gex_pipeline.settings', 'dagster', 'redis', 'schwab') if m in sys.modules])"
    )

    done = subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", code, str(lake.paths.root)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "6 []\n"
