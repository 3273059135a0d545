"""Real chains against the figures that two independent writings of the sheet agreed upon.

`all` also carries coverage, expected move, forwards and profile; other scopes their figures.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.levels import ExpectedMove, Walls
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot, Raw
from gex_pipeline.feeds.chainfile import read_chain_file
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline_tests.exposure.builders import assert_sound

pytestmark = pytest.mark.samples

CHAINS = ("SPX_2024-01-07", "SPX_2022-12-12", "RUT_2023-09-21")
UNUSABLE = "SPX_2022-12-12"
VIEWS = {"oi": 0, "vol": 1}
SUMS = {
    "call_gex": "call_gex",
    "put_gex": "put_gex",
    "net_gex": "net_gex",
    "gross_gex": "gross_gex",
    "gamma_at_spot": "profile_at_spot",
}
OTHERS = {"dex": "dex", "vex": "vex_per_volpt", "cex": "cex_per_day"}
LISTS = {
    "call": "call_wall",
    "put": "put_wall",
    "call_global": "call_wall_global",
    "put_global": "put_wall_global",
    "abs_gamma": "abs_gamma",
    "max_net": "max_net",
    "min_net": "min_net",
}
FACTORS = ("greeks", "forward", "two_sided", "band", "sync", "quote_time")


@cache
def published(samples: Path, file: str) -> dict[str, Any]:
    """Return a file of reference figures."""
    document: dict[str, Any] = json.loads((samples / "chains" / file).read_text(encoding="utf-8"))
    return document


def reference(samples: Path, name: str) -> dict[str, Any]:
    """Return the reference figures of one chain under the default convention."""
    figures: dict[str, Any] = published(samples, "reference_gexc1.json")["open"][name]
    return figures


@cache
def cleaned(path: Path) -> tuple[Chain, int]:
    """Return the chain of a file, and when it was downloaded."""
    source = read_chain_file(path.read_bytes())
    return clean_chain(source), source.ts_source_ns


@cache
def computed(samples: Path, name: str) -> dict[str, GexSnapshot]:
    """Return our snapshots of one chain, all scopes."""
    chain, _ = cleaned(samples / "chains" / reference(samples, name)["file"])
    return fold(chain, NAMES)


def figures_of(snapshot: GexSnapshot, view: str) -> tuple[Exposure | Raw, Exposure]:
    """Return where the levels of a weight are, raw if coverage denies them, and where its sums."""
    assert snapshot.volume is not None
    if view == "oi":
        return snapshot.raw or snapshot, snapshot
    return (snapshot.raw.volume if snapshot.raw else snapshot.volume), snapshot.volume


def close(value: float | list[float], tolerance: float = 1e-9) -> Any:
    """Return what compares equal within a relative tolerance."""
    return pytest.approx(value, rel=tolerance)


def test_the_figures_are_of_this_convention(samples: Path) -> None:
    """Both carry the same identity, so they may be compared."""
    assert published(samples, "reference_gexc1.json")["convention"]["id"] == GEXC_1.id
    assert set(published(samples, "reference_gexc1.json")["open"]) == set(CHAINS)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scope", NAMES)
@pytest.mark.parametrize("name", CHAINS)
def test_figures(samples: Path, name: str, scope: str, view: str) -> None:
    """Sums to 1e-9 of gross, the other greeks, walls and crossings to 1e-9 of themselves."""
    found, whole = computed(samples, name)[scope], reference(samples, name)[scope]
    expected = whole[view]
    levels, sums = figures_of(found, view)

    assert found.contracts == whole["n_contracts"]
    if "reason" in expected:
        assert sums.null_reasons["net_gex"] == expected["reason"]
        assert sums.net_gex is None
        return
    for ours, theirs in SUMS.items():
        gross = expected["gross_gex"]
        assert getattr(sums, ours) == pytest.approx(expected[theirs], abs=1e-9 * gross)
    for ours, theirs in OTHERS.items():
        assert getattr(sums, ours) == close(expected[theirs])
    assert found.max_pain == expected["max_pain"]
    assert sums.dead_zone_changes == expected["dead_zone_changes"]
    assert_crossings(levels, sums, expected)
    assert_walls(levels.walls, expected)


def assert_crossings(levels: Exposure | Raw, sums: Exposure, expected: dict[str, Any]) -> None:
    """Fail unless all crossings, their headline and its reason are the reference's."""
    assert [flip.spot for flip in levels.flips] == close([x["spot"] for x in expected["flips"]])
    assert [flip.dir for flip in levels.flips] == [x["dir"] for x in expected["flips"]]
    slopes = [x["slope_per_pt"] for x in expected["flips"]]
    assert [flip.slope for flip in levels.flips] == close(slopes)
    if expected["flip"] is None:
        assert levels.zero_gamma is None
        assert sums.null_reasons["zero_gamma"] == expected["flip_reason"]
    else:
        assert levels.zero_gamma == close(expected["flip"])


