"""The questions of docs/data.md, asked of a small lake and checked by hand, in SQL and Polars."""

import datetime
import math
import re
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from gex_pipeline.lake.frames import Lake, day_ns
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.lake.builders import FRIDAY, MONDAY, TAPE, add_part, derive

PAGE: Final = Path(__file__).parents[2] / "docs" / "data.md"
Row = dict[str, Any]
UP, DOWN = 10_000 * math.log(1.01), 10_000 * math.log(0.995)

ANSWERS: Final[dict[str, list[tuple[Any, ...]]]] = {
    "levels": [
        (FRIDAY, 6001.0, 5950.0, 6100.0, 5900.0, 0.9),
        (MONDAY, 6011.0, None, 6120.0, 5910.0, 0.1),
    ],
    "returns": [
        (False, 1, -UP, UP),
        (True, 2, (UP + DOWN) / 2, (UP - DOWN) / 2),
    ],
    "share": [(FRIDAY, 0.25), (MONDAY, None)],
    "gaps": [
        (TAPE, "SPX", "silence", datetime.datetime(2026, 11, 20, 10), 30.0, None, None),  # noqa: DTZ001 # New York's
        (TAPE, "", "disconnect", datetime.datetime(2026, 11, 20, 9, 45), 12.5, None, "chain"),  # noqa: DTZ001 # New York's
        (TAPE, "", "lost", None, None, 4, None),
    ],
    "ledger": [(TAPE, "quotes", 5, 4, 1), (TAPE, "trades", 10, 10, 0)],
    "errors": [(FRIDAY, "0dte", 1.0, 0.75, 2e9, 1e9), (FRIDAY, "1-7", None, None, None, None)],
    "moved": [(FRIDAY, "/ESZ26", "live", 21.5, 5971.5)],
}
"""By the variable that holds it in Python."""


def gex(day: datetime.date, clock: str, scope: str = "all", **figures: float | None) -> Row:
    """Return a row of gex."""
    return {"ts_recv_ns": day_ns(day, clock), "scope": scope, **figures}


def levels(day: datetime.date, clock: str, *figures: float | None) -> Row:
    """Return a row of gex with its levels."""
    names = ("spot", "zero_gamma_oi", "call_wall_oi", "put_wall_oi", "confidence")
    return gex(day, clock) | dict(zip(names, figures, strict=True))


def ledger(table: str, outcome: str, events: int) -> Row:
    """Return what became of some updates in the minute of 10:00."""
    minute = day_ns(FRIDAY, "10:00")
    return {"table": table, "outcome": outcome, "events": events, "ts_minute_ns": minute}


