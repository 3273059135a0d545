"""Which expiries each name covers, on dates made by hand."""

import datetime

import numpy as np
import pytest

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES, check_scope, lines_of, scope_groups
from gex_pipeline.market.sessions import et_ns
from gex_pipeline_tests.exposure.builders import Row, source

Day = datetime.date
MONDAY = Day(2025, 6, 2)
DAYS = {
    "SPXW": [
        "2025-05-30",
        "2025-06-02",
        "2025-06-03",
        "2025-06-06",
        "2025-06-09",
        "2025-06-20",
        "2025-07-18",
        "2025-08-31",  # a Sunday: settles on Friday, 29 August, 88 days away
        "2025-09-19",
    ],
    "SPX": ["2025-06-20", "2025-07-18"],
}


def covered(
    scope: str, asof_ns: int, listed: dict[str, list[str]] = DAYS, symbol: str = "SPX"
) -> list[str]:
    """Return "expiry root" of the groups in the scope."""
    rows = [Row(5000, root=root, expiry=day) for root, days in listed.items() for day in days]
    chain = clean_chain(source(rows, symbol=symbol), asof_ns)
    inside = scope_groups(chain, chain.settle_ns > asof_ns, scope)
    return [
        f"{group.expiry:%m-%d} {group.root}"
        for group, chosen in zip(chain.groups, inside, strict=True)
        if chosen
    ]


ALL = [
    "06-02 SPXW",
    "06-03 SPXW",
    "06-06 SPXW",
    "06-09 SPXW",
    "06-20 SPX",
    "06-20 SPXW",
    "07-18 SPX",
    "07-18 SPXW",
    "08-31 SPXW",
    "09-19 SPXW",
]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("all", ALL),
        ("0dte", ["06-02 SPXW"]),
        ("next", ["06-03 SPXW"]),
        ("front0", ["06-02 SPXW"]),
        ("front1", ["06-03 SPXW"]),
        ("weekly", ["06-02 SPXW", "06-03 SPXW", "06-06 SPXW"]),
        ("monthly", ["06-20 SPX", "06-20 SPXW"]),
        ("to_opex", ALL[:6]),
        ("full90", ALL[:9]),
        ("expiry:2025-07-18", ["07-18 SPX", "07-18 SPXW"]),
        ("expiry:2025-07-18:SPX", ["07-18 SPX"]),
        ("expiry:2025-08-31", ["08-31 SPXW"]),  # as listed
        ("expiry:2025-08-29", ["08-31 SPXW"]),  # as it settles
        ("expiry:2025-05-30", []),  # expired
        ("expiry:2025-06-04", []),
        ("expiry:2025-07-18:XSP", []),
    ],
)
def test_on_a_monday_in_session(scope: str, expected: list[str]) -> None:
    """Friday's expiry is gone, each name has its dates."""
    assert covered(scope, et_ns(MONDAY, 10, 30)) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("0dte", []),
        ("next", ["06-03 SPXW"]),
        ("front0", ["06-03 SPXW"]),
        ("front1", ["06-06 SPXW"]),
        ("weekly", ["06-03 SPXW", "06-06 SPXW"]),
        ("all", ALL[1:]),
    ],
)
def test_after_the_close(scope: str, expected: list[str]) -> None:
    """At 16:15 today's options have settled: 0dte is empty, not tomorrow."""
    assert covered(scope, et_ns(MONDAY, 16, 15)) == expected


@pytest.mark.parametrize("moment", [(Day(2025, 6, 6), 16, 15), (Day(2025, 6, 7), 20, 9)])
@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("0dte", []),
        ("next", ["06-09 SPXW"]),
        ("front0", ["06-09 SPXW"]),
        ("front1", ["06-20 SPX", "06-20 SPXW"]),
        ("weekly", ["06-09 SPXW"]),
    ],
)
def test_friday_evening_and_saturday(
    scope: str, expected: list[str], moment: tuple[Day, int, int]
) -> None:
    """The week is that of the next expiry, Monday's."""
    assert covered(scope, et_ns(*moment)) == expected


