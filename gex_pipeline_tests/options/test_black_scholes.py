"""Black-Scholes-Merton against QuantLib, vollib and finite differences."""

import numpy as np
import pytest
from vollib.ref_python.black_scholes_merton import black_scholes_merton

from gex_pipeline.options import black76, black_scholes
from gex_pipeline_tests.options.contracts import calculators, derivative, random_contracts


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


def test_delta_and_gamma_are_slopes_of_the_price() -> None:
    """Delta of the price in spot, gamma of delta in spot."""
    for c in random_contracts():
        arguments = (c.strike, c.t, c.rate, c.dividend, c.sigma)
        keep = c.sigma * np.sqrt(c.t) > 0.02  # a narrower bell is not smooth over 0.1% of spot

        def price(spot: np.ndarray, c=c, arguments=arguments):  # type: ignore[no-untyped-def,type-arg]
            return black_scholes.price(spot, *arguments, c.right)

        def delta(spot: np.ndarray, c=c, arguments=arguments):  # type: ignore[no-untyped-def,type-arg]
            return black_scholes.delta(spot, *arguments, c.right)

        error = np.abs(black_scholes.delta(c.spot, *arguments, c.right) - derivative(price, c.spot))
        assert np.max(error[keep]) < 1e-4
        error = np.abs(black_scholes.gamma(c.spot, *arguments) - derivative(delta, c.spot))
        assert np.max((error * c.spot)[keep]) < 1e-2


def test_vanna_is_the_slope_of_delta_in_volatility() -> None:
    """Per 1.00 of volatility."""
    for c in random_contracts():
        slope = derivative(
            lambda sigma, c=c: black_scholes.delta(  # type: ignore[misc]
                c.spot, c.strike, c.t, c.rate, c.dividend, sigma, c.right
            ),
            c.sigma,
        )
        vanna = black_scholes.vanna(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma)

        assert np.max(np.abs(vanna - slope) * c.sigma) < 1e-8


def test_charm_is_the_decay_of_delta_at_a_fixed_spot() -> None:
    """Minus the slope of delta in the time left while the forward moves with it."""
    for c in random_contracts():
        slope = derivative(
            lambda t, c=c: black_scholes.delta(  # type: ignore[misc]
                c.spot, c.strike, t, c.rate, c.dividend, c.sigma, c.right
            ),
            c.t,
        )
        charm = black_scholes.charm(c.spot, c.strike, c.t, c.rate, c.dividend, c.sigma, c.right)

        assert np.max(np.abs(charm + slope) * c.t) < 1e-8


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
