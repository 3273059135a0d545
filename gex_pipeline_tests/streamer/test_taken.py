"""Another program takes Schwab's one stream: the processes, the alert, and the way back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline.hot.alerts import active_alerts, read_alerts
from gex_pipeline.market.events import Gap, Heartbeat
from gex_pipeline_tests.streamer.live import say
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with its hot store."""
    with staged(tmp_path) as ready:
        yield ready


def rounds(stage: Stage) -> int:
    """Rounds of chains by REST."""
    return int(stage.status().get("chain_rounds", 0))


def told(stage: Stage) -> list[str]:
    """Names of the alerts that are active."""
    entries = stage.client.xrange(stage.keys.alerts())
    return [alert.name for alert in active_alerts(read_alerts(entries))]  # type: ignore[arg-type] # a union with async


def test_a_taken_stream_is_asked_back_by_a_person_and_chains_go_on(stage: Stage) -> None:
    """Code 12 in status and alerts, no login more, rounds by REST; `gex control` takes it back."""
    stage.start("simulate")
    began_s = time.monotonic()
    stage.start("stream", SCHWAB_CHAIN_INTERVAL_S="2")
    wait_until(lambda: stage.status().get("state") == "streaming", "streaming")
    say(f"process started and streaming after {time.monotonic() - began_s:.1f} s")
    wait_until(lambda: rounds(stage), "a round of chains")

    stage.play("evict")
    wait_until(lambda: stage.status()["state"] == "taken", "the loss is told")
    assert "code 12 CLOSE_CONNECTION" in stage.status()["detail"]
    wait_until(lambda: "stream_taken" in told(stage), "the alert")
    logins, before = stage.market()["logins"], rounds(stage)
    wait_until(lambda: rounds(stage) > before, "chains go on")
    assert stage.market()["logins"] == logins

    since_s = time.monotonic()
    assert stage.start("control", "reconnect", "streamer").wait(60) == 0
    wait_until(lambda: stage.status()["state"] == "streaming", "streaming again")
    say(f"back after {time.monotonic() - since_s:.1f} s, the command's start included")
    wait_until(lambda: "stream_taken" not in told(stage), "the alert is over")
    assert stage.start("control", "reconnect", "streamer").wait(60) == 2
    gaps = [event for event in stage.tape("index") if isinstance(event, Gap)]
    assert [gap.cause for gap in gaps] == ["taken"]
    beats = [event for event in stage.tape("index") if isinstance(event, Heartbeat)]
    assert any(not beat.connected for beat in beats)