@pytest.mark.parametrize(
    ("hour", "minute", "monthly"),
    [
        (9, 0, ["06-20 SPX", "06-20 SPXW"]),
        (9, 30, ["06-20 SPXW"]),
        (15, 59, ["06-20 SPXW"]),
        (16, 0, ["07-18 SPX", "07-18 SPXW"]),
    ],
)
def test_the_morning_of_the_opex(hour: int, minute: int, monthly: list[str]) -> None:
    """The AM root leaves at the open and the PM root stays; after the close, the next month's."""
    moment = et_ns(Day(2025, 6, 20), hour, minute)

    assert covered("monthly", moment) == monthly
    to_opex = [name for name in covered("all", moment) if name <= monthly[-1]]
    assert covered("to_opex", moment) == to_opex


GOOD_FRIDAY = {
    "SPX": ["2025-04-17", "2025-05-16"],
    "SPXW": ["2025-04-14", "2025-04-17", "2025-04-21"],
}


@pytest.mark.parametrize(
    ("moment", "monthly"),
    [
        (et_ns(Day(2025, 4, 14), 10), ["04-17 SPX", "04-17 SPXW"]),
        (et_ns(Day(2025, 4, 17), 10), ["04-17 SPXW"]),
        (et_ns(Day(2025, 4, 17), 16), ["05-16 SPX"]),
        (et_ns(Day(2025, 4, 18), 12), ["05-16 SPX"]),
    ],
)
def test_the_opex_before_good_friday(moment: int, monthly: list[str]) -> None:
    """2025-04-18 does not trade: the standard expiry is Thursday, the 17th."""
    assert covered("monthly", moment, GOOD_FRIDAY) == monthly


def test_an_expiry_listed_on_the_holiday_is_that_opex_too() -> None:
    """Dates are settlement dates: an option listed for Good Friday settles on Thursday."""
    listed = {"SPXW": ["2025-04-18", "2025-04-21"]}
    moment = et_ns(Day(2025, 4, 17), 10)

    for scope in ("0dte", "monthly", "front0"):
        assert covered(scope, moment, listed) == ["04-18 SPXW"]


def test_juneteenth_friday() -> None:
    """The third Friday of June 2026 is a holiday: the 18th."""
    listed = {"SPXW": ["2026-06-17", "2026-06-18", "2026-07-17"]}

    assert covered("monthly", et_ns(Day(2026, 6, 16), 12), listed) == ["06-18 SPXW"]


def test_ninety_days_are_in_and_ninety_one_out() -> None:
    """By calendar dates."""
    listed = {"SPXW": ["2025-08-29", "2025-09-02"]}

    assert covered("full90", et_ns(Day(2025, 5, 31), 12), listed) == ["08-29 SPXW"]
    assert covered("full90", et_ns(Day(2025, 6, 4), 12), listed) == ["08-29 SPXW", "09-02 SPXW"]
    assert covered("full90", et_ns(Day(2025, 6, 3), 12), listed) == ["08-29 SPXW"]


@pytest.mark.parametrize("scope", NAMES)
def test_a_chain_that_has_all_expired(scope: str) -> None:
    """Every scope is empty and none raises."""
    assert covered(scope, et_ns(Day(2025, 9, 20), 12)) == []


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "ALL",
        "zero",
        "expiry:",
        "expiry:2025-6-20",
        "expiry:2025-02-30",
        "expiry:2025-06-20:",
        "expiry:2025-06-20:spx",
    ],
)
def test_unknown_names_are_refused(scope: str) -> None:
    """With the names that there are."""
    with pytest.raises(ConventionError, match=r"all, 0dte.*expiry:YYYY-MM-DD\[:ROOT\]"):
        check_scope(scope)


@pytest.mark.parametrize("scope", [*NAMES, "expiry:2025-06-20", "expiry:2025-06-20:SPXW"])
def test_known_names_pass(scope: str) -> None:
    """Unchanged."""
    assert check_scope(scope) == scope


@pytest.mark.parametrize("chosen", [[], [0], [1, 2], [0, 1, 2, 3], [0, 2], [1, 3]])
def test_lines_of_groups(chosen: list[int]) -> None:
    """Whether the groups lie side by side or not, their lines and no others, in order."""
    start = np.array([0, 2, 2, 5, 9])
    groups = np.isin(np.arange(4), chosen)
    expected = [line for g in chosen for line in range(start[g], start[g + 1])]

    assert np.arange(9)[lines_of(start, groups)].tolist() == expected
