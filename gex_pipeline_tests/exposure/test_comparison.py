"""Ours against the vendor's greeks, worked by hand."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.comparison import ALL, DTE, EXPIRED, MONEYNESS, Compared, compare
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.feeds.chainfile import read_chain_file
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NAN,
    NEXT,
    OPEX,
    SPOT,
    TODAY,
    Row,
    chain,
    change,
    ladder,
    not_finite,
    quoted,
    smile,
    years,
)
from gex_pipeline_tests.synthetic import synthetic_chain

UNIT = 100 * SPOT**2 * 0.01
SUMS = ("contracts", "compared", "gamma_zero", "ours_none", "iv_stub", "open_interest")


def compared(rows: list[Row]) -> dict[tuple[str, str], Compared]:
    """Return the buckets of some rows by their names."""
    return by_name(chain(rows))


def by_name(cleaned: Chain) -> dict[tuple[str, str], Compared]:
    """Return the buckets of a chain by their names."""
    return {(b.dte, b.moneyness): b for b in compare(cleaned, smile(cleaned))}


def black_scholes(strike: float, sigma: float, t: float) -> float:
    """Return gamma without rates and dividends, from the formula."""
    stdev = sigma * math.sqrt(t)
    d1 = math.log(SPOT / strike) / stdev + stdev / 2
    return math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi) / (SPOT * stdev)


def test_two_gammas_of_three_decimals_by_hand() -> None:
    """At 20% to Friday 0.0037 prints 0.004 and 0.00045 prints nothing: three quarters of the OI.

    Without quotes the lines have the vendor's volatility, F = S and r = 0.
    """
    t = years(LATER)
    near, far = black_scholes(5000, 0.2, t), black_scholes(4780, 0.2, t)
    assert (round(near, 3), round(far, 3)) == (0.004, 0.0)
    rows = [
        Row(5000, 1, iv=0.2, gamma=0.004, oi=10.0),
        Row(4780, -1, iv=0.2, gamma=0.0, oi=30.0),
    ]

    found = compared(rows)

    both = found["1-7", ALL]
    off = 0.004 / near - 1
    assert (both.contracts, both.compared, both.gamma_zero, both.gamma_none) == (2, 2, 1, 0)
    assert both.net_gex == pytest.approx((10 * near - 30 * far) * UNIT)
    assert both.call_gex == pytest.approx(10 * near * UNIT)
    assert both.put_gex == pytest.approx(-30 * far * UNIT)
    assert both.gross_gex == pytest.approx((10 * near + 30 * far) * UNIT)
    assert both.vendor_net_gex == both.vendor_gross_gex == pytest.approx(0.04 * UNIT)
    assert both.difference == pytest.approx((10 * near - 30 * far - 0.04) * UNIT)
    assert both.difference_to_gross == pytest.approx((10 * near - 30 * far - 0.04) / 0.04)
    assert both.gamma_error_median == pytest.approx((off + 1) / 2)
    assert both.gamma_error_p90 == pytest.approx(off + 0.9 * (1 - off))
    assert both.gamma_error_max == 1
    assert both.gamma_error_mean == pytest.approx((10 * off + 30) / 40)
    assert both.zero_oi_share == 0.75
    assert both.zero_gross_gex == pytest.approx(30 * far * UNIT)
    assert found["1-7", "3-10%"].zero_oi_share == 1
    assert found["1-7", "0-1%"].zero_gross_gex is None
    assert found.keys() == {(d, m) for d in (ALL, "1-7") for m in (ALL, "0-1%", "3-10%")}


def test_volatilities_are_compared_where_both_are_real() -> None:
    """Ours of 20% from the quotes: 5 points below a vendor's 25%, 10 above one of 10%; no stub."""
    rows = quoted(ladder(), iv=0.25, gamma=0.001, oi=10.0)
    rows = [row._replace(iv=0.10) if row.strike < 4900 else row for row in rows]
    rows = change(rows, 5100, 1, iv=0.02)
    rows = change(rows, 5100, -1, iv=NAN)

    whole = compared(rows)[ALL, ALL]

    low, rest = 2 * 4, 2 * 17 - 2 * 4 - 2
    assert (whole.iv_stub, whole.iv_none, whole.iv_compared) == (1, 1, low + rest)
    assert whole.iv_difference_median == pytest.approx(-5, abs=0.05)
    assert whole.iv_difference_p90 == pytest.approx(10, abs=0.05)


