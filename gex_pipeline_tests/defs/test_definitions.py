"""Dagster's definitions: they load, and each does what its application does."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import redis

from gex_pipeline.definitions import defs
from gex_pipeline.defs import sensors
from gex_pipeline.defs.assets import catalog, day_files, derived_tables, tape_parts
from gex_pipeline.defs.checks import nothing_lost, parts_read_back
from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.defs.sensors import SUPERVISING, days_over, services
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.embedded import EmbeddedServer, connect
from gex_pipeline.hot.frame import encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.supervision import watch
from gex_pipeline.supervision.claim import claim
from gex_pipeline.supervision.guard import Guard
from gex_pipeline.supervision.service import find, stop
from gex_pipeline_tests.archive.builders import FRIDAY, TAPE, frames

KEYS = Keys("sim:")

# Dagster 1.13 warns of parameters that it gives to itself.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own; its address."""
    one = EmbeddedServer()
    yield one.start(tmp_path_factory.mktemp("root"), 17490, 64)
    one.stop()


@pytest.fixture
def store(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """An empty store that the settings name, with an empty simulated root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_REDIS_URL", server)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    with connect(server) as client:
        client.flushall()
        yield client


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster without a home."""
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def test_all_definitions_load() -> None:
    """Jobs, schedules and the sensor are there under their names."""
    dg.Definitions.validate_loadable(defs)

    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {
        "keep_streamer",
        "keep_engine",
        "commit_tape",
        "finish_days",
        "compare_greeks",
        "refresh_token",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "services",
        "days_over",
        "days_to_compare",
    }
    assert services.minimum_interval_seconds is not None
    assert services.minimum_interval_seconds < 5
    assert {each.name for each in repository.schedule_defs} == {
        "every_few_minutes",
        "token_refresh",
    }


def test_the_asset_commits_the_tape(store: redis.Redis, tmp_path: Path) -> None:
    """Rows of each table in its metadata, the catalog over the parts, the checks passed."""
    for each in frames(100):
        store.xadd(KEYS.tape(TAPE), {"f": encode_frame(each)}, id=f"1-{each.last_seq}")

    done = dg.materialize(
        [tape_parts, catalog, nothing_lost, parts_read_back], resources={"pipeline": Pipeline()}
    )

    assert done.success
    rows = {
        event.asset_key.to_user_string(): event.metadata["dagster/row_count"].value
        for event in done.asset_materializations_for_node("tape_parts")
    }
    known = {name: rows[name] for name in ("trades", "quotes", "option_quotes", "depth", "gaps")}
    assert known == {"trades": 20, "quotes": 20, "option_quotes": 40, "depth": 0, "gaps": 10}
    assert all(check.passed for check in done.get_asset_check_evaluations())
    with duckdb.connect(str(tmp_path / "sim" / "gex.duckdb"), read_only=True) as connection:
        assert connection.execute("select mode, count(*) from trades group by 1").fetchall() == [
            ("simulated", 20)
        ]


def test_a_date_that_is_over_is_finished_once(
    store: redis.Redis, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The sensor asks for it by market time; a second run, and a backfill, change nothing."""
    for each in frames(100):
        store.xadd(KEYS.tape(TAPE), {"f": encode_frame(each)}, id=f"1-{each.last_seq}")
    publish_clock(store, KEYS, MarketClock(et_ns(FRIDAY, 16, 59), time.monotonic_ns(), 0.0))
    dg.materialize([tape_parts], resources={"pipeline": Pipeline()})
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    early: Any = days_over(context, pipeline=Pipeline())
    publish_clock(store, KEYS, MarketClock(et_ns(FRIDAY, 17, 5), time.monotonic_ns(), 0.0))

    late: Any = days_over(context, pipeline=Pipeline())
    chosen = [tape_parts, day_files, derived_tables, catalog, nothing_lost, parts_read_back]
    runs = [dg.materialize(chosen, resources={"pipeline": Pipeline()}) for _ in range(2)]

    assert (type(early), type(late)) == (dg.SkipReason, dg.RunRequest)
    counts = [
        run.asset_materializations_for_node("day_files")[0].metadata["dagster/row_count"].value
        for run in runs
    ]
    assert counts == [100, 0]
    assert all(check.passed for run in runs for check in run.get_asset_check_evaluations())
    assert isinstance(days_over(context, pipeline=Pipeline()), dg.SkipReason)
    with duckdb.connect(str(tmp_path / "sim" / "gex.duckdb"), read_only=True) as connection:
        assert connection.execute(
            "select count(*), count(distinct seq) from trades"
        ).fetchall() == [(20, 20)]
        assert connection.execute("select symbol, trades from daily").fetchall() == [
            ("SPX", 20),
            ("SPY", 0),
        ]


def tick(instance: dg.DagsterInstance) -> list[str]:
    """Evaluate the sensor once and return the jobs that it wants a run of."""
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    found: Any = services(context, pipeline=Pipeline())
    return sorted(str(each.job_name) for each in found if isinstance(each, dg.RunRequest))


def run_of(instance: dg.DagsterInstance, *, started: bool) -> str:
    """Record a run that supervises the streamer; return its id."""
    job = SUPERVISING["streamer"]
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTING)
    if started:
        name = dg.DagsterEventType.PIPELINE_START.value
        event = dg.DagsterEvent(event_type_value=name, job_name=job.name)
        instance.report_dagster_event(event, run.run_id)
    return run.run_id


@pytest.mark.usefixtures("store")
def test_the_sensor_asks_for_a_run_of_each_service(instance: dg.DagsterInstance) -> None:
    """And for none that is on its way already."""
    assert tick(instance) == ["keep_engine", "keep_streamer"]

    run_of(instance, started=False)
    assert tick(instance) == ["keep_engine"]


def test_what_is_not_wanted_gets_no_run(store: redis.Redis, instance: dg.DagsterInstance) -> None:
    """Gex up writes down what should run."""
    store.hset(KEYS.wanted("engine"), "run", "0")

    assert tick(instance) == ["keep_streamer"]


@pytest.mark.usefixtures("store")
def test_a_started_run_whose_process_is_gone_is_failed(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that holds the claim of its service is left alone, however old."""
    monkeypatch.setattr(sensors, "CLAIMING_S", -1.0)
    run_id = run_of(instance, started=True)

    with claim(tmp_path / "sim" / "run" / "streamer.supervisor", run_id):
        assert tick(instance) == ["keep_engine"]
    assert tick(instance) == ["keep_engine", "keep_streamer"]

    record = instance.get_run_by_id(run_id)
    assert record is not None
    assert record.status == dg.DagsterRunStatus.FAILURE


def test_without_a_hot_store_the_sensor_rests(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    monkeypatch.delenv("GEX_REDIS_URL", raising=False)
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())

    found: Any = services(context, pipeline=Pipeline())

    assert [type(each) for each in found] == [dg.SkipReason]


def test_a_supervising_run_tells_the_story_of_a_service(
    store: redis.Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started, then no longer wanted: the run succeeds, its observations say what happened."""
    looked: list[Guard] = []
    real = Guard.look

    def look(self: Guard, now_s: float) -> object:
        looked.append(self)
        if len(looked) > 1:
            store.hset(KEYS.wanted("streamer"), "run", "0")
        return real(self, now_s)

    monkeypatch.setattr(Guard, "look", look)
    monkeypatch.setattr(watch, "LOOK_S", 0.01)
    monkeypatch.setattr(sys, "executable", shutil.which("sleep") or "sleep")
    monkeypatch.setattr(
        "gex_pipeline.supervision.plan._COMMANDS", {"streamer": "stream", "engine": "engine"}
    )

    done = SUPERVISING["streamer"].execute_in_process(
        instance=instance, resources={"pipeline": Pipeline()}
    )

    service = looked[0].service
    stop(service)
    assert find(service) is None
    assert done.success
    observations = [e for e in done.all_events if e.event_type_value == "ASSET_OBSERVATION"]
    assert observations
