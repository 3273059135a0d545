"""Zero gamma on curves made by hand and on random chains, against other scans and solvers."""

import math
from collections.abc import Callable
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy.optimize import brentq

from gex_pipeline.exposure.book import Book, make_book
from gex_pipeline.exposure.convention import GEXC_1, LOG_1_1
from gex_pipeline.exposure.crossings import Crossings, Curves, Evaluate, find_crossings
from gex_pipeline.exposure.fold import snapshots
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.profile import nodes
from gex_pipeline.exposure.scopes import NAMES, scope_groups
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline_tests.synthetic import synthetic_chain

X = nodes(2 * LOG_1_1, 121)
STEP = float(X[1] - X[0])
SPOT = 5000.0
GATE = 1e-3


def crossings(curve: Floats, evaluate: Evaluate | None = None, x: Floats = X) -> Crossings:
    """Return the crossings of one curve, taken as straight between nodes unless it says more."""
    if evaluate is None:

        def straight(at: Floats) -> tuple[Floats, Floats]:
            value = np.interp(at, x, curve)
            rise = (np.interp(at + 1e-7, x, curve) - np.interp(at - 1e-7, x, curve)) / 2e-7
            return value, rise + value

        evaluate = same(straight)
    return find_crossings(x, curve[np.newaxis], evaluate, SPOT, GATE, LOG_1_1)[0]


def same(curve: Curves) -> Evaluate:
    """Return what evaluates the one curve that there is."""
    return lambda _: curve


def polynomial(*roots: float) -> tuple[Floats, Evaluate]:
    """Return the curve prod(x - root) at the nodes, and its exact evaluation."""
    p = np.polynomial.Polynomial.fromroots(roots)

    return p(X), same(lambda at: (p(at), p.deriv()(at) + p(at)))


def test_one_root_to_the_last_digits() -> None:
    """X = 0.0123: spot e^0.0123, rising."""
    found = crossings(*polynomial(0.0123))

    assert [flip.distance for flip in found.flips] == [pytest.approx(0.0123, abs=1e-14)]
    assert found.flips[0].spot == pytest.approx(SPOT * math.exp(0.0123), rel=1e-14)
    assert found.flips[0].dir == "up"
    assert found.flips[0].slope > 0
    assert (found.dead_zone_changes, found.reason) == (0, None)


def test_all_roots_ascending() -> None:
    """Three of them, up, down and up; the headline is the nearest to spot."""
    found = crossings(*polynomial(-0.1234, -0.02, 0.0456))

    assert [flip.distance for flip in found.flips] == [
        pytest.approx(root, abs=1e-13) for root in (-0.1234, -0.02, 0.0456)
    ]
    assert [flip.dir for flip in found.flips] == ["up", "down", "up"]
    assert [flip.slope > 0 for flip in found.flips] == [True, False, True]
    assert [flip.outside_grid for flip in found.flips] == [True, False, False]
    assert found.nearest == found.flips[1]


def test_of_two_as_near_the_lower_is_the_headline() -> None:
    """The roots are exact nodes on both sides of spot."""
    found = crossings(*polynomial(float(X[50]), float(X[70])))

    assert len(found.flips) == 2
    assert found.flips[0].distance == -found.flips[1].distance
    assert found.nearest == found.flips[0]


def test_a_root_exactly_on_a_node() -> None:
    """The node is zero and in no lobe: its neighbours bracket it."""
    found = crossings(*polynomial(0.0))

    assert [flip.spot for flip in found.flips] == [SPOT]


def test_touching_zero_is_no_crossing() -> None:
    """x^2, at a node and between two."""
    for root in (0.0, STEP / 3):
        found = crossings(*polynomial(root, root))

        assert (found.flips, found.reason) == ((), "no_crossing_in_range")


@pytest.mark.parametrize("sign", [1, -1])
def test_one_sign_has_no_crossing(sign: int) -> None:
    """And no root at the edge, however near it comes to zero there."""
    found = crossings(sign * np.linspace(1, 1e-9, X.size))

    assert (found.flips, found.dead_zone_changes) == ((), 0)
    assert found.reason == "no_crossing_in_range"


