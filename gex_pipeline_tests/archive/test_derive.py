"""Derived tables of a finished day, worked by hand."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.archive.derive import derive_days
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.hot.frame import Frame
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.market.events import Event, Gap, GexSecond, OptionQuote, Quote, Trade
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline_tests.archive.builders import FRIDAY, MONDAY, MemorySource

OPEN_NS, CLOSE_NS = et_ns(FRIDAY, 9, 30), et_ns(FRIDAY, 16, 15)
LATER_NS = et_ns(MONDAY, 17)


def at(ts_ns: int, symbol: str = "SPX") -> Any:
    """Return what all events have."""
    return {"symbol": symbol, "ts_event_ns": ts_ns, "ts_recv_ns": ts_ns + 1}


def source_events() -> list[Event]:
    """Return trades around the regular hours, a quote, an option and gaps that overlap."""
    minute = 60 * SECOND_NS
    option: Any = at(OPEN_NS, "SPXW  261120C06000000") | {"underlying": "SPX"}
    gap: Any = {"cause": "disconnect"}
    return [
        Trade(**at(OPEN_NS - 1), price=1.0, volume=1),
        Trade(**at(OPEN_NS), price=10.0, volume=5),
        Trade(**at(OPEN_NS + 1), price=12.0, volume=6),
        Trade(**at(OPEN_NS + 2), price=8.0),
        Trade(**at(CLOSE_NS - 1), price=9.0, volume=9),
        Trade(**at(CLOSE_NS), price=99.0, volume=11),
        Quote(**at(OPEN_NS, "NDX"), bid=1.0, ask=2.0),
        OptionQuote(**option, bid=1.0),
        Gap(**at(OPEN_NS, ""), ts_from_ns=OPEN_NS - minute, ts_to_ns=OPEN_NS + minute, **gap),
        Gap(**at(OPEN_NS, "SPX"), ts_from_ns=OPEN_NS, ts_to_ns=OPEN_NS + 2 * minute, **gap),
        Gap(**at(OPEN_NS, "NDX"), ts_from_ns=OPEN_NS, ts_to_ns=CLOSE_NS, filled_by="chain", **gap),
    ]


def gex_events() -> list[Event]:
    """Return three seconds of two minutes, the last one after the close."""
    common: Any = {"convention": "c", "positions": "{}", "contracts": 1, "null_reasons": "{}"}
    times = (OPEN_NS + 1, OPEN_NS + 30 * SECOND_NS, OPEN_NS + 60 * SECOND_NS, CLOSE_NS + 5)
    return [
        GexSecond(**at(ts_ns), scope=scope, net_gex_oi=float(n), **common)
        for n, ts_ns in enumerate(times)
        for scope in ("all", "0dte")
    ]


class OneTape(MemorySource):
    """A source of one tape of any name."""

    def __init__(self, tape: str, events: list[Event]) -> None:
        numbered = tuple(replace(event, seq=seq) for seq, event in enumerate(events, 1))
        super().__init__([Frame(tape, 1, 1, len(numbered), FRIDAY, numbered)])


def finish(paths: LakePaths, tape: str, events: list[Event]) -> None:
    """Archive a tape's day and finish it."""
    source = OneTape(tape, events)
    archive_tape(source, paths, Origin(source="schwab", mode="live", tape=tape))
    end_of_day(source, paths, LATER_NS)


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """An empty lake."""
    return LakePaths(tmp_path)


def test_the_last_row_of_each_minute(paths: LakePaths) -> None:
    """One per symbol, scope and minute, with all columns of gex."""
    finish(paths, "gex.index", gex_events())

    (made,) = derive_days(paths)

    assert (made.table, made.key, made.made_from, made.rows) == (
        "gex_1m",
        "gex.index",
        "gex.index:8",
        6,
    )
    rows = query(paths, "select scope, net_gex_oi, tape from gex_1m order by all").rows
    assert rows == tuple((s, n, "gex.index") for s in ("0dte", "all") for n in (1.0, 2.0, 3.0))
    assert derive_days(paths) == ()


def test_a_row_a_symbol_and_day(paths: LakePaths) -> None:
    """Prices of regular hours, volume of the session, counts, and gaps that count once."""
    finish(paths, "schwab.index", source_events())

    derive_days(paths)

    columns = (
        "symbol, open, high, low, close, volume, trades, quotes, option_quotes, gap_s, net_gex_oi"
    )
    rows = query(paths, f"select {columns} from daily order by symbol").rows  # noqa: S608 # ours
    assert rows == (
        ("NDX", None, None, None, None, None, 0, 1, 0, 60.0, None),
        ("SPX", 10.0, 12.0, 8.0, 9.0, 11, 6, 0, 1, 120.0, None),
    )
    shared = "select distinct source, mode, session_date from daily"
    assert query(paths, shared).rows == (("schwab", "live", FRIDAY),)


def test_daily_is_made_again_when_the_engine_s_day_is_finished(paths: LakePaths) -> None:
    """With the figures of the last second of regular hours; the file before goes."""
    finish(paths, "schwab.index", source_events())
    derive_days(paths)
    finish(paths, "gex.index", gex_events())

    made = derive_days(paths)

    assert sorted(each.table for each in made) == ["daily", "gex_1m"]
    figures = "select symbol, net_gex_oi, convention from daily order by symbol"
    assert query(paths, figures).rows == (("NDX", None, None), ("SPX", 2.0, "c"))
    folder = paths.lake / "daily" / f"date={FRIDAY}"
    now_s = folder.stat().st_mtime
    assert len(list(folder.glob("*.parquet"))) == 2
    clean(paths, now_s)
    clean(paths, now_s + 3600)
    assert len(list(folder.glob("*.parquet"))) == 1
    assert query(paths, "select count(*) from daily").rows == ((2,),)
