"""Alerts, countdown and sign-in on the page, with a streamer that says what the test says."""

import re
from pathlib import Path
from typing import Any

import pytest
import redis

from gex_pipeline.errors import ConsentError
from gex_pipeline.feeds.wall import wall_s
from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.hot.alerts import Alert, Level, tell_alert
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.browser.conftest import opened
from gex_pipeline_tests.browser.reading import shown, state, text
from gex_pipeline_tests.gateway.market import KEYS, set_clock
from gex_pipeline_tests.serving.process import Api, api
from gex_pipeline_tests.serving.streamer import beat, begun, desk
from gex_pipeline_tests.serving.waiting import until
from gex_pipeline_tests.synthetic import ASOF_NS

HOUR_S = 3600
LASTING_S = -3600.0
"""A status of an hour ahead: its streamer is heard of for as long as a test may take."""
OVER = "Schwab does not take the sign-in any more. Sign in again: gex auth login"


def say_account(store: redis.Redis, left_s: float | None, **fields: object) -> None:
    """Have the streamer say how long the consent lives."""
    ends = {} if left_s is None else {"consent_ends_ts": int(wall_s() + left_s)}
    due = {} if left_s is None else {"consent_due_ts": int(wall_s() + left_s - 24 * HOUR_S)}
    given = {"access_ends_ts": int(wall_s()) + 1500}
    now_ns = int(wall_s()) * SECOND_NS
    beat(store, LASTING_S, now_ns, **ends, **due, **given, **fields)


def tell(
    store: redis.Redis, name: str, level: Level, words: str = "", *, active: bool = True
) -> None:
    """Tell an alert, or that it is over."""
    alert = Alert(
        name=name,
        service="streamer",
        level=level,
        text=words or f"{name}.",
        ts_ns=int(wall_s()) * SECOND_NS,
        active=active,
    )
    tell_alert(store, KEYS, alert)


def gone(page: Any, selector: str) -> None:
    """Wait until there is none of it."""
    page.wait_for_function("where => !document.querySelector(where)", arg=selector)


def test_the_banner_of_alerts(page: Any, store: redis.Redis) -> None:
    """Critical first, each with its level as a word and the service's words, until it is over."""
    state(page, "live")
    tell(store, "auth_required", "critical", OVER)
    tell(store, "service_off", "warning", "Schwab gives no books to this account.")

    shown(page, "#alerts", "Schwab gives no books")
    rows = page.locator("#alerts li")
    assert rows.count() == 2
    first, second = (" ".join(row.inner_text().split()) for row in rows.all())
    assert first.startswith(f"Critical {OVER} since 20")
    assert second.startswith("Warning Schwab gives no books")
    assert page.get_attribute("#alerts", "aria-live") == "polite"
    edges = [row.evaluate("e => getComputedStyle(e).borderLeftColor") for row in rows.all()]
    assert edges == ["rgb(255, 123, 114)", "rgb(227, 179, 65)"]
    assert text(page, "#state") == "live"

    tell(store, "auth_required", "critical", active=False)
    gone(page, "#alerts .critical")
    tell(store, "service_off", "warning", active=False)
    gone(page, "#alerts li")


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (130.5 * HOUR_S, "ends in 5 d 10 h"),
        (47.5 * HOUR_S, r"ends in 47 h (29|30) min"),
        (1.5 * HOUR_S, r"ends in 1 h (29|30) min"),
        (-60, "over"),
        (None, "unknown nobody knows when it was given"),
    ],
)
def test_the_consent_is_counted_down(
    page: Any, store: redis.Redis, left_s: float | None, words: str
) -> None:
    """In the account's panel at any time, in minutes for the last two days."""
    say_account(store, left_s, account="*****789")

    shown(page, "#account-list", "signed in (simulated)")
    assert re.search(f"Consent {words}", text(page, "#account-list"))
    assert "Access token 2" in text(page, "#account-list")
    assert "Account *****789" in text(page, "#account-list")


def test_the_countdown_stands_with_its_alert(page: Any, store: redis.Redis) -> None:
    """The streamer's words stay the same until its next step; what is left beside them does not."""
    say_account(store, 23.5 * HOUR_S)
    tell(store, "consent_ends", "warning", "The Schwab consent ends in less than 24 hours.")

    shown(page, "#alerts", "less than 24 hours. 23 h")
    assert re.search(r"23 h (29|30) min left", text(page, "#alerts"))
    assert page.locator("#alerts button").inner_text() == "Sign in again"
    shown(page, "#account-list", "New one due now")