def test_zeros_only() -> None:
    """No exposure is not a crossing at every node."""
    assert crossings(np.zeros(X.size)).reason == "no_exposure"
    assert crossings(np.full(X.size, np.nan)).reason == "no_exposure"


@pytest.mark.parametrize(("width", "is_root"), [(1, True), (2, False), (9, False)])
def test_a_dead_zone_hides_its_root(width: int, is_root: bool) -> None:
    """Exact zeros in between: a root further than two nodes wide would be arbitrary."""
    curve = np.where(np.arange(X.size) < 60, -1.0, 1.0)
    curve[60 : 60 + width] = 0.0
    found = crossings(curve)

    assert len(found.flips) == is_root
    assert found.dead_zone_changes == (not is_root)
    assert found.reason == (None if is_root else "only_across_dead_zone")


def test_a_root_beside_a_dead_zone() -> None:
    """Both are reported, each as what it is."""
    curve = np.where(np.arange(X.size) < 40, -1.0, 1.0)
    curve[40:50] = 0.0
    curve[90:] = -1.0
    found = crossings(curve)

    assert [flip.dir for flip in found.flips] == ["down"]
    assert (found.dead_zone_changes, found.reason) == (1, None)


def test_noise_at_the_ends_is_no_lobe() -> None:
    """Below a thousandth of the peak: its border goes with it, one after another."""
    curve = np.ones(X.size)
    curve[:5] = [1e-6, 1e-6, -1e-5, -1e-5, -1e-5]
    curve[-3:] = -9e-4
    found = crossings(curve)

    assert (found.flips, found.reason) == ((), "no_crossing_in_range")
    curve[-3:] = -1.1e-3
    assert len(crossings(curve).flips) == 1


def test_noise_inside_joins_its_neighbours() -> None:
    """An inner lobe below the gate vanishes with both its borders."""
    curve = np.ones(X.size)
    curve[50:55] = -9e-4
    assert crossings(curve).reason == "no_crossing_in_range"

    curve[50:55] = -1.1e-3
    assert len(crossings(curve).flips) == 2


def test_the_smallest_lobe_goes_first() -> None:
    """+1 | -8e-4 | +5e-4 | -1: taking the 5e-4 joins -8e-4 to -1, and its border stays."""
    curve = np.concatenate(
        (np.full(40, 1.0), np.full(20, -8e-4), np.full(20, 5e-4), np.full(41, -1.0))
    )
    found = crossings(curve)

    assert len(found.flips) == 1
    assert X[39] < found.flips[0].distance < X[40]


def test_of_equal_noise_the_left_goes_first() -> None:
    """+1 | -5e-4 | +5e-4 | -1: the left one joins +1, so the border before -1 stays."""
    curve = np.concatenate(
        (np.full(40, 1.0), np.full(20, -5e-4), np.full(20, 5e-4), np.full(41, -1.0))
    )
    found = crossings(curve)

    assert len(found.flips) == 1
    assert X[79] < found.flips[0].distance < X[80]


def test_one_lobe_alone_is_never_noise() -> None:
    """However small: the gate is relative."""
    assert crossings(np.full(X.size, 1e-300)).reason == "no_crossing_in_range"


def test_nodes_that_are_no_number_are_left_out() -> None:
    """NaN and infinities are in no lobe; the crossing elsewhere is found."""
    curve, _ = polynomial(0.0123)
    curve[[3, 100]] = np.nan
    curve[5] = np.inf

    assert len(crossings(curve).flips) == 1


def test_curves_are_independent() -> None:
    """Several curves at once give what each gives alone."""
    first, at_first = polynomial(0.01, 0.05)
    second, at_second = polynomial(-0.03)
    still = np.zeros(X.size)

    def evaluate(curve: Ints) -> Curves:
        def both(at: Floats) -> tuple[Floats, Floats]:
            (g, slope), (h, other) = at_first(curve)(at), at_second(curve)(at)
            return np.where(curve == 0, g, h), np.where(curve == 0, slope, other)

        return both

    together = find_crossings(X, np.stack((first, still, second)), evaluate, SPOT, GATE, LOG_1_1)

    assert [flip.distance for flip in together[0].flips] == pytest.approx([0.01, 0.05], abs=1e-13)
    assert together[1].reason == "no_exposure"
    assert [flip.distance for flip in together[2].flips] == pytest.approx([-0.03], abs=1e-13)