def assert_walls(walls: Walls | None, expected: dict[str, Any]) -> None:
    """Fail unless every list starts with the reference's strikes, sizes and shares."""
    assert walls is not None
    for ours, theirs in LISTS.items():
        found = getattr(walls, ours)
        rows = expected[theirs]
        assert [level.strike for level in found[: len(rows)]] == [row[0] for row in rows]
        assert [level.size for level in found[: len(rows)]] == close([row[1] for row in rows])
        assert [level.share for level in found[: len(rows)]] == close([row[2] for row in rows])


@pytest.mark.parametrize("name", CHAINS)
def test_coverage_and_confidence(samples: Path, name: str) -> None:
    """Each factor and their product to 1e-6; counts exactly."""
    found = computed(samples, name)["all"]
    expected = reference(samples, name)
    theirs = expected["coverage"]
    ours = found.coverage
    assert ours is not None

    for factor in FACTORS:
        assert getattr(ours.factors, factor) == pytest.approx(theirs[factor], abs=1e-6)
    assert ours.factors.feed == 1
    assert found.confidence == pytest.approx(theirs["confidence"], abs=1e-6)
    assert found.confidence_level == theirs["level"]
    assert (ours.expired_contracts, ours.expired_oi) == (
        theirs["expired_rows"],
        theirs["expired_oi"],
    )
    assert ours.forwards.parity == theirs["n_parity"]
    assert ours.sync_gap == pytest.approx(theirs["gap"], abs=1e-9)
    assert ours.iv_band == pytest.approx(theirs["iv_band"], abs=1e-9)
    assert ours.rate_source == expected["rate_source"]
    assert ours.rate == pytest.approx(expected["rate"], abs=1e-12)
    assert found.asof_rule == expected["asof_rule"]
    assert et_datetime(found.ts_event_ns).isoformat() == expected["asof_et"]
    assert found.spot == expected["spot"]


@pytest.mark.parametrize("name", CHAINS)
def test_the_expected_move(samples: Path, name: str) -> None:
    """The straddle of the first date, or why there is none."""
    found, expected = computed(samples, name)["all"], reference(samples, name)["expected_move"]
    move = found.raw.expected_move if found.raw else found.expected_move
    assert isinstance(move, ExpectedMove)

    assert (move.expiry.isoformat(), move.root) == (expected["expiry"], expected["root"])
    assert move.reason == expected.get("reason")
    if move.reason is None:
        assert move.strike == expected["strike"]
        assert move.points == close(expected["straddle"])
        assert move.share == close(expected["pct"])
        assert move.sigma_points == close(expected["sigma_move"])
        assert move.iv == close(expected["iv"])


@pytest.mark.parametrize("name", CHAINS)
def test_the_profile(samples: Path, name: str) -> None:
    """61 points of spot and billions, to the nine and six decimals that the file prints."""
    found = computed(samples, name)["all"].profile
    expected = reference(samples, name)["profile61_bn"]

    assert [point.spot for point in found] == pytest.approx([x[0] for x in expected], abs=6e-7)
    assert [point.gex / 1e9 for point in found] == pytest.approx(
        [x[1] for x in expected], abs=6e-10
    )


@pytest.mark.parametrize("name", CHAINS)
def test_the_difference_to_the_vendor(samples: Path, name: str) -> None:
    """The vendor's own total, with and without expired rows, and ours beside it."""
    expected = reference(samples, name)
    found = computed(samples, name)["all"].vendor
    assert found is not None

    assert found.net_gex / 1e9 == close(expected["vendor_total_unexpired_bn"])
    assert found.gross_gex / 1e9 == close(expected["vendor_gross_unexpired_bn"])
    assert found.net_gex_all_rows / 1e9 == close(expected["vendor_total_all_bn"])
    assert found.difference_to_net is not None
    assert found.difference_to_gross is not None
    assert abs(found.difference_to_net) == close(expected["vs_vendor"]["rel_net"])
    assert abs(found.difference_to_gross) == close(expected["vs_vendor"]["rel_gross"])


