"""Greeks at spot and what they expose, by hand and against Black-Scholes."""

import math

import numpy as np
import pytest

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.greeks import (
    LineGreeks,
    Sensitivities,
    bell,
    line_exposure,
    line_greeks,
    sensitivities,
)
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.options import black76, black_scholes
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NAN,
    SPOT,
    TODAY,
    Row,
    answer,
    chain,
    ladder,
    quoted,
    smile,
    years,
)
from gex_pipeline_tests.synthetic import synthetic_chain


def one_line(**values: float) -> tuple[LineGreeks, Sensitivities]:
    """Return one line at spot 5000 with gamma 0.01 and the other greeks given."""
    columns = {name: np.array([value]) for name, value in values.items()}
    first = np.array([0])
    ones = np.ones(1)
    greeks = LineGreeks(
        spot=SPOT,
        line=first,
        group=first,
        slope=ones,
        d1=0 * ones,
        iv=ones,
        carry=ones,
        gamma=columns.pop("gamma", 0.01 * ones),
    )
    zero = dict.fromkeys(Sensitivities.__struct_fields__, 0 * ones)
    return greeks, Sensitivities(**(zero | columns))


def test_one_contract_by_hand() -> None:
    """0.01 gamma x 10 contracts x 100 x 5000^2 x 1% = $2.5m per 1% move."""
    exposure = line_exposure(*one_line(gamma=0.01), np.array([[10.0], [0.0]]))

    assert exposure.call_gex[0] == pytest.approx(2_500_000.0, rel=1e-15)
    assert exposure.put_gex[0] == 0


def test_dealers_are_short_the_puts() -> None:
    """Ten puts are -$2.5m, never positive; delta, vanna and charm turn with them."""
    greeks, other = one_line(
        call_delta=0.6, put_delta=-0.4, vanna=-0.5, call_charm=0.73, put_charm=0.365
    )
    exposure = line_exposure(greeks, other, np.array([[0.0], [10.0]]))

    assert exposure.put_gex[0] == pytest.approx(-2_500_000.0, rel=1e-15)
    assert exposure.call_gex[0] == 0
    assert exposure.dex[0] == pytest.approx(0.4 * 10 * 100 * 5000)  # short a negative delta
    assert exposure.vex[0] == pytest.approx(0.5 * 10 * 100 * 5000 * 0.01)
    assert exposure.cex[0] == pytest.approx(-0.365 * 10 * 100 * 5000 / 365)


def test_calls_and_puts_of_a_line_add_up() -> None:
    """30 calls and 10 puts: DEX 30 x 0.6 + 10 x 0.4, VEX 20 x vanna, CEX each side's own."""
    greeks, other = one_line(
        call_delta=0.6, put_delta=-0.4, vanna=-0.5, call_charm=0.73, put_charm=0.365
    )
    exposure = line_exposure(greeks, other, np.array([[30.0], [10.0]]))

    assert exposure.dex[0] == pytest.approx(22 * 100 * 5000)
    assert exposure.vex[0] == pytest.approx(20 * -0.5 * 100 * 5000 * 0.01)
    assert exposure.cex[0] == pytest.approx((30 * 0.73 - 10 * 0.365) * 100 * 5000 / 365)


def test_the_bells_height_by_hand() -> None:
    """The height is 20 x 100 x 0.01 x carry x slope / sqrt(2 pi)."""
    greeks, _ = one_line()

    assert bell(greeks, np.array([20.0]))[0] == pytest.approx(20 / math.sqrt(2 * math.pi))


def test_greeks_are_black_scholes_with_the_implied_dividend() -> None:
    """Each line: delta, gamma, vanna at q = r - log(F/S)/T; charm Black-76's, the forward held."""
    cleaned = chain_of_synthetic()
    found = solve_smile(cleaned, GEXC_1)
    greeks = line_greeks(cleaned, found)
    other = sensitivities(greeks, found)
    rate, spot = found.carry.rate.value, np.array(cleaned.spot)
    assert greeks.line.size > 300

    for g in range(len(cleaned.groups)):
        rows = np.flatnonzero(greeks.group == g)
        t, forward = found.years[g], found.carry.forward[g]
        dividend = float(rate - np.log(forward / spot) / t)
        strike, iv = cleaned.strike[greeks.line[rows]], greeks.iv[rows]
        by_spot = (spot, strike, t, rate, dividend, iv)
        call, put = np.array(1.0), np.array(-1.0)
        turn = forward / spot

        assert greeks.gamma[rows] == pytest.approx(black_scholes.gamma(*by_spot), rel=1e-9)
        for column, right in ((other.call_delta, call), (other.put_delta, put)):
            expected = black_scholes.delta(*by_spot, right)
            assert column[rows] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        vanna = black_scholes.vanna(*by_spot)
        assert other.vanna[rows] == pytest.approx(vanna, rel=1e-9, abs=1e-11)
        for column, right in ((other.call_charm, call), (other.put_charm, put)):
            expected = black76.charm(forward, strike, t, rate, iv, right) * turn
            assert column[rows] == pytest.approx(expected, rel=1e-9, abs=1e-8)


def chain_of_synthetic() -> Chain:
    """Return a clean synthetic chain with carry."""
    return clean_chain(synthetic_chain(800, 5))


def test_a_whole_chain_of_one_contract_by_hand() -> None:
    """S = F = K = 5000, sigma 20% by the vendor, r = 0: gamma = phi(v/2) / (S v)."""
    found = answer([Row(5000, iv=0.2, oi=10, volume=4)])
    v = 0.2 * math.sqrt(years(LATER))
    gamma = math.exp(-v * v / 8) / math.sqrt(2 * math.pi) / (5000 * v)
    n_d1 = 0.5 * (1 + math.erf(v / 2 / math.sqrt(2)))
    density = gamma * 5000 * v

    assert found.net_gex == pytest.approx(gamma * 10 * 100 * 5000**2 * 0.01, rel=1e-12)
    assert found.net_gex_volume == pytest.approx(gamma * 4 * 100 * 5000**2 * 0.01, rel=1e-12)
    assert found.dex == pytest.approx(n_d1 * 10 * 100 * 5000, rel=1e-12)
    vanna = density * (v / 2) / 0.2  # -phi d2 / sigma, d2 = -v/2
    assert found.vex == pytest.approx(vanna * 10 * 100 * 5000 * 0.01, rel=1e-12)
    charm = density * (-v / 2) / (2 * years(LATER))
    assert found.cex == pytest.approx(charm * 10 * 100 * 5000 / 365, rel=1e-12)


def test_lines_without_a_volatility_and_expired_ones_are_out() -> None:
    """Nothing is extrapolated."""
    rows = [*quoted(ladder()), Row(4000, iv=NAN, oi=9), Row(5000, expiry=TODAY.replace(month=5))]
    cleaned = chain(rows)
    greeks = line_greeks(cleaned, smile(cleaned))

    assert cleaned.strike[greeks.line].tolist() == ladder()
    assert {cleaned.groups[g].expiry for g in greeks.group} == {LATER}
    assert (greeks.gamma >= 0).all()
