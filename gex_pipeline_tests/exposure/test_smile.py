"""One volatility per line: own, blended at the money, the vendor's in their order, or none."""

import datetime
import math

import numpy as np
import pytest

from gex_pipeline.exposure.smile import NONE, OWN, VENDOR, Smile
from gex_pipeline.options import black76
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NAN,
    NEXT,
    SPOT,
    TODAY,
    Row,
    answer,
    chain,
    change,
    ladder,
    quoted,
    smile,
    years,
)

STRIKES = [*ladder(4800, 4975), 4990.0, 5010.0, *ladder(5025, 5200)]
"""The forward 5000 lies between 4990 and 5010."""


def mid(strike: float, right: int, sigma: float) -> float:
    """Return the Black-76 price at the forward 5000 on the later expiry, r = 0."""
    forward, at, t, iv, cp = (np.array([x]) for x in (SPOT, strike, years(LATER), sigma, right))
    price = black76.price(forward, at, t, 0.0, iv, cp)
    return float(price[0])


def at(found: Smile, strike: float, strikes: list[float] = STRIKES) -> tuple[float, int]:
    """Return volatility and source of a strike of the first group."""
    line = strikes.index(strike)
    return float(found.iv[line]), int(found.iv_source[line])


def requoted(rows: list[Row], strike: float, right: int, sigma: float) -> list[Row]:
    """Return the rows with one contract quoted at another volatility."""
    price = mid(strike, right, sigma)
    return change(rows, strike, right, bid=price - 0.01, ask=price + 0.01)


def test_own_volatility_comes_from_the_mid() -> None:
    """Every line at 20%, by our own solving."""
    found = smile(chain(quoted(STRIKES)))

    assert found.iv == pytest.approx(np.full(len(STRIKES), 0.2), abs=1e-9)
    assert (found.iv_source == OWN).all()


def test_the_out_of_the_money_side_decides() -> None:
    """Below the forward the put: a dearer call there changes nothing."""
    rows = requoted(quoted(STRIKES), 4900, 1, 0.3)
    found = smile(chain(rows))

    assert at(found, 4900)[0] == pytest.approx(0.2, abs=1e-9)
    rows = requoted(quoted(STRIKES), 4900, -1, 0.3)
    assert at(smile(chain(rows)), 4900)[0] == pytest.approx(0.3, abs=1e-9)
    rows = requoted(quoted(STRIKES), 5100, 1, 0.3)
    assert at(smile(chain(rows)), 5100)[0] == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parametrize("strike", [4990.0, 5010.0])
@pytest.mark.parametrize("right", [1, -1])
def test_both_sides_are_blended_at_the_money(strike: float, right: int) -> None:
    """At the last strike below the forward and the first above: the mean of 20% and 22%."""
    found = smile(chain(requoted(quoted(STRIKES), strike, right, 0.22)))

    assert at(found, strike)[0] == pytest.approx(0.21, abs=1e-8)
    assert at(found, 4975)[0] == pytest.approx(0.2, abs=1e-8)
    assert at(found, 5025)[0] == pytest.approx(0.2, abs=1e-8)


def test_without_the_other_side_there_is_no_blend() -> None:
    """The out-of-the-money side alone: a call without a bid has no volatility to mix in."""
    rows = change(requoted(quoted(STRIKES), 4990, -1, 0.22), 4990, 1, bid=0.0)

    assert at(smile(chain(rows)), 4990)[0] == pytest.approx(0.22, abs=1e-8)


def test_the_vendor_fills_in_on_our_clock() -> None:
    """No bid: the vendor's 0.3 times kappa, the median of own 0.2 over vendor 0.25."""
    rows = quoted(STRIKES, iv=0.25)
    found = smile(chain(change(rows, 4900, -1, bid=0.0, iv=0.3)))

    iv, source = at(found, 4900)
    assert source == VENDOR
    assert iv == pytest.approx(0.3 * 0.8, abs=1e-8)


def test_kappa_is_clamped() -> None:
    """Own 0.2 over vendor 0.05 would be 4: 2 is the most; 0.5 the least."""
    for vendor, kappa in ((0.05, 2.0), (0.8, 0.5)):
        found = smile(chain(change(quoted(STRIKES, iv=vendor), 4900, -1, bid=0.0)))

        assert at(found, 4900)[0] == pytest.approx(kappa * vendor, abs=1e-12)


def test_kappa_needs_five_lines_near_the_money() -> None:
    """With four, the vendor's volatility is taken as it is; far lines do not count."""
    strikes = [4600.0, 4900.0, 4950.0, 4990.0, 5010.0, 5050.0, 5400.0]  # 4600, 5400: beyond 5%
    for quoted_near, kappa in ((5, 0.8), (4, 1.0)):
        rows = quoted(strikes, iv=0.25)
        if quoted_near == 4:
            rows = change(rows, 5050, 1, iv=NAN)
            rows = change(rows, 5050, -1, iv=NAN)
        rows.append(Row(4850, -1, expiry=LATER, bid=0.0, ask=1.0, iv=0.25))
        found = smile(chain(rows))

        iv, source = at(found, 4850, sorted([*strikes, 4850.0]))
        assert source == VENDOR
        assert iv == pytest.approx(kappa * 0.25, abs=1e-8)


