"""How often previews are published."""

import pytest

from gex_pipeline.engine.pace import Pace


def settled(pace: Pace, cost_s: float, rest_share: float) -> Pace:
    """Let seconds go by in which previews cost what they cost and the rest its share."""
    for _ in range(60):
        spent_s = cost_s / pace.interval_s if pace.previews else 0.0
        if pace.previews:
            pace.spent("SPX", cost_s)
        pace.measured(rest_share + spent_s, 1.0)
    return pace


def test_a_light_chain_is_published_as_often_as_asked() -> None:
    """2 ms at ten a second is 2% of a core: no reason to slow."""
    pace = settled(Pace(0.25, 10), cost_s=0.002, rest_share=0.05)

    assert (pace.slowed, pace.previews) == (False, True)
    assert pace.interval_s == pytest.approx(0.1)


def test_a_core_without_room_has_no_previews() -> None:
    """The complete seconds go on by themselves."""
    pace = settled(Pace(0.25, 10), cost_s=0.05, rest_share=0.3)

    assert (pace.slowed, pace.previews) == (True, False)
