"""Implied volatility: round trips, Jaeckel's own solver, and prices that no volatility makes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vollib import lets_be_rational

from gex_pipeline.market.arrays import Floats
from gex_pipeline.options.implied_vol import SIGMA_MAX, SIGMA_MIN, implied_vol, normalised_price
from gex_pipeline_tests.options.contracts import HOUR

FORWARD = 5000.0
WIDEST_STDEV = 6.7


def oracle_prices(strike: Floats, t: Floats, sigma: Floats) -> Floats:
    """Return Jaeckel's prices of the out-of-the-money side at the forward of 5000."""
    rows = zip(strike.tolist(), sigma.tolist(), t.tolist(), strict=True)
    return np.array(
        [lets_be_rational.black(FORWARD, *row[:2], row[2], side(row[0])) for row in rows]
    )


def side(strike: float) -> float:
    """Return +1 where the call is out of the money, else -1."""
    return 1.0 if strike >= FORWARD else -1.0


def random_options(count: int = 4000, seed: int = 3) -> tuple[Floats, Floats, Floats, Floats]:
    """Return strike, years, volatility and right over all that the solver promises."""
    rng = np.random.default_rng(seed)
    t = np.exp(rng.uniform(np.log(HOUR), np.log(5.0), count))
    sigma = np.exp(rng.uniform(np.log(0.02), np.log(3.0), count))
    strike = FORWARD * np.exp(rng.uniform(-6, 6, count) * sigma * np.sqrt(t))
    return strike, t, sigma, np.where(strike >= FORWARD, 1.0, -1.0)


def solve(price: float, strike: float = FORWARD, t: float = 0.25, right: float = 1.0) -> float:
    """Return the volatility of one price at the forward of 5000."""
    columns = (np.array([value]) for value in (price, FORWARD, strike, t, right))
    return float(implied_vol(*columns)[0])


def test_out_of_the_money_prices_come_back() -> None:
    """One hour to five years, 2% to 300%, up to six deviations out: to 1e-8."""
    strike, t, sigma, right = random_options()
    price = oracle_prices(strike, t, sigma)
    solved = implied_vol(price, np.full(strike.size, FORWARD), strike, t, right)

    assert np.max(np.abs(solved - sigma)) < 1e-8


def test_the_answer_is_jaeckels() -> None:
    """The reference solver gives the same volatility to 1e-10 of itself, from the same price."""
    strike, t, sigma, right = random_options(seed=4)
    price = oracle_prices(strike, t, sigma)
    rows = zip(*(column.tolist() for column in (price, strike, t, right)), strict=True)
    expected = np.array(
        [
            lets_be_rational.implied_volatility_from_a_transformed_rational_guess(
                price, FORWARD, strike, t, right
            )
            for price, strike, t, right in rows
        ]
    )
    solved = implied_vol(price, np.full(strike.size, FORWARD), strike, t, right)

    assert np.max(np.abs(solved / expected - 1)) < 1e-10


@given(
    depth=st.floats(-6, 6),
    t=st.floats(HOUR, 5),
    sigma=st.floats(0.02, 3),
)
def test_round_trips_at_any_single_option(depth: float, t: float, sigma: float) -> None:
    """What hypothesis finds in the same ranges comes back too, however few rows are solved."""
    strike = np.array([FORWARD * math.exp(depth * sigma * math.sqrt(t))])
    price = oracle_prices(strike, np.array([t]), np.array([sigma]))

    assert solve(float(price[0]), float(strike[0]), t, side(float(strike[0]))) == pytest.approx(
        sigma, abs=1e-8
    )


@pytest.mark.parametrize("right", [1.0, -1.0])
def test_an_in_the_money_price_gives_the_other_sides_volatility(right: float) -> None:
    """By parity: intrinsic value taken off, the price is the out-of-the-money one."""
    strike = FORWARD * math.exp(-0.05 * right)
    other = lets_be_rational.black(FORWARD, strike, 0.2, 0.25, -right)

    assert solve(other + right * (FORWARD - strike), strike, 0.25, right) == pytest.approx(
        0.2, abs=1e-8
    )