def test_what_has_settled_is_a_bucket_of_its_own() -> None:
    """With what it would add to the vendor's total, which it is not part of; ours has none."""
    rows = [
        *quoted(ladder(), gamma=0.001, oi=10.0),
        Row(5000, 1, expiry="2025-05-30", gamma=0.004, oi=7.0),
    ]

    found = compared(rows)

    expired = found[EXPIRED, ALL]
    assert (expired.contracts, expired.compared, expired.ours_none) == (1, 0, 1)
    assert expired.vendor_net_gex == pytest.approx(0.028 * UNIT)
    assert (expired.net_gex, expired.difference, expired.gamma_error_median) == (None, None, None)
    assert found[ALL, ALL].contracts == 34
    assert found[ALL, ALL].vendor_net_gex == pytest.approx(0, abs=1e-6)


def test_nothing_is_said_of_nothing() -> None:
    """Sentinels and nulls are no gamma; without open interest no figure weighs anything."""
    rows = [row._replace(gamma=-999.0, oi=5.0) for row in quoted(ladder(4900, 5000, 50))]
    no_vendor = compared(rows)[ALL, ALL]
    assert (no_vendor.contracts, no_vendor.gamma_none, no_vendor.compared) == (6, 6, 0)
    assert no_vendor.net_gex is not None
    assert (no_vendor.vendor_net_gex, no_vendor.difference) == (None, None)
    assert (no_vendor.gamma_error_median, no_vendor.zero_oi_share) == (None, 0)

    all_zero = compared([row._replace(gamma=0.0) for row in rows])[ALL, ALL]
    assert (all_zero.gamma_zero, all_zero.vendor_net_gex, all_zero.zero_oi_share) == (6, None, 1)

    unheld = compared([row._replace(gamma=0.001, oi=0.0) for row in rows])[ALL, ALL]
    assert (unheld.compared, unheld.open_interest) == (6, 0)
    figures = msgspec.structs.asdict(unheld)
    counted = {*SUMS, "dte", "moneyness", "gamma_none", "iv_none", "iv_compared"}
    assert [name for name in figures if figures[name] is not None and name not in counted] == []


def test_the_limits_of_buckets() -> None:
    """Days to settlement by the calendar; 1% from spot is within 1%."""
    day = {TODAY: "0dte", NEXT: "1-7", LATER: "1-7", OPEX: "8-45"}
    rows = [Row(5000, 1, expiry=date, iv=0.2, gamma=0.001, oi=1.0) for date in day]
    rows += [Row(5000, 1, "SPX", OPEX, iv=0.2, gamma=0.001, oi=1.0)]
    rows += [Row(5000, 1, expiry="2025-08-15", iv=0.2, gamma=0.001, oi=1.0)]
    found = compared(rows)
    assert [found[dte, ALL].contracts for dte in DTE] == [1, 2, 2, 1]

    edges = [
        SPOT * math.exp(sign * x) for x in (0.0099, 0.0101, 0.0301, 0.1001) for sign in (1, -1)
    ]
    rows = [Row(round(k, 2), 1, iv=0.2, gamma=0.001, oi=1.0) for k in edges]
    found = compared(rows)
    assert [found[ALL, money].contracts for money in MONEYNESS] == [2, 2, 2, 2]


def test_the_whole_chain_is_what_the_fold_says() -> None:
    """Net, and the vendor's beside it: the same sums in another order."""
    cleaned = clean_chain(synthetic_chain(2000, 8))
    snapshot, whole = fold(cleaned)["all"], by_name(cleaned)[ALL, ALL]

    assert snapshot.vendor is not None
    assert snapshot.gross_gex is not None
    close = 1e-9 * snapshot.gross_gex
    assert whole.net_gex == pytest.approx(snapshot.net_gex, abs=close)
    assert whole.gross_gex == pytest.approx(snapshot.gross_gex, rel=1e-9)
    assert whole.vendor_net_gex == pytest.approx(snapshot.vendor.net_gex, abs=close)
    assert whole.difference == pytest.approx(snapshot.vendor.difference, abs=close)
    assert whole.difference_to_gross == pytest.approx(snapshot.vendor.difference_to_gross, abs=1e-9)


