"""The asset `greeks_compared`: each finished date's greeks held against the vendor's."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from gex_pipeline.defs.comparison import (
    AT_ONCE,
    PRINTED,
    TOTAL,
    days_to_compare,
    greeks_compared,
)
from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.archive.compared import finish, images, record
from gex_pipeline_tests.synthetic import DAY

# Dagster 1.13 warns of parameters that it gives to itself.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakePaths:
    """A simulated lake with a finished date."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    paths = record(tmp_path / "sim", images())
    finish(paths)
    return paths


@pytest.fixture(autouse=True)
def one_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the clock that says when to try again."""
    monkeypatch.setattr("gex_pipeline.defs.comparison.now_s", lambda: 0.0)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster without a home."""
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def run() -> dg.ExecuteInProcessResult:
    """Materialize the date's partition."""
    return dg.materialize(
        [greeks_compared], partition_key=DAY.isoformat(), resources={"pipeline": Pipeline()}
    )


@pytest.mark.usefixtures("paths")
def test_the_materialization_shows_the_date() -> None:
    """Counts, the worst buckets as a table, and a picture of each symbol that opens."""
    (event,) = run().asset_materializations_for_node("greeks_compared")

    told = event.metadata
    assert (told["moments"].value, event.partition) == (5, DAY.isoformat())
    simulated, _, *table = str(told["worst"].value).splitlines()
    assert simulated == "**SIMULATED**"
    assert len(table) > 4
    assert {line.count(" | ") for line in table} == {9}
    assert isinstance(told["worst"], dg.MarkdownMetadataValue)
    for symbol in ("SPX", "NDX"):
        text = str(told[f"picture {symbol}"].value)
        assert len(text) < 80_000
        data = text.partition("base64,")[2].rstrip(")")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert (image.format, image.width) == ("PNG", 800)


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize(("limit", "beyond"), [(0.20, []), (0.15, ["SPX"])])
def test_a_verdict_warns(limit: float, beyond: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And names who is beyond: of SPX the vendor's four decimals print 16% of OI as 0."""
    monkeypatch.setattr("gex_pipeline.archive.apart.ZERO_LIMIT", limit)

    checks = {check.check_name: check for check in run().get_asset_check_evaluations()}

    assert checks.keys() == {TOTAL, PRINTED}
    assert checks[TOTAL].passed
    assert checks[PRINTED].passed == (not beyond)
    assert {check.severity for check in checks.values()} == {dg.AssetCheckSeverity.WARN}
    told: Any = checks[PRINTED].metadata["beyond"].value
    assert list(told) == beyond


def look(instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[Any], str | None]:
    """Evaluate the sensor; return what it wants, and its cursor."""
    given = {"pipeline": Pipeline()}
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources=given)
    found: Any = days_to_compare(context)
    return list(found), context.cursor


@pytest.mark.usefixtures("paths")
def test_a_finished_date_is_compared_by_itself(instance: dg.DagsterInstance) -> None:
    """The sensor asks for its partition, once an hour until it is done, then not at all."""
    first, cursor = look(instance, None)
    second, _ = look(instance, cursor)

    assert [(type(each), each.partition_key) for each in first] == [(dg.RunRequest, str(DAY))]
    assert [type(each) for each in second] == [dg.SkipReason]
    run()
    third, cursor = look(instance, None)
    assert [type(each) for each in third] == [dg.SkipReason]
    assert not cursor


def test_many_dates_come_a_few_at_a_time(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them in the end; one ahead of the calendar waits for it."""
    days = {DAY.replace(day=n): "gex.index:1" for n in (2, 3, 4, 5, 6, 9)}
    ahead = {DAY.replace(year=2037): "gex.index:1"}
    monkeypatch.setattr(Pipeline, "uncompared", lambda _: days | ahead)

    first, cursor = look(instance, None)
    second, cursor = look(instance, cursor)
    third, _ = look(instance, cursor)

    assert (len(first), len(second)) == (AT_ONCE, len(days) - AT_ONCE)
    asked = [each.partition_key for each in (*first, *second)]
    assert asked == [day.isoformat() for day in days]
    assert [each.skip_message for each in third] == [
        "6 dates are asked for, 1 ahead of the calendar."
    ]
