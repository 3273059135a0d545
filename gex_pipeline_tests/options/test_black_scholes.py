"""Black-Scholes-Merton against QuantLib, vollib and finite differences."""

import numpy as np
import pytest
from vollib.ref_python.black_scholes_merton import black_scholes_merton

from gex_pipeline.market.arrays import Floats
from gex_pipeline.options import black76, black_scholes
from gex_pipeline_tests.options.contracts import (
    Contracts,
    calculators,
    derivative,
    random_contracts,
)

COLUMNS = list(random_contracts())


def test_price_delta_and_gamma_are_quantlibs() -> None:
    """By spot, 1600 random calls and puts: price 1e-12 of spot, delta 1e-10, gamma 1e-12."""
    for c in random_contracts():
        oracle = calculators(c)
        spots = c.spot.tolist()
        arguments = (c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma)
        price = black_scholes.price(*arguments, c.right)
        delta = black_scholes.delta(*arguments, c.right)
        gamma = black_scholes.gamma(*arguments)
        deltas = [one.delta(spot) for one, spot in zip(oracle, spots, strict=True)]
        gammas = [one.gamma(spot) for one, spot in zip(oracle, spots, strict=True)]

        assert np.max(np.abs(price - [one.value() for one in oracle]) / c.spot) < 1e-12
        assert np.max(np.abs(delta - deltas)) < 1e-10
        assert np.max(np.abs(gamma - gammas)) < 1e-12
        assert (gamma >= 0).all()


def test_the_price_is_vollibs() -> None:
    """A second oracle, with the yield in its own place: 1e-12 of spot."""
    for c in random_contracts(count=40, seed=9):
        columns = (c.spot, c.strike, c.t, c.sigma, c.right)
        expected = [
            black_scholes_merton(
                "c" if right > 0 else "p", spot, strike, t, c.rate, sigma, c.dividend
            )
            for spot, strike, t, sigma, right in zip(*(x.tolist() for x in columns), strict=True)
        ]
        actual = black_scholes.price(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma, c.right)

        assert np.max(np.abs(actual - expected) / c.spot) < 1e-12


@pytest.mark.parametrize("c", COLUMNS)
def test_delta_and_gamma_are_slopes(c: Contracts) -> None:
    """Delta of the price in spot, gamma of delta in spot, over steps of a thousandth deviation."""

    def price(spot: Floats) -> Floats:
        return black_scholes.price(spot, c.strike, c.t, c.rate, c.dividend, c.sigma, c.right)

    def delta(spot: Floats) -> Floats:
        return black_scholes.delta(spot, c.strike, c.t, c.rate, c.dividend, c.sigma, c.right)

    width = c.spot * c.sigma * np.sqrt(c.t)
    gamma = black_scholes.gamma(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma)

    digits = np.minimum(c.spot / c.strike, 1)  # a deep put is a large number: its end is rounded
    assert np.max(np.abs(delta(c.spot) - derivative(price, c.spot, width)) * digits) < 1e-8
    assert np.max(np.abs(gamma - derivative(delta, c.spot, width)) * width) < 1e-8


@pytest.mark.parametrize("c", COLUMNS)
def test_vanna_is_the_slope_of_delta_in_volatility(c: Contracts) -> None:
    """Per 1.00 of volatility."""

    def delta(sigma: Floats) -> Floats:
        return black_scholes.delta(c.spot, c.strike, c.t, c.rate, c.dividend, sigma, c.right)

    vanna = black_scholes.vanna(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma)

    assert np.max(np.abs(vanna - derivative(delta, c.sigma, c.sigma)) * c.sigma) < 1e-8


@pytest.mark.parametrize("c", COLUMNS)
def test_charm_is_the_decay_of_delta_at_a_fixed_spot(c: Contracts) -> None:
    """Minus the slope of delta in the time left while the forward moves with it."""

    def delta(t: Floats) -> Floats:
        return black_scholes.delta(c.spot, c.strike, t, c.rate, c.dividend, c.sigma, c.right)

    charm = black_scholes.charm(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma, c.right)

    assert np.max(np.abs(charm + derivative(delta, c.t, c.t)) * c.t) < 1e-8


def test_greeks_are_those_of_the_forward_by_the_chain_rule() -> None:
    """dF/dS = F/S: delta and vanna take it once, gamma twice."""
    for c in random_contracts(count=50):
        forward = black_scholes.forward(c.spot, c.t, c.rate, c.dividend)
        turn = forward / c.spot
        by_spot = (c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma)
        by_forward = (forward, c.strike, c.t, c.rate, c.sigma)

        assert black_scholes.delta(*by_spot, c.right) == pytest.approx(
            black76.delta(*by_forward, c.right) * turn, rel=1e-12, abs=1e-14
        )
        assert black_scholes.gamma(*by_spot) == pytest.approx(
            black76.gamma(*by_forward) * turn**2, rel=1e-12, abs=1e-18
        )
        assert black_scholes.vanna(*by_spot) == pytest.approx(
            black76.vanna(*by_forward) * turn, rel=1e-12, abs=1e-14
        )


def test_the_forward_by_hand() -> None:
    """5000 at r 5%, q 1%, half a year: 5000 e^0.02 = 5101.0067."""
    forward = black_scholes.forward(np.array([5000.0]), np.array([0.5]), 0.05, 0.01)

    assert forward[0] == pytest.approx(5101.00670013378, rel=1e-13)
