"""Other tools' conventions against their own textbooks, written here again."""

import datetime

import msgspec
import numpy as np
import pytest

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.convention import CROSS_CHECKS
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.sessions import settlement_ns
from gex_pipeline_tests.exposure.builders import (
    ASOF_NS,
    LATER,
    NAN,
    NEXT,
    TODAY,
    Row,
    assert_sound,
    chain,
    change,
    ladder,
    quoted,
    rows_of,
    source,
)
from gex_pipeline_tests.synthetic import synthetic_chain


def random_source(seed: int) -> OptionChain:
    """Return a synthetic chain with expired rows, missing gamma and missing volatility."""
    rng = np.random.default_rng(seed)
    plain = synthetic_chain(700, 9, seed=seed)
    gone = plain.expiry == plain.expiry.min()
    expiry = np.where(gone, np.datetime64("2025-05-30"), plain.expiry)
    lost = rng.random((2, len(plain))) < 0.1
    return msgspec.structs.replace(
        plain,
        expiry=expiry,
        gamma=np.where(lost[0], np.nan, plain.gamma),
        iv=np.where(lost[1], rng.choice([0.0, np.nan, -999.0], len(plain)), plain.iv * 1.07),
        open_interest=np.floor(plain.open_interest * rng.pareto(1.2, len(plain))),
    )


def naive_gex(of: OptionChain, spot: float, gamma: Floats, weight: Floats) -> Floats:
    """Return each row's $ per 1%: calls +, puts -."""
    return np.nan_to_num(gamma) * weight * 100 * spot * spot * 0.01 * of.right


def alive(of: OptionChain, asof_ns: int) -> Bools:
    """Return which rows have not settled."""
    pairs = zip(of.root.tolist(), of.expiry.tolist(), strict=True)
    return np.array([settlement_ns(root, day) > asof_ns for root, day in pairs])


def copied_script(
    of: OptionChain, today: datetime.date, weight: Floats
) -> tuple[float, Floats, Floats, float]:
    """Return net, levels, profile and first zero of the widely copied script: r = q = 0."""
    keep = (of.expiry.astype(datetime.date) >= today) & (of.iv > 0)
    days = np.busday_count(np.datetime64(today), of.expiry[keep])
    t = np.where(days == 0, 1, days) / 262
    strike, iv, sign, held = of.strike[keep], of.iv[keep], of.right[keep], weight[keep]

    def total(spot: float) -> float:
        d1 = (np.log(spot / strike) + 0.5 * iv**2 * t) / (iv * np.sqrt(t))
        gamma = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi) / (spot * iv * np.sqrt(t))
        return float((sign * held * 100 * spot * spot * 0.01 * gamma).sum())

    levels = np.linspace(0.8 * of.spot, 1.2 * of.spot, 60)
    curve = np.array([total(level) for level in levels.tolist()])
    zeros = [
        levels[i + 1] - (levels[i + 1] - levels[i]) * curve[i + 1] / (curve[i + 1] - curve[i])
        for i in np.flatnonzero(np.diff(np.sign(curve)))
    ]
    nearest = min(zeros, key=lambda zero: abs(np.log(zero / of.spot)), default=np.nan)
    return total(of.spot), levels, curve, float(nearest)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("convention", ["vendor", "vendor-all"])
def test_the_vendors_gamma_summed(convention: str, seed: int) -> None:
    """Unexpired rows, or all of them; both weights; to 1e-12 of gross."""
    given = random_source(seed)
    cleaned = clean_chain(given)
    found = cross_check(cleaned, convention, "all", TODAY)
    rows = alive(given, ASOF_NS) if convention == "vendor" else np.ones(len(given), dtype=bool)
    assert not rows.all() or convention == "vendor-all"

    for view, weight in ((found, given.open_interest), (found.volume, given.volume)):
        assert view is not None
        expected = naive_gex(given, given.spot, given.gamma, weight)[rows]
        gross = np.abs(expected).sum()
        calls = given.right[rows] > 0
        assert view.net_gex == pytest.approx(expected.sum(), abs=1e-12 * gross)
        assert view.call_gex == pytest.approx(expected[calls].sum(), rel=1e-12)
        assert view.put_gex == pytest.approx(expected[~calls].sum(), rel=1e-12)
        assert view.gross_gex == pytest.approx(gross, rel=1e-12)
        assert (view.zero_gamma, view.flips, view.profile) == (None, (), ())
        assert view.null_reasons["zero_gamma"] == "gamma_known_at_spot_only"
    assert found.contracts == rows.sum()
    assert found.convention == convention


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_copied_script(seed: int) -> None:
    """Net at spot, 60 levels from 0.8 to 1.2 of spot, and the zero between two of them."""
    given = random_source(seed)
    found = cross_check(clean_chain(given), "r0-busdays262", "all", TODAY)

    for view, weight in ((found, given.open_interest), (found.volume, given.volume)):
        assert view is not None
        assert view.gross_gex is not None
        net, levels, curve, zero = copied_script(given, TODAY, weight)
        assert view.net_gex == pytest.approx(net, abs=1e-12 * view.gross_gex)
        assert [point.spot for point in view.profile] == pytest.approx(levels, rel=1e-13)
        scale = 1e-12 * np.abs(curve).max()
        assert [point.gex for point in view.profile] == pytest.approx(curve, abs=scale)
        assert view.zero_gamma == pytest.approx(zero, rel=1e-11)
        assert view.gamma_at_spot == pytest.approx(np.interp(given.spot, levels, curve), abs=scale)