@pytest.mark.parametrize("name", [name for name in CHAINS if name.startswith("SPX")])
def test_the_vendors_total_over_all_rows(samples: Path, name: str) -> None:
    """`vendor-all` is what other tools print of the same files."""
    expected = published(samples, "reference.json")["chains"][name]["A_vendor_gamma_oi_all_rows"]
    chain, downloaded_ns = cleaned(samples / "chains" / reference(samples, name)["file"])
    found = cross_check(chain, "vendor-all", "all", et_datetime(downloaded_ns).date())
    assert found.net_gex is not None
    assert found.walls is not None

    assert found.net_gex / 1e9 == close(expected["total_bn"])
    assert (found.call_wall, found.put_wall) == (
        expected["call_wall_at_or_above_spot"],
        expected["put_wall_at_or_below_spot"],
    )
    assert found.walls.call_global[0].strike == expected["call_wall_max_call_gamma"]
    assert found.walls.put_global[0].strike == expected["put_wall_max_put_gamma"]
    assert found.max_net_strike == expected["max_net_strike"]
    assert found.min_net_strike == expected["min_net_strike"]
    assert found.abs_gamma_strike == expected["abs_gamma_strike"]


def test_the_published_figures(samples: Path) -> None:
    """spx_2024-01-07: -10.998709 $bn over all rows; the copied script's zero is 4734.478."""
    chain, downloaded_ns = cleaned(samples / "chains" / "spx_2024-01-07.csv")
    today = et_datetime(downloaded_ns).date()
    vendor = cross_check(chain, "vendor-all", "all", today)
    script = cross_check(chain, "r0-busdays262", "all", today)
    assert vendor.net_gex is not None
    assert script.zero_gamma is not None

    assert round(vendor.net_gex / 1e9, 6) == -10.998709
    assert round(script.zero_gamma, 3) == 4734.478
    profile = published(samples, "reference.json")["chains"]["SPX_2024-01-07"]["B_profiles"]
    assert [flip.spot for flip in script.flips] == close(profile["B1_60"]["flips"])


def test_an_evening_without_quotes_is_unusable(samples: Path) -> None:
    """2022-12-12, bids gone: reasons, levels under raw, sums kept."""
    found = computed(samples, UNUSABLE)["all"]
    assert found.raw is not None
    assert found.coverage is not None

    assert (found.confidence, found.confidence_level) == (0, "unusable")
    assert set(found.coverage.reasons) == {"greeks", "forward", "two_sided", "band", "sync"}
    for field in ("zero_gamma", "call_wall", "put_wall", "walls", "expected_move"):
        assert getattr(found, field) is None
        assert found.null_reasons[field] == "coverage_unusable"
    assert (found.raw.call_wall, found.raw.put_wall) == (4000, 3950)
    assert found.raw.zero_gamma == pytest.approx(3997.50, abs=0.005)
    assert found.net_gex is not None
    assert found.net_gex / 1e9 == pytest.approx(-1.340, abs=0.0005)
    assert {"zero_gamma", "call_wall", "net_gex"}.isdisjoint(
        name for name in computed(samples, CHAINS[0])["all"].null_reasons
    )


@pytest.mark.parametrize("name", CHAINS)
def test_every_scope_of_a_real_chain_is_sound(samples: Path, name: str) -> None:
    """No NaN, each null with a reason, JSON there and back."""
    for found in computed(samples, name).values():
        assert_sound(found)


def test_a_weekend_without_open_interest(samples: Path) -> None:
    """Schwab answers 0 everywhere then: null for no_oi, and not an exposure of zero."""
    chain, _ = cleaned(samples / "schwab" / "chain_SPX_weekend_oi_zero.json")
    found = fold(chain, NAMES)["all"]
    assert found.coverage is not None

    assert found.contracts > 0
    assert not chain.open_interest.any()
    assert found.net_gex is None
    for field in ("net_gex", "call_gex", "put_gex", "zero_gamma", "call_wall", "max_pain"):
        assert found.null_reasons[field] == "no_oi"
    assert found.coverage.no_oi
    assert found.coverage.expired_contracts == 0


def test_a_schwab_chain_of_puts(samples: Path) -> None:
    """AAPL, puts only: an answer that knows what it lacks."""
    chain, _ = cleaned(samples / "schwab" / "chain_AAPL_2025-01-16.json")
    found = fold(chain)["all"]
    assert found.coverage is not None

    assert found.contracts == 470 - found.coverage.expired_contracts
    assert found.put_gex is not None
    assert found.put_gex < 0
    assert found.call_gex == 0
    assert found.zero_gamma is None
    assert found.coverage.forwards.parity == 0
    assert found.confidence_level == "unusable"
    assert_sound(found)
