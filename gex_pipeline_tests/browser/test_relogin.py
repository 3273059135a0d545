"""The re-login on the page of a real streamer, whose refresh token the simulator has revoked."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline_tests.browser.reading import shown
from gex_pipeline_tests.feeds.schwab.test_signin import redirect
from gex_pipeline_tests.serving.process import Api, api
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until

ACCOUNT = "271828182"


def kill_consent(stage: Stage) -> None:
    """Have the simulator forget every token, and wait for the streamer to find out."""
    wait_until(lambda: stage.status().get("state") == "streaming", "a stream")
    stage.play("revoke")
    stage.play("expire")
    wait_until(lambda: stage.status()["state"] == "auth_required", "the pause")


@contextmanager
def opened(browser: Any, stage: Stage, served: Api) -> Iterator[Any]:
    """Yield the page in a browser that goes on past the callback's certificate."""
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(one_time_link(stage.client, stage.keys, served.base))
    yield page
    context.close()
    assert not faults


def consent(page: Any, address: str) -> str:
    """Allow on the consent page, in a tab of its own; return where the browser ended at."""
    with page.context.expect_page() as opening:
        page.click("#relogin-link")
    tab = opening.value
    tab.wait_for_selector("text=SIMULATED sign-in")
    with tab.expect_request(lambda asked: asked.url.startswith(address)) as asking:
        tab.click("button", no_wait_after=True)
    url: str = asking.value.url
    return url


def by_callback(page: Any, address: str) -> str:
    """Sign in by the link alone."""
    page.click("#alerts [data-name=auth_required] button")
    shown(page, "#relogin-back", "goes on by itself")
    url = consent(page, address)
    page.bring_to_front()
    return url


def by_hand(page: Any, address: str, old: str) -> str:
    """Sign in by pasting, at first the address of another sign-in."""
    with socket.create_server(("127.0.0.1", urlsplit(address).port or 0)):
        page.click("#alerts [data-name=auth_required] button")
        shown(page, "#relogin-back", "cannot be listened on")
        page.fill("#relogin-url", old)
        page.click("#relogin-finish")
        shown(page, "#relogin-problem", "It answers another sign-in")
        url = consent(page, address)
        page.bring_to_front()
        page.fill("#relogin-url", f"  '{url}' ")
        page.click("#relogin-finish")
        shown(page, "#relogin-state", "Signed in")
    assert page.input_value("#relogin-url") == ""
    return url


def streams_again(page: Any, stage: Stage) -> None:
    """See the stream run and the banner go."""
    shown(page, "#relogin-state", "Signed in")
    wait_until(lambda: stage.status()["state"] == "streaming", "the stream again")
    page.wait_for_function("() => !document.querySelector('[data-name=auth_required]')")
    page.click("#relogin-close")
    shown(page, "#account-list", "signed in")
    shown(page, "#account-list", "ends in 6 d 23 h")


@pytest.mark.timeout(240)
def test_a_person_signs_in_again_on_the_page(browser: Any, tmp_path: Path) -> None:
    """Revoked: the banner; link, consent, callback: it streams. Again, with the port taken: pasted.

    Neither code nor address stands in a log or on the stream of requests.
    """
    address = redirect()
    with staged(tmp_path) as stage, api(stage.url, tmp_path, GEX_SYMBOLS="SPX") as served:
        stage.start("simulate")
        own = {"SCHWAB_REDIRECT_URI": address, "SCHWAB_ACCOUNT_ID": ACCOUNT}
        stage.start("stream", SCHWAB_CHAIN_INTERVAL_S="2", **own)
        kill_consent(stage)
        with opened(browser, stage, served) as page:
            shown(page, "#alerts", "Critical Schwab does not take")
            shown(page, "#account-list", "a person is needed")
            shown(page, "#account-list", "*****" + ACCOUNT[-3:])
            first = by_callback(page, address)
            streams_again(page, stage)
            kill_consent(stage)
            shown(page, "#alerts", "Critical Schwab does not take")
            second = by_hand(page, address, first)
            streams_again(page, stage)
        logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        asked = str(stage.client.xrange(stage.keys.control("streamer")))
    assert ACCOUNT not in logs
    for url in (first, second):
        code = urlsplit(url).query.partition("code=")[2].partition("&")[0]
        assert len(code) > 20
        assert code not in logs
        assert code not in asked
