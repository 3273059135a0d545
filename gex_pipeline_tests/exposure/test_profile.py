"""The profile equals the textbook's double loop, whatever blocks, windows and strides save."""

import math

import numpy as np
import pytest

from gex_pipeline.exposure import profile
from gex_pipeline.exposure.convention import LOG_1_1
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline_tests.exposure.builders import MINUTES_PER_YEAR

SPOT = 5000.0
SPAN = 2 * LOG_1_1
FIVE_MINUTES = 5 / MINUTES_PER_YEAR


class Book:
    """Random lines of several expiries: strike, forward, volatility, years, net contracts."""

    def __init__(self, seed: int, terms: list[float], lines: int = 120) -> None:
        rng = np.random.default_rng(seed)
        self.t = np.repeat(terms, lines)
        self.forward = SPOT * np.exp(0.02 * self.t)
        # steep wings: nobody's volatility leaves a strike within the scan millions of gammas away
        self.strike = np.sort(rng.uniform(0.7, 1.35, (len(terms), lines)), axis=1).ravel() * SPOT
        wing = np.abs(np.log(self.strike / self.forward)) / np.sqrt(self.t)
        self.sigma = np.maximum(rng.uniform(0.08, 0.4, self.t.size), 0.1 * wing)
        self.net = rng.normal(0, 1000, (2, self.t.size))
        self.start = np.arange(len(terms) + 1) * lines
        self.slope = 1 / (self.sigma * np.sqrt(self.t))
        self.d1 = np.log(self.forward / self.strike) * self.slope + 0.5 / self.slope
        height = 100 * 0.01 * np.exp(-0.03 * self.t) * self.forward / SPOT
        self.bells = self.net * height * self.slope / math.sqrt(2 * math.pi)

    def textbook(self, x: Floats) -> Floats:
        """Return (2, G, nodes) $ per 1%: Black-76 gamma of each line at each hypothetical spot."""
        answer = np.zeros((2, self.start.size - 1, x.size))
        for node, spot in enumerate((SPOT * np.exp(x)).tolist()):
            v = self.sigma * np.sqrt(self.t)
            forward = self.forward * spot / SPOT
            d1 = (np.log(forward / self.strike) + v * v / 2) / v
            phi = np.exp(-d1 * d1 / 2) / np.sqrt(2 * np.pi)
            gamma = np.exp(-0.03 * self.t) * (forward / spot) * phi / (spot * v)
            gex = self.net * gamma * 100 * spot * spot * 0.01
            for g in range(self.start.size - 1):
                answer[:, g, node] = gex[:, self.start[g] : self.start[g + 1]].sum(axis=1)
        return answer

    def scan(self, x: Floats) -> Floats:
        """Return the same by the code under test."""
        total = profile.scan(self.slope, self.d1, self.bells, self.start, x)
        return profile.dollars(total, SPOT, x)


TERMS = {
    "minutes": [FIVE_MINUTES, 30 / MINUTES_PER_YEAR, 2 / 24 / 365],
    "days": [1 / 365, 2 / 365, 5 / 365, 7.3 / 365],
    "years": [0.5, 1.0, 2.0, 5.0],
    "all": [FIVE_MINUTES, 1 / 8760, 1 / 365, 8 / 365, 30 / 365, 90 / 365, 0.5, 1.0, 3.0, 5.0],
}


@pytest.mark.parametrize("count", [121, 401, 1201])
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_scan_is_the_textbooks(terms: str, count: int, seed: int) -> None:
    """Each group, weight and node to 1e-10 of the group's peak."""
    book = Book(seed, TERMS[terms])
    x = profile.nodes(SPAN, count)
    expected, actual = book.textbook(x), book.scan(x)
    peak = np.abs(expected).max(axis=2, keepdims=True)

    assert (peak > 0).all()
    assert np.max(np.abs(actual - expected) / peak) < 1e-10


@pytest.mark.parametrize("count", [121, 401, 1201])
@pytest.mark.parametrize("years", [0.02, 0.05, 0.1, 0.25, 0.6, 1.5, 4.0])
def test_interpolation_loses_nothing(years: float, count: int) -> None:
    """One bell alone, where every stride is used in turn: 1e-11 of its peak at all nodes."""
    for sigma in (0.12, 0.3, 0.9):
        slope = np.array([1 / (sigma * math.sqrt(years))])
        for d1 in (-1.3, 0.2, 2.7):
            x = profile.nodes(SPAN, count)
            exact = np.exp(-0.5 * (slope * x + d1) ** 2)
            found = profile.scan(slope, np.array([d1]), np.ones((1, 1)), np.array([0, 1]), x)

            assert np.max(np.abs(found[0, 0] - exact)) < 1e-11