# --- random chains --------------------------------------------------------------------------------


def random_book(seed: int) -> Book:
    """Return a synthetic chain whose open interest leans to calls or puts, lumpier than usual."""
    rng = np.random.default_rng(seed)
    plain = synthetic_chain(600, 6, seed=seed)
    lumps = rng.pareto(1.2, len(plain))
    tilt = np.where(plain.right > 0, rng.uniform(0.4, 1.6), 1.0)
    count = np.floor(plain.open_interest * tilt * lumps)
    cleaned = clean_chain(msgspec.structs.replace(plain, open_interest=count))
    return make_book(cleaned, solve_smile(cleaned, GEXC_1), GEXC_1)


def textbook(book: Book, groups: Bools, weight: int) -> Callable[[float], float]:
    """Return net GEX as a function of x = log(S'/S), in Black-76's own words."""
    chain, found = book.chain, book.smile
    usable = groups[chain.group] & ~np.isnan(found.iv)
    g = chain.group[usable]
    v = found.iv[usable] * np.sqrt(found.years[g])
    df, forward, strike = found.carry.df[g], found.carry.forward[g], chain.strike[usable]
    held = (chain.open_interest, chain.volume)[weight][:, usable]
    net = held[0] - held[1]

    def gex(x: float) -> float:
        spot = chain.spot * math.exp(x)
        d1 = np.log(forward * math.exp(x) / strike) / v + v / 2
        phi = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        gamma = df * (forward / chain.spot) * phi / (spot * v)
        return float((gamma * net).sum() * 100 * spot * spot * 0.01)

    return gex


def slow_roots(gex: Callable[[float], float], count: int = 4801) -> list[float]:
    """Return the roots by the sheet's words on a fine grid: lobes, gate, brentq."""
    x = nodes(2 * LOG_1_1, count)
    g = np.array([gex(float(at)) for at in x])
    lobes: list[list[float]] = []  # first node, last node, peak, sign
    for k in np.flatnonzero(g).tolist():
        if lobes and lobes[-1][3] == np.sign(g[k]):
            lobes[-1][1:3] = [k, max(lobes[-1][2], abs(g[k]))]
        else:
            lobes.append([k, k, abs(g[k]), np.sign(g[k])])
    while len(lobes) > 1:
        peaks = [lobe[2] for lobe in lobes]
        i = int(np.argmin(peaks))
        if peaks[i] >= GATE * np.abs(g).max():
            break
        if 0 < i < len(lobes) - 1:
            low, high = lobes[i - 1], lobes[i + 1]
            lobes[i - 1 : i + 2] = [[low[0], high[1], max(low[2], high[2]), low[3]]]
        else:
            del lobes[i]
    return [
        brentq(gex, x[int(left[1])], x[int(right[0])], xtol=1e-13, rtol=1e-15)
        for left, right in pairwise(lobes)
        if right[0] - left[1] <= 2
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_root_set_is_that_of_a_4801_node_scan(seed: int) -> None:
    """Every scope and weight of random chains, and each root is brentq's to 1e-9 of spot."""
    book = random_book(seed)
    compared = 0
    seen: set[bytes] = set()
    for scope in NAMES:
        groups = scope_groups(book.chain, book.smile.live, scope)
        if groups.tobytes() in seen or not groups.any():
            continue
        seen.add(groups.tobytes())
        found = snapshots(book, (scope,))[scope]
        views = (found, found.volume)
        for weight, view in enumerate(views):
            assert view is not None
            expected = slow_roots(textbook(book, groups, weight))

            assert [flip.distance for flip in view.flips] == pytest.approx(expected, abs=1e-9)
            compared += len(expected)
    assert compared > 3
