"""Forwards and the rate by put-call parity, on quotes made by hand."""

import math

import numpy as np
import pytest

from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.market.arrays import Floats
from gex_pipeline.options import black76
from gex_pipeline.options.forward import (
    Forward,
    ParityQuotes,
    ParityRule,
    carry_gap,
    median,
    parity_forward,
    parity_quotes,
    parity_rate,
)

RULE = ParityRule(
    strikes=10,
    strikes_min=3,
    spread_max=0.5,
    mad_max=0.002,
    carry_base=0.02,
    carry_per_year=0.15,
)
DF = 0.98
T = 0.5


def quotes(
    *rows: tuple[float, float, float], spread: float = 0.2, two_sided: bool = True
) -> ParityQuotes:
    """Return quotes of rows (strike, call mid, put mid), each side `spread` wide."""
    strike, *mid = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return quoted_at(strike, np.array(mid), spread, two_sided=two_sided)


def quoted_at(
    strike: Floats, mid: Floats, spread: float, *, two_sided: bool = True
) -> ParityQuotes:
    """Return the quotes of one group, every side as wide."""
    both = np.full(mid.shape, two_sided)
    whole = np.array([0, strike.size])
    (found,) = parity_quotes(strike, mid, np.full(mid.shape, spread), both, whole, RULE.spread_max)
    return found


def parity(*rows: tuple[float, float, float], spot: float = 100.0, spread: float = 0.2) -> object:
    """Return the forward, or why there is none, of rows (strike, call mid, put mid)."""
    return parity_forward(quotes(*rows, spread=spread), spot, T, DF, RULE)


def exact(strike: Floats, forward: float, t: float, rate: float, sigma: float) -> ParityQuotes:
    """Return Black-76 prices as quotes."""
    mid = [
        black76.price(
            np.full(strike.size, forward),
            strike,
            np.full(strike.size, t),
            rate,
            np.full(strike.size, sigma),
            np.full(strike.size, right),
        )
        for right in (1.0, -1.0)
    ]
    return quoted_at(strike, np.array(mid), 0.01)


def test_the_conventions_own_rule() -> None:
    """The rule of these tests is the one that gexc-1 uses."""
    assert GEXC_1.parity == RULE


def test_a_forward_by_hand() -> None:
    """Strikes 99, 100, 102 imply 100.75, 100.9, 101 at df 0.98: the median is 100.9."""
    found = parity((99, 3.715, 2.0), (100, 2.882, 2.0), (102, 1.02, 2.0))

    assert isinstance(found, Forward)
    assert found.value == pytest.approx(100.9, abs=1e-12)
    assert found.mad == pytest.approx(0.1, abs=1e-12)  # of 0.15, 0, 0.1
    assert (found.method, found.reason, found.strikes) == ("parity", "", 3)


def test_an_even_number_takes_the_mean_of_the_middle_two() -> None:
    """100.75, 100.9, 101 and 101.1 give 100.95."""
    found = parity((99, 3.715, 2.0), (100, 2.882, 2.0), (101, 2.098, 2.0), (102, 1.02, 2.0))

    assert isinstance(found, Forward)
    assert found.value == pytest.approx(100.95, abs=1e-12)


def test_the_ten_smallest_differences_count() -> None:
    """Not the strikes nearest to spot: with a stale spot those would be of one side."""
    strike = np.arange(80.0, 121.0)
    found = parity_forward(exact(strike, 110.0, T, 0.0, 0.2), 110.0 / 1.09, T, 1.0, RULE)

    assert isinstance(found, Forward)
    assert found.strikes == 10
    assert found.value == pytest.approx(110.0, abs=1e-10)

    wrong_far_away = exact(strike, 110.0, T, 0.0, 0.2)
    wrong_far_away.gap[strike < 104] += 3.0
    assert parity_forward(wrong_far_away, 110.0 / 1.09, T, 1.0, RULE) == found


