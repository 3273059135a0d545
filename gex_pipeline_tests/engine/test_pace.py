"""How often previews are published."""

import pytest

from gex_pipeline.engine.pace import Pace

TURN_S = 0.02


def published(
    pace: Pace, cost_s: float, rest_share: float, seconds: int, *, of_s: bool = True
) -> list[float]:
    """Return when, of so many seconds that each had complete figures, previews were made.

    `of_s`: there are complete figures at all; the first twenty seconds are left out.
    """
    made, now_s, figures_s = [], 0.0, 0.0
    for second in range(seconds + 20):
        spent_s = 0.0
        figures_s = float(second) if of_s else figures_s
        while now_s < second + 1:
            if pace.due("SPX", now_s, figures_s):
                pace.begun("SPX")
                pace.spent("SPX", cost_s)
                spent_s += cost_s
                figures_s = now_s
                made.append(now_s)
            now_s += TURN_S
        pace.measured(rest_share + spent_s, 1.0, float(of_s))
    return [at_s for at_s in made if at_s >= 20]


def test_a_light_chain_is_published_as_often_as_asked() -> None:
    """2 ms at ten a second is 2% of a core: no reason to slow, and no more than ten."""
    pace = Pace(0.25, 10)
    made = published(pace, cost_s=0.002, rest_share=0.05, seconds=10)

    assert not pace.slowed
    assert pace.publish_per_s == 10
    assert 80 <= len(made) <= 100


def test_a_core_without_room_has_no_previews() -> None:
    """The complete seconds go on by themselves."""
    pace = Pace(0.25, 10)

    assert published(pace, cost_s=0.05, rest_share=0.3, seconds=60) == []
    assert pace.slowed


def test_a_preview_stands_between_two_seconds() -> None:
    """Room for one preview a second beside the complete one: about half a second after it."""
    pace = Pace(0.25, 10)
    made = published(pace, cost_s=0.1, rest_share=0.1355, seconds=20)

    assert pace.publish_per_s == pytest.approx(2.05, abs=0.01)
    assert len(made) == 20
    assert [at_s % 1 for at_s in made] == [pytest.approx(0.56, abs=2 * TURN_S)] * 20


@pytest.mark.parametrize(("cost_s", "per_s"), [(0.2, 0.5), (0.125, 0.8), (0.048, 2.0)])
def test_the_share_holds_on_the_average(cost_s: float, per_s: float) -> None:
    """Room for half a preview a second is one in two seconds, still between complete ones."""
    made = published(Pace(0.25, 10), cost_s=cost_s, rest_share=0.14, seconds=100)

    assert len(made) == pytest.approx(100 * per_s, rel=0.05)
    assert all(at_s % 1 > 0.2 for at_s in made)


def test_without_complete_seconds_previews_have_all_the_room() -> None:
    """Before and after the session: two a second."""
    made = published(Pace(0.25, 10), cost_s=0.075, rest_share=0.09, seconds=40, of_s=False)

    assert 70 <= len(made) <= 80


def test_one_busy_second_stops_nothing() -> None:
    """The pace goes by the average: the images of a minute cost once."""
    pace = Pace(0.25, 10)
    published(pace, cost_s=0.05, rest_share=0.1, seconds=10)
    often = pace.publish_per_s
    pace.measured(0.4, 1.0, 1.0)

    assert 0.6 * often < pace.publish_per_s < often


@pytest.mark.parametrize(("cost_s", "narrow"), [(0.002, False), (0.03, False), (0.06, True)])
def test_where_there_is_little_room_previews_are_small(cost_s: float, *, narrow: bool) -> None:
    """Room for less than two of all scopes between the complete seconds: then of the first two."""
    pace = Pace(0.25, 10)
    published(pace, cost_s=cost_s, rest_share=0.14, seconds=40)

    assert pace.narrow == narrow


def test_before_the_first_complete_second_previews_are_of_every_scope() -> None:
    """Nothing else would bring the others."""
    pace = Pace(0.25, 10)
    published(pace, cost_s=0.3, rest_share=0.2, seconds=40, of_s=False)

    assert not pace.narrow