def test_a_key_that_reads_has_no_button(
    browser: Any, running: Api, store: redis.Redis, page: Any
) -> None:
    """It sees the banner, and is told how else."""
    _, key = KeyStore(running.folder / "data").create(("read",))
    say_account(store, 47 * HOUR_S, state="auth_required", detail=OVER)
    tell(store, "auth_required", "critical", OVER)
    shown(page, "#alerts", "Sign in again")
    context = browser.new_context(extra_http_headers={"x-api-key": key})
    other = context.new_page()
    until(lambda: other.goto(running.base).ok)

    shown(other, "#alerts", OVER)
    shown(other, "#account-list", "a person is needed")
    shown(other, "#account-note", "This key may only read")
    assert other.locator("#alerts button").count() == 0
    assert not other.is_visible("#sign-in")
    context.close()


def test_without_a_streamer_the_problem_says_what_to_do(page: Any) -> None:
    """Unknown with its reason; the button tells the cure."""
    shown(page, "#account-list", "no streamer runs")
    page.click("#sign-in")

    shown(page, "#relogin-problem", "gex auth login")
    shown(page, "#relogin-state", "There is no link.")
    assert not page.is_visible("#relogin-steps")
    page.keyboard.press("Escape")
    assert not page.is_visible("#relogin")


def test_an_address_that_signs_nobody_in(page: Any, store: redis.Redis) -> None:
    """The streamer's words are shown, the link stays; another begin or a cancel voids it."""
    told: list[str] = []
    fact, cure = "It answers another sign-in (its state differs)", "Open the newest link."

    async def begin(_: str) -> str:
        said = begun(listening=False, problem="https://127.0.0.1:8182 cannot be listened on")
        say_account(store, None, sign_in="pending", sign_in_id="5f3a")
        return said

    async def finish(_: str) -> str:
        raise ConsentError(fact, cure)

    async def cancel(_: str) -> str:
        told.append("cancel")
        return '{"signed_in":false}'

    say_account(store, None, state="auth_required", detail=OVER)
    with desk(store, {"sign_in": begin, "sign_in_finish": finish, "sign_in_cancel": cancel}):
        shown(page, "#account-list", "a person is needed")
        page.click("#sign-in")
        shown(page, "#relogin-back", "cannot be listened on")
        check_words(page)
        page.click("#relogin-finish")
        shown(page, "#relogin-problem", "Paste the whole address")
        page.fill("#relogin-url", "https://127.0.0.1:8182/?code=c&state=other")
        page.click("#relogin-finish")
        shown(page, "#relogin-problem", f"{fact}. {cure}")
        assert page.is_visible("#relogin-link")

        page.keyboard.press("Escape")
        shown(page, "#account-note", "A sign-in waits for its answer")
        page.click("#sign-in")
        assert page.is_visible("#relogin-link")
        page.click("#relogin-cancel")
        page.wait_for_selector("#relogin", state="hidden")
    assert told == ["cancel"]


def check_words(page: Any) -> None:
    """See that the link is a safe one, and that both lives are told."""
    assert "30 seconds" in text(page, "#relogin-back")
    assert re.search("answered for (10|9) min more", text(page, "#relogin-left"))
    link = page.locator("#relogin-link")
    assert link.get_attribute("href").startswith("https://vendor.example/")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert link.get_attribute("target") == "_blank"


