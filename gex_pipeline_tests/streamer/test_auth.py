"""The sign-in of a whole streamer: a token endpoint that fails, and a consent that is dead."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gex_pipeline.hot import control
from gex_pipeline.hot.alerts import active_alerts, read_alerts
from gex_pipeline.market.events import Gap
from gex_pipeline_tests.feeds.schwab.test_signin import redirect
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until

PAUSE_S = 3
WITHIN_S = 30.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with its hot store."""
    with staged(tmp_path) as ready:
        yield ready


def vendor(stage: Stage) -> dict[str, Any]:
    """What the simulator says of itself."""
    answer = httpx.get(f"http://127.0.0.1:{stage.port}/control/state", trust_env=False)
    return dict(answer.json())


def answers(stage: Stage, path: str, status: int) -> int:
    """How many requests of a path had that status."""
    return int(vendor(stage)["requests"].get(path, {}).get(str(status), 0))


def active(stage: Stage) -> list[str]:
    """Names of the alerts that are not over."""
    entries: Any = stage.client.xrange(stage.keys.alerts())
    return [alert.name for alert in active_alerts(read_alerts(entries))]


def ask(stage: Stage, verb: str, arg: str = "") -> control.Reply:
    """Ask the streamer and return what it says."""
    request = control.new_request(verb, arg, by="test")
    after = control.ask(stage.client, stage.keys, "streamer", request)
    found = control.await_reply(stage.client, stage.keys, "streamer", after, request, WITHIN_S)
    assert found is not None
    return found


def test_row_27_a_token_endpoint_that_refuses_costs_no_stream(stage: Stage) -> None:
    """429 with Retry-After, past the end of the token in hand: few calls, no alert, then it renews.

    The socket goes on all the while; whole chains are missing until a token is had again.
    """
    stage.start("simulate", "--access-life-s", "12")
    stage.start("stream", SCHWAB_CHAIN_INTERVAL_S="2")
    wait_until(lambda: stage.status().get("state") == "streaming", "a stream")
    stage.play("reject", path="token", status=429, retry_after_s=PAUSE_S, for_s=25)
    begun_s = time.monotonic()
    wait_until(lambda: answers(stage, "token", 429) >= 3, "three refusals")
    refused, took_s = answers(stage, "token", 429), time.monotonic() - begun_s
    items = int(stage.status()["received"])
    assert refused <= took_s / PAUSE_S + 2
    assert stage.status()["state"] == "streaming"
    assert "auth_required" not in active(stage)

    renewed, chains = answers(stage, "token", 200), answers(stage, "chains", 200)
    wait_until(lambda: answers(stage, "token", 200) > renewed, "a renewal")
    wait_until(lambda: answers(stage, "chains", 200) > chains, "a chain")
    wait_until(lambda: int(stage.status()["received"]) > items, "more items")
    assert vendor(stage)["logins"] == 1
    assert not [event for event in stage.tape("cme") if isinstance(event, Gap)]


def test_row_28_a_dead_consent_pauses_everything_until_a_person_has_signed_in(
    stage: Stage,
) -> None:
    """One alert, one call, no stream; the page's verbs sign in again; the gap is on the tape."""
    address = redirect()
    stage.start("simulate")
    stage.start("stream", SCHWAB_CHAIN_INTERVAL_S="2", SCHWAB_REDIRECT_URI=address)
    wait_until(lambda: stage.status().get("state") == "streaming", "a stream")
    stage.play("revoke")
    stage.play("expire")
    wait_until(lambda: stage.status()["state"] == "auth_required", "the state")
    wait_until(lambda: "auth_required" in active(stage), "the alert")
    wait_until(lambda: not vendor(stage)["streaming"], "the pause")
    assert "gex auth login" in stage.status()["detail"]

    begun = json.loads(ask(stage, "sign_in").detail)
    assert (begun["redirect_uri"], begun["listening"]) == (address, True)
    wait_until(lambda: stage.status()["sign_in"] == "pending", "the sign-in in the status")
    sent = httpx.get(f"{begun['url']}&approve=1", trust_env=False).headers["location"]
    assert not ask(stage, "sign_in_finish", "unknown").ok
    stage.client.set(stage.keys.signin("once"), sent, ex=60)
    assert answers(stage, "token", 400) == 1
    done = ask(stage, "sign_in_finish", "once")
    assert (done.ok, json.loads(done.detail)) == (True, {"signed_in": True})

    wait_until(lambda: stage.status()["state"] == "streaming", "the stream again")
    wait_until(lambda: "auth_required" not in active(stage), "the alert's end")
    assert answers(stage, "token", 400) == 1
    assert float(stage.status()["consent_age_s"]) < 600
    for calendar in ("index", "cme"):
        assert [event for event in stage.tape(calendar) if isinstance(event, Gap)]
