"""What holds for any rows: properties that hypothesis tries to break."""

import datetime
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.exposure.convention import CROSS_CHECKS
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline_tests.exposure.builders import (
    ASOF_NS,
    LATER,
    NEXT,
    OPEX,
    TODAY,
    Row,
    answer,
    assert_sound,
    ladder,
    quoted,
    source,
)

EXPIRED = datetime.date(2025, 5, 30)
YEARS_AWAY = datetime.date(2030, 6, 21)
SUMS = ("net_gex", "call_gex", "put_gex", "gross_gex", "dex", "vex", "cex", "gamma_at_spot")
few = settings(max_examples=40, deadline=None)

prices = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -999.0, -1.0, 0.0, 0.05, 1e7]),
    st.floats(0.01, 400),
)
counts = st.one_of(
    st.sampled_from([float("nan"), float("inf"), float("-inf"), -5.0, 0.0, 1e15]),
    st.integers(0, 5000).map(float),
)
strikes = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -50.0, 0.0, 0.5, 1e6]),
    st.integers(90, 110).map(lambda k: 50.0 * k),
)
volatilities = st.one_of(
    st.sampled_from([float("nan"), -999.0, 0.0, 0.02, 7.0]), st.floats(0.03, 4)
)
any_row = st.builds(
    Row,
    strike=strikes,
    right=st.sampled_from([1, -1, 1, -1, 0]),
    root=st.sampled_from(["SPXW", "SPXW", "SPX", "SPY", "SPX1", ""]),
    expiry=st.sampled_from([EXPIRED, TODAY, NEXT, LATER, OPEX, YEARS_AWAY, "NaT", "1950-01-01"]),
    bid=prices,
    ask=prices,
    iv=volatilities,
    gamma=st.one_of(st.just(float("nan")), st.integers(-10, 500).map(lambda n: n / 10_000)),
    oi=counts,
    volume=counts,
    ts=st.sampled_from([0, 0, -1, ASOF_NS - 10**9, ASOF_NS]),
    settlement=st.sampled_from(["", "", "A", "P", "X"]),
)


@st.composite
def books(draw: st.DrawFn) -> list[Row]:
    """Return rows of a quoted chain with random open interest, and rubbish among them."""
    rows: list[Row] = []
    for expiry in draw(st.lists(st.sampled_from([NEXT, LATER, OPEX, YEARS_AWAY]), unique=True)):
        forward = 5000 * draw(st.floats(0.995, 1.005))
        sigma = draw(st.floats(0.05, 0.8))
        rows += quoted(ladder(4750, 5250, 50), expiry, forward=forward, sigma=sigma, iv=sigma)
    held = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 # no secret
    rows = [
        row._replace(oi=float(held.randrange(3000)), volume=float(held.randrange(500)))
        for row in rows
    ]
    return rows + draw(st.lists(any_row, max_size=12))


def encoded(rows: list[Row], spot: float = 5000.0) -> dict[str, bytes]:
    """Return the JSON of every scope under the default, and of each cross-check."""
    cleaned = clean_chain(source(rows, spot=spot))
    found = dict(fold(cleaned, NAMES))
    found |= {name: cross_check(cleaned, name, "all", TODAY) for name in CROSS_CHECKS}
    return {name: msgspec.json.encode(snapshot) for name, snapshot in found.items()}


@few
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(rows: list[Row], shuffler: random.Random) -> None:
    """Shuffled rows, and a copy of one of them: the same bytes in every scope and convention."""
    shuffled = list(rows)
    shuffler.shuffle(shuffled)

    assert encoded(shuffled) == encoded(rows)


@few
@given(books())
def test_repeats_change_only_their_count(rows: list[Row]) -> None:
    """Each row twice: what differs is the number of repeats (and of dropped rows)."""

    def counted(many: list[Row]) -> tuple[int, GexSnapshot]:
        found = answer(many)
        if found.coverage is None:
            return 0, found
        bare = msgspec.structs.replace(found.coverage, duplicates=0, dropped={})
        return found.coverage.duplicates, msgspec.structs.replace(found, coverage=bare)

    (once, first), (twice, second) = counted(rows), counted([*rows, *rows])

    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    if first.coverage is not None:
        contracts = clean_chain(source(rows)).contracts
        assert twice == 2 * once + contracts


@few
@given(books())
def test_gex_is_linear_in_open_interest(rows: list[Row]) -> None:
    """Twice the contracts, twice the sums, to the last bit; the levels do not move."""
    once = answer(rows)
    twice = answer([row._replace(oi=2 * row.oi) for row in rows])

    for name in SUMS:
        value = getattr(once, name)
        assert getattr(twice, name) == (None if value is None else 2 * value)
    assert [flip.spot for flip in twice.flips] == [flip.spot for flip in once.flips]
    assert (twice.call_wall, twice.put_wall) == (once.call_wall, once.put_wall)
    assert twice.max_pain == once.max_pain
    assert twice.confidence == once.confidence