def test_what_becomes_of_a_link(
    browser: Any, store: redis.Redis, server_url: str, tmp_path: Path
) -> None:
    """Failed, cancelled, replaced, or lost with its streamer: each is said; a new one is had."""
    names = iter("abcde")

    async def begin(_: str) -> str:
        one = next(names)
        say_account(store, None, sign_in="pending", sign_in_id=one)
        return begun(id=one, url=f"https://vendor.example/#{one}")

    say_account(store, None)
    with (
        desk(store, {"sign_in": begin}),
        api(server_url, tmp_path) as own,  # which has taken no begin of this minute
        opened(browser, store, own) as page,
    ):
        shown(page, "#account-list", "signed in")
        page.click("#sign-in")
        for one, said, wanted in [
            ("a", {"sign_in": "Schwab did not take the code", "sign_in_id": "a"}, "did not take"),
            ("b", {"sign_in": "", "sign_in_id": "b"}, "was cancelled"),
            ("c", {"sign_in": "pending", "sign_in_id": "x"}, "Another sign-in was begun"),
            ("d", {"sign_in": ""}, "started again"),
        ]:
            with page.expect_response(lambda found, one=one: is_pending(found) == one):
                page.wait_for_selector(f"#relogin-link[href$='#{one}']")
            say_account(store, None, **said)
            shown(page, "#relogin-problem", wanted)
            assert not page.is_visible("#relogin-link")
            page.click("#relogin-begin")


def is_pending(found: Any) -> str:
    """Return the id of the sign-in that an answer calls pending."""
    if not found.url.endswith("/api/v1/account"):
        return ""
    said = found.json()
    return str(said["sign_in_id"] or "") if said["sign_in"] == "pending" else ""


def test_one_that_waits_is_finished_by_a_page_that_did_not_begin_it(
    page: Any, store: redis.Redis
) -> None:
    """It has no link, and takes the address; its end elsewhere is noticed as well."""

    async def finish(arg: str) -> str:
        found: Any = store.getdel(KEYS.signin(arg))
        assert found == b"https://127.0.0.1:8182/?code=c&state=s"
        return '{"signed_in":true}'

    say_account(store, None, sign_in="pending", sign_in_id="7c")
    with desk(store, {"sign_in_finish": finish}):
        shown(page, "#sign-in", "Go on with the sign-in")
        page.click("#sign-in")
        shown(page, "#relogin-state", "waits for its answer")
        assert not page.is_visible("#relogin-link")
        page.fill("#relogin-url", " https://127.0.0.1:8182/?code=c&state=s ")
        page.click("#relogin-finish")
        shown(page, "#relogin-state", "Signed in")
    page.click("#relogin-close")
    page.click("#sign-in")
    shown(page, "#relogin-state", "waits for its answer")
    say_account(store, None, sign_in="done", sign_in_id="7c")
    shown(page, "#relogin-state", "Signed in")
    assert not page.is_visible("#relogin-steps")


def test_a_replay_shows_no_account(
    browser: Any, running: Api, store: redis.Redis, page: Any
) -> None:
    """Its page has neither the live account nor the live alerts."""
    say_account(store, 47 * HOUR_S)
    tell(store, "auth_required", "critical", OVER)
    shown(page, "#alerts", OVER)
    page.goto(f"{running.base}/?session=monday")
    shown(page, "#replay-note", "no replay 'monday'")

    assert page.locator("#alerts li").count() == 0
    assert not page.is_visible("#account")


@pytest.mark.parametrize("width", [400, 1280])
def test_everything_fits(page: Any, store: redis.Redis, width: int) -> None:
    """Banner, panel and dialog are no wider than the screen, and the dialog no higher."""
    page.set_viewport_size({"width": width, "height": 800})
    link = "https://127.0.0.1:8182/" + "x" * 300

    async def begin(_: str) -> str:
        return begun(listening=False, problem=f"{link} cannot be listened on")

    say_account(store, 20 * HOUR_S)
    for name in ("auth_required", "consent_ends", "stream_down"):
        tell(store, name, "critical", OVER)
    with desk(store, {"sign_in": begin}):
        page.locator("#alerts li[data-name=auth_required] button").click()
        shown(page, "#relogin-back", "cannot be listened on")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#relogin").bounding_box()
    assert (box["x"] >= 0, box["x"] + box["width"] <= width) == (True, True)
    assert (box["y"] >= 0, box["y"] + box["height"] <= 800) == (True, True)


def test_old_figures_stay_with_their_age(page: Any, store: redis.Redis) -> None:
    """Nobody is signed in: what came last is dimmed, its age goes on, and the banner says why."""
    state(page, "live")
    tell(store, "auth_required", "critical", OVER)
    set_clock(store, ASOF_NS + 400 * SECOND_NS)

    state(page, "unavailable")
    shown(page, "#alerts", OVER)
    assert text(page, "#state") == "too old"
    assert text(page, "#spot") == "6,000.00"
    assert text(page, "#age").endswith("old")