def test_at_the_money_by_hand() -> None:
    """5000 (2 N(0.05) - 1) = 199.38806 is 20% over a quarter."""
    assert solve(199.38805837) == pytest.approx(0.2, abs=1e-9)


@pytest.mark.parametrize(
    ("price", "strike", "t", "right"),
    [
        (0.0, 5100.0, 0.25, 1.0),
        (-1.0, 5100.0, 0.25, 1.0),
        (math.nan, 5100.0, 0.25, 1.0),
        (math.inf, 5100.0, 0.25, 1.0),
        (-math.inf, 5100.0, 0.25, 1.0),
        (99.0, 4900.0, 0.25, 1.0),  # below the call's intrinsic value of 100
        (100.0, 4900.0, 0.25, 1.0),  # at it
        (99.0, 5100.0, 0.25, -1.0),
        (100.0, 5100.0, 0.25, -1.0),
        (5000.0, 5100.0, 0.25, 1.0),  # a call is worth less than the forward
        (5001.0, 4900.0, 0.25, 1.0),
        (4900.0, 4900.0, 0.25, -1.0),  # a put is worth less than its strike
        (5101.0, 5100.0, 0.25, -1.0),
        (10.0, 5100.0, 0.0, 1.0),
        (10.0, 5100.0, -0.1, 1.0),
        (10.0, 5100.0, math.nan, 1.0),
        (10.0, 0.0, 0.25, 1.0),
        (10.0, -5.0, 0.25, 1.0),
        (10.0, math.nan, 0.25, 1.0),
        (10.0, math.inf, 0.25, 1.0),
    ],
)
def test_impossible_prices_have_no_volatility(
    price: float, strike: float, t: float, right: float
) -> None:
    """NaN for what no volatility makes, and no warning; the neighbours are still solved."""
    assert math.isnan(solve(price, strike, t, right))

    columns = (
        [199.38805837, price],
        [FORWARD, FORWARD],
        [FORWARD, strike],
        [0.25, t],
        [1.0, right],
    )
    solved = implied_vol(*(np.array(column) for column in columns))
    assert solved[0] == pytest.approx(0.2, abs=1e-9)
    assert math.isnan(solved[1])


@pytest.mark.parametrize("sigma", [SIGMA_MAX * 1.05, SIGMA_MIN * 0.95])
def test_volatilities_beyond_the_range_are_refused(sigma: float) -> None:
    """The ends are no answers: 0.0001 to 20 is what a price may mean."""
    price = lets_be_rational.black(FORWARD, FORWARD, sigma, 0.01, 1.0)

    assert math.isnan(solve(price, t=0.01))


@pytest.mark.parametrize("sigma", [SIGMA_MAX * 0.95, SIGMA_MIN * 1.05])
def test_volatilities_just_inside_the_range_are_found(sigma: float) -> None:
    """The refusal starts at the ends and not before."""
    price = lets_be_rational.black(FORWARD, FORWARD, sigma, 0.01, 1.0)

    assert solve(price, t=0.01) == pytest.approx(sigma, rel=1e-8)


def test_no_rows_have_no_volatilities() -> None:
    """An empty column in, an empty column out."""
    empty = np.zeros(0)

    assert implied_vol(empty, empty, empty, empty, empty).size == 0


def test_normalised_prices_are_jaeckels() -> None:
    """beta(x, s) to 1e-12 of itself from the far tail to almost the bound."""
    rng = np.random.default_rng(5)
    s = np.exp(rng.uniform(np.log(1e-4), np.log(WIDEST_STDEV), 2000))
    x = -np.abs(rng.uniform(-6, 6, s.size)) * s
    expected = [
        lets_be_rational.normalised_black_call(*row)
        for row in zip(x.tolist(), s.tolist(), strict=True)
    ]

    assert normalised_price(x, s) == pytest.approx(expected, rel=1e-12)