ROWS = st.builds(
    Row,
    strike=st.sampled_from([4000.0, 4800.0, 4950.0, 5000.0, 5010.0, 5200.0, 6000.0]),
    right=st.sampled_from([1, -1]),
    expiry=st.sampled_from(["2025-05-30", TODAY, LATER, OPEX, "2026-06-18"]),
    iv=st.sampled_from([NAN, -999.0, 0.0, 0.02, 0.2, 3.0]),
    gamma=st.sampled_from([NAN, -999.0, 0.0, 0.001, 0.02, math.inf]),
    oi=st.sampled_from([0.0, 1.0, 500.0]),
    root=st.just("SPXW"),
    bid=st.just(NAN),
    ask=st.just(NAN),
    volume=st.just(0.0),
    ts=st.just(0),
    settlement=st.just(""),
)


@given(st.lists(ROWS, min_size=1, max_size=40))
def test_buckets_add_up(rows: list[Row]) -> None:
    """Over distance and over days; whatever a vendor sends, no figure is NaN or infinite."""
    found = compared(rows)

    assert list(not_finite(msgspec.to_builtins(list(found.values())))) == []
    for dte in {dte for dte, _ in found}:
        parts = [found[dte, money] for money in MONEYNESS if (dte, money) in found]
        assert_adds_up(found[dte, ALL], parts)
    live = [found[dte, ALL] for dte in DTE if (dte, ALL) in found]
    if live:
        assert_adds_up(found[ALL, ALL], live)
    assert ((ALL, ALL) in found) == bool(live)


def assert_adds_up(whole: Compared, parts: list[Compared]) -> None:
    """Fail unless counts and sums of the whole are those of its parts."""
    for name in SUMS:
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts), name
    for name in ("net_gex", "gross_gex", "vendor_net_gex", "vendor_gross_gex", "zero_gross_gex"):
        known = [value for part in parts if (value := getattr(part, name)) is not None]
        total = getattr(whole, name)
        assert (total is None) == (not known), name
        assert total is None or total == pytest.approx(sum(known), rel=1e-9, abs=1e-6), name
    errors = [part.gamma_error_max for part in parts if part.gamma_error_max is not None]
    assert whole.gamma_error_max == max(errors, default=None)


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "held", "median", "p90", "zero"),
    [
        ("chains/spx_2024-01-07.csv", True, 0.060, 1.0, 0.247),
        ("chains/rut_2023-09-21.json", True, 0.037, 1.0, 0.040),
        ("schwab/chain_AAPL_2025-01-16.json", True, 0.126, 1.0, 0.225),
        ("schwab/chain_SPX_weekend_oi_zero.json", False, 0.287, 1.0, 0.389),
    ],
)
def test_real_chains(
    samples: Path, name: str, *, held: bool, median: float, p90: float, zero: float
) -> None:
    """The figures of docs/conventions.md: how far gamma is off, what share of OI prints none.

    Cboe's has 4 decimals, Schwab's chain 3. One file has no open interest: each contract counts 1.
    """
    cleaned = clean_chain(read_chain_file((samples / name).read_bytes()))
    if not held:
        one = np.where(cleaned.listed, 1.0, 0.0)
        cleaned = msgspec.structs.replace(cleaned, open_interest=one)
    whole = by_name(cleaned)[ALL, ALL]

    assert whole.gamma_error_median == pytest.approx(median, abs=0.0005)
    assert whole.gamma_error_p90 == pytest.approx(p90)
    assert whole.zero_oi_share == pytest.approx(zero, abs=0.0005)
    assert whole.difference_to_gross == pytest.approx(0, abs=0.05)
