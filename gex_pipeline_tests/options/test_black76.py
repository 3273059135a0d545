"""Black-76 against QuantLib, vollib and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vollib import lets_be_rational

from gex_pipeline.market.arrays import Floats
from gex_pipeline.options import black76
from gex_pipeline_tests.options.contracts import (
    Contracts,
    calculators,
    derivative,
    random_contracts,
)

ONE = np.array([1.0])
COLUMNS = list(random_contracts())


def test_the_price_is_quantlibs() -> None:
    """1600 random calls and puts, to 1e-12 of the forward."""
    for c in random_contracts():
        expected = np.array([one.value() for one in calculators(c)])
        actual = black76.price(c.forward, c.strike, c.t, c.rate, c.sigma, c.right)

        assert np.max(np.abs(actual - expected) / c.forward) < 1e-12


def test_the_price_is_jaeckels() -> None:
    """A second oracle, written for accuracy in the tails: 1e-13 of the forward."""
    for c in random_contracts(seed=8):
        columns = (c.forward, c.strike, c.sigma, c.t, c.right)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        expected = np.array([lets_be_rational.black(*row) for row in rows])
        actual = black76.price(c.forward, c.strike, c.t, 0.0, c.sigma, c.right)

        assert np.max(np.abs(actual - expected) / c.forward) < 1e-13


def test_a_price_by_hand() -> None:
    """At the money F (2 N(v/2) - 1): 100 (2 x 0.5398278 - 1) = 7.9655674 at v = 0.2, less 5%."""
    actual = black76.price(100 * ONE, 100 * ONE, ONE, 0.05, 0.2 * ONE, ONE)

    assert actual[0] == pytest.approx(7.965567455405804 * np.exp(-0.05), rel=1e-13)


def test_delta_and_gamma_are_quantlibs() -> None:
    """By the forward, 1600 random calls and puts: delta to 1e-10, gamma to 1e-12."""
    for c in random_contracts():
        oracle = calculators(c)
        delta = black76.delta(c.forward, c.strike, c.t, c.rate, c.sigma, c.right)
        gamma = black76.gamma(c.forward, c.strike, c.t, c.rate, c.sigma)

        assert np.max(np.abs(delta - [one.deltaForward() for one in oracle])) < 1e-10
        assert np.max(np.abs(gamma - [one.gammaForward() for one in oracle])) < 1e-12
        assert (gamma >= 0).all()


@pytest.mark.parametrize("c", COLUMNS)
def test_vanna_is_the_slope_of_delta_in_volatility(c: Contracts) -> None:
    """Per 1.00 of volatility, calls and puts alike."""

    def delta(sigma: Floats) -> Floats:
        return black76.delta(c.forward, c.strike, c.t, c.rate, sigma, c.right)

    vanna = black76.vanna(c.forward, c.strike, c.t, c.rate, c.sigma)

    assert np.max(np.abs(vanna - derivative(delta, c.sigma, c.sigma)) * c.sigma) < 1e-8


@pytest.mark.parametrize("c", COLUMNS)
def test_charm_is_the_decay_of_delta_at_a_fixed_forward(c: Contracts) -> None:
    """Minus the slope of delta in the time left, the discount's own decay included."""

    def delta(t: Floats) -> Floats:
        return black76.delta(forward, c.strike, t, c.rate, c.sigma, c.right)

    forward = c.forward
    charm = black76.charm(forward, c.strike, c.t, c.rate, c.sigma, c.right)

    assert np.max(np.abs(charm + derivative(delta, c.t, c.t)) * c.t) < 1e-8


@given(
    moneyness=st.floats(-1, 1),
    t=st.floats(1e-4, 3),
    sigma=st.floats(0.02, 3),
    rate=st.floats(-0.02, 0.15),
)
def test_puts_and_calls_are_at_parity(
    moneyness: float, t: float, sigma: float, rate: float
) -> None:
    """C - P = df (F - K) for prices, and their deltas differ by df."""
    forward, strike = 5000 * ONE, 5000 * np.exp(moneyness) * ONE
    arguments = (forward, strike, t * ONE, rate, sigma * ONE)
    call, put = (black76.price(*arguments, right) for right in (ONE, -ONE))
    df = np.exp(-rate * t)

    assert call - put == pytest.approx(df * (forward - strike), abs=1e-11 * 5000)
    call, put = (black76.delta(*arguments, right) for right in (ONE, -ONE))
    assert call - put == pytest.approx(df * ONE, abs=1e-14)


def test_density_and_d1_by_hand() -> None:
    """phi(0) = 0.3989423; with F/K = e^0.02, sigma 0.2, t 0.25: d1 = 0.02/0.1 + 0.05 = 0.25."""
    d1 = black76.d1(100 * np.exp(0.02) * ONE, 100 * ONE, 0.25 * ONE, 0.2 * ONE)

    assert black76.density(0 * ONE)[0] == pytest.approx(0.3989422804014327, rel=1e-15)
    assert d1[0] == pytest.approx(0.25, rel=1e-13)