def test_days_are_counted_from_the_download() -> None:
    """Business days to the expiry; on the day itself 1."""
    rows = [Row(5000, iv=0.2, oi=1.0, expiry=day) for day in (TODAY, NEXT, "2025-06-09")]
    v = 0.2 * np.sqrt(np.array([1, 1, 5]) / 262)
    gamma = np.exp(-v * v / 8) / np.sqrt(2 * np.pi) / (5000 * v)
    found = cross_check(chain(rows), "r0-busdays262", "all", TODAY)

    assert found.net_gex == pytest.approx(gamma.sum() * 100 * 5000**2 * 0.01, rel=1e-13)


def test_rows_before_the_download_date_are_out() -> None:
    """r0 keeps an expiry until its date is over, and no longer."""
    rows = [Row(5000, iv=0.2, oi=1.0, expiry=day) for day in ("2025-05-30", TODAY)]
    evening = msgspec.structs.replace(chain(rows), asof_ns=ASOF_NS + 8 * 3600 * 10**9)

    assert cross_check(evening, "r0-busdays262", "all", TODAY).contracts == 1
    assert cross_check(evening, "vendor", "all", TODAY).contracts == 0
    assert cross_check(evening, "vendor-all", "all", TODAY).contracts == 2


def test_unknown_names_are_refused() -> None:
    """Convention and scope."""
    with pytest.raises(ConventionError, match="vendor-all"):
        cross_check(chain([Row(5000)]), "perfiliev", "all", TODAY)
    with pytest.raises(ConventionError, match="Scope"):
        cross_check(chain([Row(5000)]), "vendor", "some", TODAY)


QUOTED = quoted(ladder(), LATER, gamma=0.001, iv=0.2, oi=10.0, volume=3.0)


@pytest.mark.parametrize("convention", CROSS_CHECKS)
def test_a_scope_of_a_cross_check(convention: str) -> None:
    """Only its own rows, and the same as a chain of those rows alone."""
    rows = QUOTED + quoted(ladder(), NEXT, gamma=0.002, iv=0.3, oi=5.0)
    found = cross_check(chain(rows), convention, "next", TODAY)
    alone = cross_check(chain(rows[len(QUOTED) :]), convention, "all", TODAY)

    assert found.net_gex == alone.net_gex
    assert found.contracts == alone.contracts == 34
    assert found.max_pain == alone.max_pain
    assert [row.expiry for row in found.expiries] == [NEXT]


@pytest.mark.parametrize("convention", CROSS_CHECKS)
def test_walls_and_rows_of_a_cross_check(convention: str) -> None:
    """By its own gamma: 5100 holds most calls, 4900 most puts; rows add up."""
    rows = change(change(QUOTED, 5100, 1, oi=500.0), 4900, -1, oi=400.0)
    found = cross_check(chain(rows), convention, "all", TODAY)
    assert found.gross_gex is not None

    assert (found.call_wall, found.put_wall) == (5100, 4900)
    total = sum(row.net_gex or 0 for row in found.strikes)
    assert total == pytest.approx(found.net_gex, abs=1e-12 * found.gross_gex)
    total = sum(row.net_gex or 0 for row in found.expiries)
    assert total == pytest.approx(found.net_gex, abs=1e-12 * found.gross_gex)


def case(name: str, convention: str) -> GexSnapshot:
    """Return a cross-check of a chain that lacks something."""
    rows, spot = QUOTED, 5000.0
    if name == "no spot":
        spot = NAN
    elif name == "no gamma":
        rows = [row._replace(gamma=NAN, iv=NAN) for row in rows]
    elif name == "no OI":
        rows = [row._replace(oi=0.0) for row in rows]
    elif name == "no volume":
        rows = [row._replace(volume=0.0) for row in rows]
    elif name == "no row":
        rows = []
    scope = "0dte" if name == "empty scope" else "all"
    return cross_check(chain(rows, spot=spot), convention, scope, TODAY)


@pytest.mark.parametrize("convention", CROSS_CHECKS)
@pytest.mark.parametrize(
    "name", ["whole", "no spot", "no gamma", "no OI", "no volume", "no row", "empty scope"]
)
def test_every_null_of_a_cross_check_has_a_reason(name: str, convention: str) -> None:
    """As in our own convention; no figure is NaN."""
    assert_sound(case(name, convention))


@pytest.mark.parametrize("convention", CROSS_CHECKS)
@pytest.mark.parametrize("name", ["no spot", "no gamma", "no OI"])
def test_what_a_cross_check_cannot_know_is_null(name: str, convention: str) -> None:
    """Not 0: a zero here would look like a fact."""
    assert case(name, convention).net_gex is None


def test_rows_of_a_source_come_back() -> None:
    """The builders' own round trip: what these tests change is what they meant to."""
    assert rows_of(source([Row(5000, -1, "SPX", LATER, 1, 2, 3, 4, 5, 6, 7, "P")])) == [
        Row(5000, -1, "SPX", LATER, 1, 2, 3, 4, 5, 6, 7, "P")
    ]