def compared() -> list[Row]:
    """Return buckets of three moments: at 15:30 sums, parts and what has settled."""
    zero_dte = {"gamma_error_median": 1.0, "zero_oi_share": 0.75}
    zero_dte |= {"net_gex": 2e9, "vendor_net_gex": 1e9}
    told: tuple[tuple[str, bool, str, str, Row], ...] = (
        ("15:00", False, "0dte", "all", {"gamma_error_median": 0.5}),
        ("15:30", False, "all", "all", zero_dte),
        ("15:30", False, "1-7", "all", {}),
        ("15:30", False, "0dte", "all", zero_dte),
        ("15:30", False, "0dte", "10%+", zero_dte),
        ("15:30", False, "expired", "all", {"zero_oi_share": 1.0}),
        ("16:15", True, "1-7", "all", {"gamma_error_median": 0.1}),
    )
    return [
        {"ts_recv_ns": day_ns(FRIDAY, clock), "last": last, "dte": dte, "moneyness": far, **figures}
        for clock, last, dte, far, figures in told
    ]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two days of a few rows, below a folder `data`."""
    paths = LakePaths(tmp_path_factory.mktemp("questions") / "data")
    friday = [
        levels(FRIDAY, "09:59:59", 6000.0, 5949.0, 6100.0, 5900.0, 0.8),
        levels(FRIDAY, "10:00:00", 6001.0, 5950.0, 6100.0, 5900.0, 0.9),
        levels(FRIDAY, "10:00:01", 6002.0, 5951.0, 6105.0, 5900.0, 0.9),
        gex(FRIDAY, "12:00", gross_gex_oi=8e9),
        gex(FRIDAY, "12:00", "0dte", gross_gex_oi=2e9),
    ]
    monday = [
        levels(MONDAY, "09:30:00", 6010.0, 5960.0, 6120.0, 5910.0, 0.9),
        levels(MONDAY, "09:59:30", 6011.0, None, 6120.0, 5910.0, 0.1),
        gex(MONDAY, "12:00", gross_gex_oi=4e9),
    ]
    for day, rows in ((FRIDAY, friday), (MONDAY, monday)):
        add_part(paths, {"gex": rows}, tape="gex.index", date=day)
    minutes = {
        FRIDAY: (("10:00:59", 6000.0, 5e9), ("10:30:59", 6060.0, -1e9), ("11:00:58", 6000.0, None)),
        MONDAY: (("10:00:59", 6000.0, 1e9), ("10:30:59", 5970.0, 1e9)),
    }
    for day, told in minutes.items():
        derive(
            paths,
            "gex_1m",
            [gex(day, clock, spot=spot, net_gex_oi=net) for clock, spot, net in told],
            date=day,
        )
    ten, before = day_ns(FRIDAY, "10:00"), day_ns(FRIDAY, "09:45")
    gaps: list[Row] = [
        {"cause": "disconnect", "symbol": "", "filled_by": "chain"}
        | {"ts_from_ns": before, "ts_to_ns": before + 12_500_000_000},
        {"cause": "silence", "ts_from_ns": ten, "ts_to_ns": ten + 30 * 10**9},
    ]
    counts = [
        ledger("trades", "received", 10),
        ledger("trades", "written", 7),
        ledger("trades", "conflated", 2),
        ledger("trades", "rejected", 1),
        ledger("quotes", "received", 3),
        ledger("quotes", "written", 4),
        ledger("quotes", "received", 2),
    ]
    add_part(paths, {"gaps": gaps, "ledger": counts}, lost=4)
    basis: list[Row] = [
        {"symbol": root, "index": "SPX", "ts_recv_ns": ten + after * 10**9}
        | {"contract": f"{root}Z26", "method": "live", "basis": 21.5 + after}
        for root in ("/ES", "/MES")
        for after in (-1, 0, 1)
    ]
    add_part(paths, {"basis": basis}, tape="gex.cme", date=FRIDAY)
    derive(paths, "greeks_compared", compared(), key="images")
    return Lake(paths.root)


@pytest.fixture(scope="module")
def frames(lake: Lake) -> dict[str, object]:
    """What the Python of the page leaves behind, run top to bottom beside that lake."""
    namespace: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lake.paths.root.parent)
        for number, block in enumerate(blocks("python"), 1):
            code = compile(block, f"docs/data.md, Python block {number}", "exec")
            exec(code, namespace)  # noqa: S102 # ours
    return namespace


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def same(found: list[tuple[Any, ...]], answer: list[tuple[Any, ...]]) -> bool:
    """Return whether rows are equal, floats to their last digits."""
    return [
        tuple(pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in row)
        for row in answer
    ] == found


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=list(ANSWERS))
def test_the_question_in_sql(lake: Lake, number: int) -> None:
    """As printed on the page."""
    answer = list(ANSWERS.values())[number]

    assert same(lake.sql(blocks("sql")[number]).rows(), answer)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_question_in_polars(frames: dict[str, object], name: str) -> None:
    """The same rows, in columns of the same names."""
    frame = frames[name]
    assert isinstance(frame, pl.DataFrame)

    assert same(frame.rows(), ANSWERS[name])


def test_both_ways_have_the_same_columns(lake: Lake, frames: dict[str, object]) -> None:
    """And every question of the page is one that is tested."""
    asked = blocks("sql")
    assert len(asked) == len(ANSWERS)
    for statement, name in zip(asked, ANSWERS, strict=True):
        frame = frames[name]
        assert isinstance(frame, pl.DataFrame)
        assert lake.sql(statement).schema == frame.schema, name