@few
@given(
    books(),
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from([1, -1])), min_size=1, unique=True),
    st.sampled_from([float("nan"), 0.3]),
)
def test_rows_without_open_interest_change_nothing(
    rows: list[Row], empty: list[tuple[int, int]], iv: float
) -> None:
    """Far strikes of an expiry that is there, unquoted: sums and levels stay."""
    rows = rows + quoted(ladder(4800, 5200, 50), LATER, oi=50.0)
    more = [Row(20_000.0 + 5 * k, right, expiry=LATER, iv=iv) for k, right in empty]
    before, after = answer(rows), answer(rows + more)
    assert before.gross_gex is not None

    for name in SUMS[:4]:
        expected = getattr(before, name)
        assert getattr(after, name) == pytest.approx(expected, abs=1e-13 * before.gross_gex)
    assert [flip.spot for flip in after.flips] == pytest.approx(
        [flip.spot for flip in before.flips], rel=1e-12
    )
    assert (after.call_wall, after.put_wall) == (before.call_wall, before.put_wall)
    assert after.max_pain == before.max_pain


@few
@given(books())
def test_exposures_add_up_over_expiries(rows: list[Row]) -> None:
    """The whole is its groups: nothing is counted twice or left out."""
    whole = answer(rows)
    if whole.gross_gex is None:
        return
    for name in ("net_gex", "call_gex", "put_gex"):
        parts = [getattr(row, name) or 0.0 for row in whole.expiries]
        assert sum(parts) == pytest.approx(getattr(whole, name), abs=1e-12 * whole.gross_gex)


spots = st.one_of(
    st.just(5000.0),
    st.sampled_from([float("nan"), float("inf"), 0.0, -5000.0]),
    st.floats(1e-6, 1e9),
)


@few
@given(books(), spots)
def test_rubbish_in_gives_numbers_or_reasons(rows: list[Row], spot: float) -> None:
    """Nothing raises; every figure is finite, or null with its reason."""
    for found in fold(clean_chain(source(rows, spot=spot)), NAMES).values():
        assert_sound(found)


@few
@given(books(), spots, st.sampled_from(CROSS_CHECKS))
def test_rubbish_in_a_cross_check(rows: list[Row], spot: float, convention: str) -> None:
    """The same of the other conventions."""
    cleaned = clean_chain(source(rows, spot=spot))

    assert_sound(cross_check(cleaned, convention, "all", TODAY))


@few
@given(books(), spots)
def test_no_company_of_scopes_changes_a_bit(rows: list[Row], spot: float) -> None:
    """Asked for alone, each scope answers the same bytes."""
    cleaned = clean_chain(source(rows, spot=spot))
    together = fold(cleaned, NAMES)
    for scope in ("all", "next", "monthly"):
        alone = fold(cleaned, (scope,))[scope]

        assert msgspec.json.encode(alone) == msgspec.json.encode(together[scope])


QUOTED = quoted(ladder(), LATER, iv=0.2, gamma=0.001, oi=10.0, volume=5.0)
EXTREMES: dict[str, dict[str, Any]] = {
    "tiny spot": {"spot": 1e-320},
    "small spot": {"spot": 1e-300},
    "huge spot": {"spot": 1e200},
    "largest spot": {"spot": 1.7e308},
    "tiny strike": {"more": [Row(1e-320, oi=5.0, iv=0.2)]},
    "huge strike": {"more": [Row(1.7e308, oi=5.0, iv=0.2)]},
    "huge price": {"more": [Row(5300, 1, bid=1e308, ask=1.5e308, oi=5.0)]},
    "huge OI": {"more": [Row(5300, 1, oi=1e305, iv=0.2)]},
    "largest OI": {"more": [Row(5300, right, oi=1.7e308, iv=0.2) for right in (1, -1)]},
    "tiny volatility": {"more": [Row(5300, 1, oi=5.0, iv=1e-300)]},
    "tiny gamma": {"rows": [Row(5300, 1, gamma=5e-324, oi=5.0, iv=0.2)]},
    "latest time": {"more": [Row(5300, 1, bid=1, ask=2, oi=5.0, ts=2**63 - 1)]},
}


@pytest.mark.parametrize("convention", ["gexc-1", "r0-busdays262"])
@pytest.mark.parametrize("name", EXTREMES)
def test_numbers_at_the_end_of_the_range(name: str, convention: str) -> None:
    """Finite in the file, no longer after arithmetic: null with a reason, and no warning."""
    case = EXTREMES[name]
    cleaned = clean_chain(
        source(case.get("rows", QUOTED) + case.get("more", []), spot=case.get("spot", 5000.0))
    )
    if convention == "gexc-1":
        assert_sound(fold(cleaned)["all"])
    else:
        assert_sound(cross_check(cleaned, convention, "all", TODAY))
