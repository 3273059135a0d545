"""Changes of level: between recorded seconds that follow each other, and never told twice."""

import itertools

import msgspec
import pytest

from gex_pipeline.exposure.level_change import Levels, level_change
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.market.events import GexSecond
from gex_pipeline_tests.engine.builders import S
from gex_pipeline_tests.synthetic import ASOF_NS

WORTH = {"high": 0.9, "low": 0.4, "unusable": 0.1, None: None}


def row(at_s: int, level: str | None, *, scope: str = "all", convention: str = "c") -> GexSecond:
    """Return the row of a second."""
    ts_ns = ASOF_NS + at_s * S
    return GexSecond(
        "SPX",
        ts_ns,
        ts_ns,
        scope=scope,
        convention=convention,
        positions="{}",
        contracts=1,
        null_reasons="{}",
        confidence=WORTH[level],
        confidence_level=level,
        reasons=None if level is None else f"because:{level}",
    )


def test_a_change_says_both_sides() -> None:
    """Level, confidence and reasons before and after, at the end of the second that changed."""
    found = level_change(row(1, "high"), row(2, "low"))

    assert found is not None
    assert (found.symbol, found.scope, found.convention) == ("SPX", "all", "c")
    assert (found.ts_event_ns, found.ts_recv_ns) == (ASOF_NS + 2 * S, ASOF_NS + 2 * S)
    assert (found.level_before, found.confidence_before) == ("high", 0.9)
    assert (found.level, found.confidence) == ("low", 0.4)
    assert (found.reasons_before, found.reasons) == ("because:high", "because:low")
    assert decode_events(encode_events([found])) == [found]


@pytest.mark.parametrize(
    ("before", "after"),
    [(row(1, "low"), row(2, "low")), (row(1, "high"), row(2, "low", convention="other"))],
)
def test_no_change(before: GexSecond, after: GexSecond) -> None:
    """The same level; and another convention, whose figures are never compared."""
    assert level_change(before, after) is None


def test_a_scope_without_figures_has_no_level() -> None:
    """0DTE after its settlement: from a level to none, and the next morning back."""
    found = Levels([row(1, "high")]).changes([row(2, None), row(3, "low")])

    assert [(one.level_before, one.level) for one in found] == [("high", None), (None, "low")]
    assert [(one.reasons_before, one.reasons) for one in found] == [
        ("because:high", ""),
        ("", "because:low"),
    ]


def test_the_first_second_has_no_change_and_scopes_do_not_mix() -> None:
    """Each symbol and scope is compared with its own."""
    levels = Levels()
    assert levels.changes([row(1, "high"), row(1, "low", scope="0dte")]) == []
    assert levels.changes([row(2, "high"), row(2, "low", scope="0dte")]) == []


def test_a_second_that_is_made_again_has_the_same_changes() -> None:
    """From whatever of it and of the second before was there already."""
    rows = [[row(at, level) for level in ("high", "low")[at % 2 :][:1]] for at in range(4)]
    whole = Levels()
    expected = [whole.changes(second) for second in rows]

    for cut in range(1, 4):
        known = Levels(itertools.chain.from_iterable(rows[: cut + 1]))
        assert [known.changes(second) for second in rows[cut:]] == expected[cut:]


def test_time_between_does_not_matter() -> None:
    """Friday's close and Monday's open follow each other."""
    later = msgspec.structs.replace(row(2, "low"), ts_recv_ns=ASOF_NS + 300_000 * S)
    assert len(Levels([row(1, "high")]).changes([later])) == 1
