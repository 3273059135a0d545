"""The page of a replay in a real browser: it says so, shows its time, and steers it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline_tests.browser.conftest import started
from gex_pipeline_tests.engine.conftest import wait_until
from gex_pipeline_tests.replay.conftest import Recording
from gex_pipeline_tests.replay.stretch import LIVE, START_NS, Replayed, S, plan_of
from gex_pipeline_tests.serving.process import Api, api


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the module: a wider fixture's event loop would outlive it."""
    with started() as one:
        yield one


@pytest.fixture
def one(recording: Recording) -> Iterator[Replayed]:
    """A replay that stands at 10:30:40."""
    plan = plan_of("page", until_ns=START_NS + 40 * S, speed=5.0, start_ns=START_NS + 39 * S)
    one = Replayed(recording.url, recording.root, plan)
    with one.running():
        wait_until(lambda: one.paused_at(START_NS + 40 * S))
        yield one


@pytest.fixture(scope="module")
def running(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the module."""
    folder: Path = tmp_path_factory.mktemp("page")
    with api(recording.url, folder) as one:
        yield one


@pytest.fixture
def page(browser: Any, one: Replayed, running: Api) -> Iterator[Any]:
    """The page of that replay; a fault of its script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(20_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(one_time_link(one.store, LIVE, running.base))
    page.wait_for_selector("body[data-state]")  # behind the redirect of the link
    page.goto(f"{running.base}/?session={one.plan.session}")
    yield page
    context.close()
    assert not faults


def shown(page: Any, selector: str, words: str) -> None:
    """Wait until something is to be read there."""
    page.wait_for_function(
        "([where, words]) => document.querySelector(where)?.innerText.includes(words)",
        arg=[selector, words],
    )


def test_a_replay_is_seen_and_steered(page: Any, one: Replayed) -> None:
    """REPLAY and its time; step, speed, resume and pause act, and figures follow."""
    shown(page, "#replay-time", "2025-06-02 10:30:40")
    shown(page, "#replay-state", "paused")
    assert "REPLAY" in page.inner_text("#replay")
    page.wait_for_selector("body[data-state=live]")
    assert page.is_visible("#simulated")
    assert page.inner_text("#state") == "replay"
    shown(page, "#replay-toggle", "Resume")
    first = page.inner_text("#provenance")

    page.click("#replay-step")
    shown(page, "#replay-time", "10:30:41")
    page.wait_for_function(
        "old => document.querySelector('#provenance').innerText !== old", arg=first
    )
    assert one.paused_at(START_NS + 41 * S)

    page.select_option("#replay-speed", "10")
    wait_until(lambda: one.info.speed == 10)
    page.click("#replay-toggle")
    shown(page, "#replay-state", "playing")
    wait_until(lambda: one.info.market_ns > START_NS + 50 * S)
    page.click("#replay-toggle")
    shown(page, "#replay-state", "paused")


def test_a_replay_is_sought(page: Any, one: Replayed) -> None:
    """Back to a time, and what is none is said."""
    page.wait_for_selector("body[data-state=live]")
    page.fill("#replay-to", "10:30:20")
    page.click("#replay-go")
    shown(page, "#replay-time", "10:30:20")
    wait_until(lambda: one.paused_at(START_NS + 20 * S))
    page.wait_for_selector("body[data-state=live]")
    shown(page, "#provenance", "10:30:20")  # its last event came a nanosecond before
    page.fill("#replay-to", "25:00")
    page.click("#replay-go")
    shown(page, "#replay-note", "no time of day")


def test_an_unknown_replay_is_told(page: Any) -> None:
    """The page says that there is none, and which there are."""
    page.goto(page.url.partition("?")[0] + "?session=nobody")
    shown(page, "#message", "There is no replay 'nobody'")


def test_a_phone(page: Any) -> None:
    """Nothing is wider than a small screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_selector("body[data-state=live]")

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_stream_of_a_replay(one: Replayed, running: Api) -> None:
    """Its first event is a whole snapshot that says what it is."""
    address = f"{running.base}/api/v1/gex/SPX/stream?session={one.plan.session}"
    with httpx.stream("GET", address, headers=running.headers, trust_env=False) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        told = msgspec.json.decode(next(lines)[6:])
    assert (told["replayed"], told["session"]) == (True, one.plan.session)