def test_the_vendors_out_of_the_money_side_first() -> None:
    """Else the other side's; both without our own."""
    rows = [
        Row(4900, -1, bid=0.0, iv=0.3),
        Row(4900, 1, iv=0.4),
        Row(4950, -1, iv=NAN),
        Row(4950, 1, iv=0.5),
    ]
    found = smile(chain(rows))

    assert found.iv.tolist() == [0.3, 0.5]


@pytest.mark.parametrize(
    ("vendor", "usable"),
    [(0.02, False), (0.0201, True), (5.0, True), (5.01, False), (0.0, False), (NAN, False)],
)
def test_stubs_are_no_volatility(vendor: float, usable: bool) -> None:
    """Cboe prints 0.02 where it has none; above 500% nobody quotes."""
    found = smile(chain([Row(4900, -1, iv=vendor)]))

    assert found.iv_source[0] == (VENDOR if usable else NONE)
    assert math.isnan(found.iv[0]) is not usable


def test_a_one_sided_quote_is_excluded_and_counted() -> None:
    """Out of every sum, in coverage, open interest and max pain."""
    rows = [row._replace(oi=10) for row in quoted(STRIKES)]
    rows = change(rows, 4800, -1, bid=0.0, oi=0)
    rows = change(rows, 4800, 1, oi=100000)
    found = answer(rows)
    without = answer([row for row in rows if row.strike != 4800])

    assert found.coverage is not None
    assert (found.coverage.excluded_contracts, found.coverage.excluded_oi) == (2, 100000)
    assert found.call_gex == pytest.approx(without.call_gex, rel=1e-12)
    assert found.max_pain == 4800
    assert without.max_pain != 4800
    assert found.strikes[0].call_oi == 100000
    assert found.strikes[0].call_gex is None


@pytest.mark.parametrize(
    ("root", "price", "source"),
    [("SPXW", 0.04, NONE), ("SPXW", 0.05, OWN), ("XSP", 0.02, OWN), ("XSP", 0.005, NONE)],
)
def test_a_price_below_the_tick_is_none(root: str, price: float, source: int) -> None:
    """0.05 for the large indexes, 0.01 for small ones and shares."""
    found = smile(chain([Row(4800, -1, root, LATER, price, price)]))

    assert found.iv_source[0] == source


@pytest.mark.parametrize(("sigma", "source"), [(0.009, NONE), (0.011, OWN)])
def test_tiny_volatilities_are_refused(sigma: float, source: int) -> None:
    """Below 1% a year a price is an artefact."""
    price = mid(5000, 1, sigma)
    found = smile(chain([Row(5000, 1, bid=price, ask=price)]))

    assert found.iv_source[0] == source


def test_a_price_above_its_bound_is_none() -> None:
    """A put is worth less than its strike, whatever a vendor prints."""
    assert smile(chain([Row(4800, -1, bid=4800, ask=4801)])).iv_source[0] == NONE


def american(forward: float, *expiries: datetime.date) -> Smile:
    """Return the smile of SPY expiries with own 20% and vendor 25% at a forward per spot."""
    rows = [
        row
        for expiry in expiries
        for row in quoted(STRIKES, expiry, "SPY", forward=SPOT * forward, iv=0.25)
    ]
    return smile(chain(rows, symbol="SPY"))


def test_an_ex_dividend_eve_puts_the_vendor_first() -> None:
    """American options 0.3% off parity: within 45 days the vendor's as it is, else our own."""
    far = datetime.date(2025, 8, 15)
    found = american(1.003, TODAY, LATER, far)
    count = len(STRIKES)

    assert found.carry.gap == pytest.approx(0.003, abs=1e-4)
    near = np.abs(np.array(STRIKES) - SPOT) <= 50  # today's wings are below the tick
    assert (found.iv_source[:count][near] == OWN).all()
    assert (found.iv_source[count : 2 * count] == VENDOR).all()
    assert (found.iv[count : 2 * count] == 0.25).all()
    assert (found.iv_source[2 * count :] == OWN).all()


def test_a_small_gap_leaves_our_own_first() -> None:
    """0.05% is no dividend."""
    assert (american(1.0005, LATER).iv_source == OWN).all()


def test_european_options_keep_their_own() -> None:
    """Parity holds for them on any eve."""
    rows = quoted(STRIKES, LATER, forward=SPOT * 1.003, iv=0.25)

    assert (smile(chain(rows)).iv_source == OWN).all()


def test_vendor_first_falls_back_to_our_own() -> None:
    """Where the vendor has no volatility ours still serves."""
    rows = quoted(STRIKES, LATER, "SPY", forward=SPOT * 1.003, iv=0.25)
    rows = change(change(rows, 4900, 1, iv=NAN), 4900, -1, iv=NAN)
    found = smile(chain(rows, symbol="SPY"))

    iv, source = at(found, 4900)
    assert source == OWN
    assert iv == pytest.approx(0.2, abs=1e-3)


def test_expired_groups_have_no_moneyness() -> None:
    """Nor a volatility of our own; the chain's other groups do."""
    yesterday = TODAY - datetime.timedelta(days=3)
    found = smile(chain([Row(5000, expiry=yesterday, bid=1, ask=2), *quoted(STRIKES, NEXT)]))

    assert math.isnan(found.log_moneyness[0])
    assert found.iv_source[0] == NONE
    assert np.isfinite(found.log_moneyness[1:]).all()
