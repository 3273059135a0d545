"""Figures of a scope and weight: totals, profile, and why one is null."""

import math

import numpy as np
import pytest

from gex_pipeline.exposure.figures import FIGURES, LEVELS
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline_tests.exposure.builders import LATER, SPOT, Row, answer, change, ladder, quoted
from gex_pipeline_tests.synthetic import synthetic_chain

QUOTED = quoted(ladder(), LATER, oi=10.0, volume=5.0)


def null(found: object) -> dict[str, str]:
    """Return the reasons of figures and levels that are null."""
    reasons: dict[str, str] = getattr(found, "null_reasons")  # noqa: B009
    return {name: reasons[name] for name in FIGURES + LEVELS if getattr(found, name) is None}


@pytest.mark.parametrize(
    ("rows", "scope", "reason", "volume_reason"),
    [
        (QUOTED, "0dte", "no_contracts", "no_contracts"),
        ([], "all", "no_contracts", "no_contracts"),
        ([row._replace(oi=0.0) for row in QUOTED], "all", "no_oi", None),
        ([Row(5000, oi=3.0, volume=3.0)], "all", "no_usable_quotes", "no_usable_quotes"),
        ([row._replace(volume=0.0) for row in QUOTED], "all", None, "no_volume"),
    ],
)
def test_nothing_to_sum_is_null(
    rows: list[Row], scope: str, reason: str | None, volume_reason: str | None
) -> None:
    """A zero would look like a fact: all figures are null, for one reason."""
    found = answer(rows, scope)

    for view, expected in ((found, reason), (found.volume, volume_reason)):
        assert view is not None
        if expected:
            assert null(view) == dict.fromkeys(FIGURES + LEVELS, expected)
            assert view.profile == ()
        else:
            assert view.net_gex is not None
            assert len(view.profile) == 61


def test_totals_are_of_their_weight() -> None:
    """Volume is half the open interest everywhere: so is each sum."""
    rows = change(QUOTED, 5100, 1, oi=100.0, volume=50.0)
    found = answer(rows)
    assert found.volume is not None

    assert (found.weight, found.volume.weight) == ("open_interest", "volume")
    for name in FIGURES:
        assert getattr(found.volume, name) == getattr(found, name) / 2
    assert found.net_gex_volume == found.volume.net_gex
    assert found.volume.zero_gamma == found.zero_gamma


def test_gross_and_net() -> None:
    """Calls +, puts -, gross their absolute sum."""
    found = answer(change(QUOTED, 5100, 1, oi=100.0))
    assert found.call_gex is not None
    assert found.put_gex is not None

    assert found.call_gex > 0 > found.put_gex
    assert found.net_gex == found.call_gex + found.put_gex
    assert found.gross_gex == found.call_gex - found.put_gex


@pytest.mark.parametrize("nodes", [61, 201])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_profile_at_spot_is_the_net_exposure(seed: int, nodes: int) -> None:
    """To 1e-9 of gross in every scope, so that regime and flip cannot contradict."""
    chain = clean_chain(synthetic_chain(1600, 20, seed=seed))
    for found in fold(chain, NAMES, scan_nodes=2 * nodes - 1).values():
        for view in (found, found.volume):
            assert view is not None
            assert view.net_gex is not None
            assert view.gross_gex is not None
            assert len(view.profile) == nodes
            middle = view.profile[nodes // 2]

            assert middle.spot == found.spot
            assert middle.gex == view.gamma_at_spot
            assert abs(middle.gex - view.net_gex) <= 1e-9 * view.gross_gex


def test_the_profile_has_equal_steps_of_log_spot() -> None:
    """From spot / 1.1 to 1.1 spot."""
    x = np.log([point.spot / SPOT for point in answer(QUOTED).profile])

    assert x[[0, -1]] == pytest.approx([-math.log(1.1), math.log(1.1)], rel=1e-13)
    assert np.diff(x) == pytest.approx(np.full(60, math.log(1.1) / 30), rel=1e-10)


def test_missing_strikes_have_their_reasons() -> None:
    """Puts only: no call wall, nothing positive, no crossing."""
    found = answer([row._replace(oi=0.0 if row.right > 0 else 10.0) for row in QUOTED])

    assert null(found) == {
        "zero_gamma": "no_crossing_in_range",
        "call_wall": "no_call_gex_at_or_above_spot",
        "max_net_strike": "no_positive_strike",
    }
    found = answer([row._replace(oi=10.0 if row.right > 0 else 0.0) for row in QUOTED])
    assert null(found) == {
        "zero_gamma": "no_crossing_in_range",
        "put_wall": "no_put_gex_at_or_below_spot",
        "min_net_strike": "no_negative_strike",
    }


def test_headlines_are_the_first_of_their_lists() -> None:
    """Walls, strikes and the nearest crossing."""
    found = fold(clean_chain(synthetic_chain(800, 6)))["all"]
    assert found.walls is not None

    assert found.call_wall == found.walls.call[0].strike
    assert found.put_wall == found.walls.put[0].strike
    assert found.abs_gamma_strike == found.walls.abs_gamma[0].strike
    assert found.max_net_strike == found.walls.max_net[0].strike
    assert found.min_net_strike == found.walls.min_net[0].strike
    nearest = min(found.flips, key=lambda flip: abs(flip.distance))
    assert found.zero_gamma == nearest.spot
