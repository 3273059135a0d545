"""A date computed anew: equal to what live recorded, or other figures under another identity."""

import datetime
from pathlib import Path

import msgspec
import pytest

from gex_pipeline.archive.recompute import recompute
from gex_pipeline.errors import NotRecordedError
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.moment import PUBLISHED
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Event, GexSecond, LevelChange
from gex_pipeline_tests.engine.builders import S, beat, numbered, quote_of, spot_of, told
from gex_pipeline_tests.gateway.recording import (
    FEED,
    OWN,
    archive,
    engine_events,
    live_seconds,
)
from gex_pipeline_tests.synthetic import DAY, synthetic_chain

CHAIN = synthetic_chain(300, 3)
NDX = synthetic_chain(200, 2, spot=20_000.0, symbol="NDX", seed=2)
NEXT = sessions.next_trading_day(DAY)
OPEN_NS = sessions.regular_open_ns(NEXT)
CLOSE_NS = sessions.quote_close_ns(DAY, late=True)
FIRST_NS = CLOSE_NS - 9 * S
OTHER = Convention(floor_minutes=1.0)


def two_days() -> tuple[Event, ...]:
    """Return the last seconds of a session and the first ones of the next."""
    events: list[Event] = [*told(NDX, FIRST_NS)[:-1], *told(CHAIN, FIRST_NS)]
    for start in (*range(FIRST_NS, CLOSE_NS + 2 * S, S), *range(OPEN_NS, OPEN_NS + 4 * S, S)):
        events.append(quote_of(CHAIN, start // S % 97, start + 5, streamed=True))
        events += [*spot_of(CHAIN, start + 9), beat(start + 20)]
    return numbered(events)


@pytest.fixture(scope="module", params=[True, False], ids=["gex", "no gex"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LakePaths:
    """Both tapes as parts; the engine's with its rows or without."""
    root: Path = tmp_path_factory.mktemp("recorded")
    events = two_days()
    archive(root, FEED, events)
    made = engine_events(live_seconds(events, "SPX", "NDX"))
    kept = [each for each in made if request.param or not isinstance(each, GexSecond)]
    archive(root, OWN, numbered(kept), part_events=400)
    return LakePaths(root)


def made_of(date: datetime.date) -> list[Event]:
    """Return what live recorded of a date."""
    made = engine_events(live_seconds(two_days(), "SPX", "NDX"))
    return [e for e in made if sessions.session_date(e.ts_recv_ns, "index") == date]


def rows_of(date: datetime.date) -> list[GexSecond]:
    """Return the rows among it."""
    return [row for row in made_of(date) if isinstance(row, GexSecond)]


def changes_of(date: datetime.date) -> list[LevelChange]:
    """Return the changes of level among it."""
    return [row for row in made_of(date) if isinstance(row, LevelChange)]


@pytest.mark.parametrize("date", [DAY, NEXT])
def test_under_lives_convention_it_is_what_live_recorded(
    recorded: LakePaths, date: datetime.date
) -> None:
    """Every row of both dates, whether the lake still has the table or not."""
    (done,) = recompute(recorded, date)

    expected = rows_of(date)
    there = bool(Lake(recorded.root).scan("gex").head(1).collect().height)
    assert (done.rows, done.different) == (len(expected), 0), done.first_different
    assert (done.equal, done.unrecorded) == ((done.rows, 0) if there else (0, done.rows))
    changes = changes_of(date)
    assert (done.changes, done.changes_different) == (len(changes), 0)
    assert [change.ts_recv_ns for change in changes if change.scope == "all"] == (
        [OPEN_NS + S] * 2 if date == NEXT else []
    )
    found = Lake(recorded.root).scan("gex_recomputed", start=date, end=date).collect()
    names = [name for name in GexSecond.__struct_fields__ if name not in ("seq", "source_seq")]
    ours = {tuple(row[name] for name in names) for row in found.to_dicts()}
    assert ours == {tuple(getattr(row, name) for name in names) for row in expected}


def test_another_convention_has_rows_of_its_own(recorded: LakePaths) -> None:
    """Beside those of live's, of which none changes; made again, in place of those before."""
    recompute(recorded, NEXT)
    for _ in range(2):
        (done,) = recompute(recorded, NEXT, OTHER)

    found = Lake(recorded.root).scan("gex_recomputed", start=NEXT, end=NEXT).collect()
    assert found.group_by("convention").len().sort("convention").rows() == sorted(
        (each.id, done.rows) for each in (GEXC_1, OTHER)
    )
    assert (done.equal, done.different, done.unrecorded) == (0, 0, done.rows)
    assert set(found["scope"]) == set(PUBLISHED)
    assert found["tape"].unique().to_list() == [OWN]


def test_a_row_that_differs_is_named(tmp_path: Path) -> None:
    """By symbol, scope, second and field."""
    events = two_days()
    archive(tmp_path, FEED, events)
    made = engine_events(live_seconds(events, "SPX", "NDX"))
    altered = msgspec.structs.replace(made[0], confidence=0.123)
    archive(tmp_path, OWN, numbered([altered, *made[1:]]), part_events=400)

    (done,) = recompute(LakePaths(tmp_path), DAY)

    assert (done.different, done.unrecorded) == (1, 0)
    assert done.first_different == f"SPX all {FIRST_NS}: confidence"


def test_a_change_of_level_that_differs_is_counted(tmp_path: Path) -> None:
    """One that is gone from the tape, and one that says otherwise."""
    events = two_days()
    archive(tmp_path, FEED, events)
    made = engine_events(live_seconds(events, "SPX", "NDX"))
    first, second, *_ = (at for at, row in enumerate(made) if isinstance(row, LevelChange))
    altered = msgspec.structs.replace(made[second], reasons="nothing")
    kept = [*made[:first], *made[first + 1 : second], altered, *made[second + 1 :]]
    archive(tmp_path, OWN, numbered(kept), part_events=400)

    (done,) = recompute(LakePaths(tmp_path), NEXT)

    assert (done.different, done.changes_different) == (0, 2)


def test_a_date_without_quotes_is_refused(recorded: LakePaths) -> None:
    """With what is missing."""
    with pytest.raises(NotRecordedError, match="no option quotes"):
        recompute(recorded, sessions.next_trading_day(NEXT))
