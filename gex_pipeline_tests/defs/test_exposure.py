"""The asset `gex`: a trading date's exposure, computed anew."""

import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gex_pipeline.defs.exposure import SESSIONS, gex
from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.market.sessions import is_trading_day
from gex_pipeline_tests.engine.builders import S, beat, numbered, told
from gex_pipeline_tests.gateway.recording import FEED, OWN, archive, engine_events, live_seconds
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

EVENTS = numbered([*told(synthetic_chain(300, 3)), beat(ASOF_NS + S), beat(ASOF_NS + 3 * S)])
OTHER = Convention(floor_minutes=1.0)

# Dagster 1.13 warns of parameters that it gives to itself.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated lake with three seconds of a date, recorded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    archive(tmp_path / "sim", FEED, EVENTS)
    archive(tmp_path / "sim", OWN, numbered(engine_events(live_seconds(EVENTS, "SPX"))))


def run(**config: Any) -> dg.ExecuteInProcessResult:
    """Materialize the date's partition."""
    return dg.materialize(
        [gex],
        partition_key=DAY.isoformat(),
        resources={"pipeline": Pipeline()},
        run_config={"ops": {"gex": {"config": config}}},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return what the materialization tells."""
    (event,) = result.asset_materializations_for_node("gex")
    return {name: each.value for name, each in event.metadata.items()}


@pytest.mark.usefixtures("lake")
def test_under_lives_convention_every_row_is_as_recorded() -> None:
    """The check passes, and the numbers close."""
    result = run()

    assert result.success
    told_of = metadata(result)
    assert (told_of["convention"], told_of["symbols"]) == (GEXC_1.id, ["SPX"])
    assert told_of["equal"] == told_of["dagster/row_count"] == 15
    (check,) = result.get_asset_check_evaluations()
    assert check.passed


@pytest.mark.usefixtures("lake")
def test_with_another_parameter_it_has_another_identity() -> None:
    """By name; the identity that must come out may be given."""
    result = run(parameters={"floor_minutes": 1}, convention=OTHER.id)

    told_of = metadata(result)
    assert (told_of["convention"], told_of["unrecorded"]) == (OTHER.id, 15)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "config", [{"parameters": {"floor": 1}}, {"convention": "gexc-1:00000000"}]
)
def test_an_unknown_convention_is_refused(config: dict[str, Any]) -> None:
    """A parameter that there is not, an identity that does not come out."""
    assert not run(**config).success


def test_partitions_are_the_trading_dates() -> None:
    """Of six years, no weekend, no holiday, none missing."""
    keys = SESSIONS.get_partition_keys(
        current_time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    )
    first, days = datetime.date(2020, 1, 1), 6 * 366
    expected = [
        day.isoformat()
        for day in (first + datetime.timedelta(n) for n in range(days))
        if day.year < 2026 and is_trading_day(day)
    ]
    assert [key for key in keys if key < "2026"] == expected