def test_ties_go_to_the_lower_strike() -> None:
    """Eleven strikes as far from parity: the highest is the one left out."""
    rows = [(100.0 + i, 4.0, 4.0 + (-1) ** i) for i in range(11)]  # |C - P| is 1 everywhere
    implied = sorted(strike + (call - put) / DF for strike, call, put in rows[:10])
    tolerant = RULE.__class__(
        strikes=10,
        strikes_min=3,
        spread_max=0.5,
        mad_max=0.1,
        carry_base=0.5,
        carry_per_year=0.0,
    )

    found = parity_forward(quotes(*rows), 105.0, T, DF, tolerant)

    assert isinstance(found, Forward)
    assert found.value == pytest.approx((implied[4] + implied[5]) / 2, abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_quotes(count: int) -> None:
    """quotes:n, n how many strikes are usable: three are needed."""
    rows = [(99.0, 3.715, 2.0), (100.0, 2.882, 2.0), (102.0, 1.02, 2.0)]

    assert parity(*rows[:count]) == f"quotes:{count}"
    assert isinstance(parity(*rows), Forward)


def test_one_sided_and_wide_quotes_do_not_count() -> None:
    """A spread above half the mid is no quote of a price; half is still one."""
    rows = [(99.0, 3.715, 2.0), (100.0, 2.882, 2.0), (102.0, 1.02, 2.0)]

    assert parity_forward(quotes(*rows, two_sided=False), 100.0, T, DF, RULE) == "quotes:0"
    assert isinstance(parity(*rows, spread=0.5 * 1.02), Forward)
    assert parity(*rows, spread=0.51 * 1.02) == "quotes:2"


def test_dispersion() -> None:
    """Implied forwards 100, 100.5 and 101: a median distance of 0.5 is more than 0.2% of 100."""
    found = parity((99, 2.98, 2.0), (100, 2.49, 2.0), (102, 1.02, 2.0))

    assert found == "dispersion:0.00500"


def test_the_largest_dispersion_allowed() -> None:
    """Implied 100, 100.19, 100.38 pass at spot 100, 100, 100.21, 100.42 do not."""
    for width, passes in ((0.19, True), (0.21, False)):
        rows = [(k, 2.0 + DF * (100 + i * width - k), 2.0) for i, k in enumerate((99, 100, 102))]

        assert isinstance(parity(*rows), Forward) is passes


def test_absurd() -> None:
    """log(F/S) beyond 2% + 15% of half a year (9.5%): 110.5 at spot 100 is no carry."""
    rows = [(k, 2.0 + DF * (110.5 - k), 2.0) for k in (109.0, 110.0, 111.0)]

    assert parity(*rows) == "absurd:110.50"
    assert isinstance(parity(*rows, spot=101.0), Forward)  # 9.0% is


def test_a_forward_below_zero_is_absurd_and_no_error() -> None:
    """Quotes can imply anything: a negative forward has no logarithm."""
    rows = [(k, 2.0, 2.0 + DF * (k + 7.0)) for k in (1.0, 2.0, 3.0)]

    assert parity(*rows, spread=0.0) == "absurd:-7.00"


def test_one_side() -> None:
    """All strikes above the forward that they imply: an extrapolation, refused."""
    rows = [(k, 2.0 + DF * (100.0 - k), 2.0) for k in (100.5, 101.0, 101.5)]

    assert parity(*rows) == "one_side"


def test_the_forward_of_exact_prices_comes_back() -> None:
    """With the right discount factor every strike implies the same forward."""
    quoted = exact(np.arange(4500.0, 5500.0, 25.0), 5033.0, 0.4, 0.05, 0.15)

    found = parity_forward(quoted, 5000.0, 0.4, math.exp(-0.05 * 0.4), RULE)

    assert isinstance(found, Forward)
    assert found.value == pytest.approx(5033.0, rel=1e-12)


@pytest.mark.parametrize("rate", [-0.015, 0.0, 0.0534, 0.12])
def test_the_rate_of_exact_prices_comes_back(rate: float) -> None:
    """The slope of C - P on the strike is minus the discount factor."""
    quoted = exact(np.arange(4000.0, 6000.0, 25.0), 5033.0, 0.4, rate, 0.15)

    assert parity_rate(quoted, 5000.0, 0.4, 0.1, 8) == pytest.approx(rate, abs=1e-11)


def test_a_rate_by_hand() -> None:
    """C - P = 10, 4, 2 at 90, 100, 110: slope -0.4, so -log(0.4)/2 over two years."""
    quoted = quotes((90, 12, 2), (100, 6, 2), (110, 4, 2))

    assert parity_rate(quoted, 100.0, 2.0, 0.2, 3) == pytest.approx(-math.log(0.4) / 2, rel=1e-13)


def test_no_rate() -> None:
    """Fewer strikes than asked for in the window, or a slope that no discount makes: NaN."""
    quoted = quotes((90, 12, 2), (100, 6, 2), (110, 4, 2))

    assert math.isnan(parity_rate(quoted, 100.0, 2.0, 0.2, 4))
    assert math.isnan(parity_rate(quoted, 100.0, 2.0, 0.1, 3))  # log(0.9) is outside
    rising = quotes((90, 2, 2), (100, 3, 2), (110, 4, 2))
    assert math.isnan(parity_rate(rising, 100.0, 2.0, 0.2, 3))


def test_the_gap_by_hand_with_a_slope() -> None:
    """Three groups 0.1 years apart on y = 0.002 + 0.03 t: slope 0.03, gap 0.002."""
    t = np.array([0.01, 0.11, 0.21])

    assert carry_gap(t, 0.002 + 0.03 * t, 0.5) == pytest.approx(0.002, abs=1e-15)


def test_the_gap_withstands_one_bad_group() -> None:
    """Medians: of five groups on a line one may be anywhere."""
    t = np.linspace(0.02, 0.1, 5)
    carry = 0.001 + 0.03 * t
    carry[2] = 0.2

    assert carry_gap(t, carry, 0.5) == pytest.approx(0.001, abs=1e-15)


def test_the_gap_of_few_groups_uses_the_rate() -> None:
    """Two groups make one pair, and three are needed: b is the rate, 5%."""
    gap = carry_gap(np.array([0.1, 0.2]), np.array([0.006, 0.013]), 0.05)

    assert gap == pytest.approx((0.001 + 0.003) / 2, abs=1e-15)


def test_pairs_within_a_day_say_nothing_of_the_slope() -> None:
    """AM and PM of one date: of three groups only two pairs are left, so b is the rate."""
    t = np.array([0.1, 0.1 + 0.9 / 365, 0.2])

    assert carry_gap(t, np.array([0.005, 0.9, 0.01]), 0.05) == pytest.approx(0.0, abs=1e-15)


def test_no_group_no_gap() -> None:
    """Nothing is known of a chain without parity forwards."""
    assert carry_gap(np.zeros(0), np.zeros(0), 0.05) is None


@pytest.mark.parametrize(
    ("values", "middle"), [([3.0], 3.0), ([9.0, 1.0, 4.0], 4.0), ([9.0, 1.0, 4.0, 5.0], 4.5)]
)
def test_the_median(values: list[float], middle: float) -> None:
    """The middle value, or the mean of the middle two."""
    assert median(np.array(values)) == middle