def test_the_narrowest_bells_far_from_spot() -> None:
    """Five minutes at 2% a year, up to 5000 deviations away: still 1e-9, the sheet's equality."""
    slope = np.full(200, 1 / (0.02 * math.sqrt(FIVE_MINUTES)))
    centre = np.linspace(-SPAN, SPAN, 200)
    x = profile.nodes(SPAN, 1201)
    exact = np.exp(-0.5 * (slope[:, np.newaxis] * (x - centre[:, np.newaxis])) ** 2)
    found = profile.scan(slope, -slope * centre, np.ones((1, 200)), np.arange(201), x)

    assert np.max(np.abs(found[0] - exact)) < 1e-9


def test_a_block_is_felt_wherever_a_bell_is() -> None:
    """A bell far outside the scan leaves zeros, one at its very edge does not."""
    x = profile.nodes(SPAN, 121)
    slope = np.array([1000.0, 1000.0])
    d1 = np.array([-1000 * SPAN, 5000.0])  # the first peaks at the last node
    total = profile.scan(slope, d1, np.ones((1, 2)), np.array([0, 1, 2]), x)

    assert total[0, 0, -1] == pytest.approx(1.0, rel=1e-9)
    assert not total[0, 1].any()


def test_groups_without_lines_are_zero() -> None:
    """The first, a middle and the last group may be empty."""
    x = profile.nodes(SPAN, 121)
    start = np.array([0, 0, 1, 1, 2, 2])
    total = profile.scan(np.array([5.0, 5.0]), np.zeros(2), np.array([[1.0, 3.0]]), start, x)

    assert [bool(group.any()) for group in total[0]] == [False, True, False, True, False]
    assert total[0, 3] == pytest.approx(3 * total[0, 1], rel=1e-12)
    nothing = profile.scan(np.zeros(0), np.zeros(0), np.zeros((2, 0)), np.array([0, 0]), x)
    assert nothing.shape == (2, 1, 121)
    assert not nothing.any()


def test_a_doubled_book_is_twice_to_the_last_bit() -> None:
    """The scan is linear: every operation on the weights is a sum of products."""
    book = Book(5, TERMS["all"])
    x = profile.nodes(SPAN, 121)
    once = profile.scan(book.slope, book.d1, book.bells, book.start, x)
    twice = profile.scan(book.slope, book.d1, 2 * book.bells, book.start, x)

    assert (twice == 2 * once).all()


def test_a_group_does_not_depend_on_its_neighbours() -> None:
    """Alone or in a book, the same bits: scopes may be asked for in any company."""
    book = Book(6, TERMS["all"])
    x = profile.nodes(SPAN, 121)
    together = profile.scan(book.slope, book.d1, book.bells, book.start, x)
    for g in range(book.start.size - 1):
        lines = slice(book.start[g], book.start[g + 1])
        ends: Ints = np.array([0, book.start[g + 1] - book.start[g]])
        alone = profile.scan(book.slope[lines], book.d1[lines], book.bells[:, lines], ends, x)

        assert (alone[:, 0] == together[:, g]).all()


@pytest.mark.parametrize("count", [61, 121, 201, 401, 1201])
def test_nodes(count: int) -> None:
    """Equal steps of the log over the span, symmetric, the middle exactly zero."""
    x = profile.nodes(SPAN, count)

    assert x.size == count
    assert x[count // 2] == 0
    assert (x == -x[::-1]).all()
    assert x[-1] == SPAN
    assert np.diff(x) == pytest.approx(np.full(count - 1, 2 * SPAN / (count - 1)), rel=1e-12)


def test_values_and_slopes() -> None:
    """The sum at any x, and dG/dS' against a difference of the textbook's dollars."""
    book = Book(7, TERMS["days"])
    x = np.array([-0.07, -0.01, 0.0, 0.003, 0.05])
    step = 1e-6
    total, slope = profile.values(book.slope, book.d1, book.bells[0], x)
    up, down = (book.textbook(x + d)[0].sum(axis=0) for d in (step, -step))
    run = SPOT * (np.exp(x + step) - np.exp(x - step))
    expected = book.textbook(x)[0].sum(axis=0)

    scale = np.abs(expected).max()
    assert profile.dollars(total, SPOT, x) == pytest.approx(expected, abs=1e-11 * scale)
    assert slope == pytest.approx((up - down) / run, rel=1e-5, abs=1e-6 * scale / SPOT)


def test_each_x_may_have_its_own_weights() -> None:
    """So that roots of several curves are polished together."""
    book = Book(8, TERMS["days"])
    x = np.array([0.01, -0.02])
    total, slope = profile.values(book.slope, book.d1, book.bells, x)
    for k in range(2):
        alone = profile.values(book.slope, book.d1, book.bells[k], x[k : k + 1])

        assert (total[k], slope[k]) == (alone[0][0], alone[1][0])
