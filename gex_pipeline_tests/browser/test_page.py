"""The page in a real browser: what it shows, and what it says when something is wrong."""

import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.browser.reading import drawn, shown, state, text
from gex_pipeline_tests.gateway.market import KEYS, live_bytes, publish, set_clock, snapshots
from gex_pipeline_tests.serving.process import Api, api
from gex_pipeline_tests.synthetic import ASOF_NS

CALLS, PUTS = "63,185,140", "224,103,92"
"""Their colours."""


def test_live_figures(page: Any, store: redis.Redis) -> None:
    """Spot, levels, totals, confidence and expiries of the snapshot, and each change of them."""
    snapshot = snapshots()["all"]
    state(page, "live")

    shown(page, "#spot", "6,000.00")
    shown(page, "#level-list", f"{snapshot.zero_gamma:,.2f}")
    shown(page, "#level-list", f"{snapshot.call_wall:,.0f}")
    shown(page, "#confidence", f"{100 * (snapshot.confidence or 0):.0f}%")
    assert page.locator("#expiry-rows tr").count() == len(snapshot.expiries)
    assert page.is_visible("#simulated")
    assert "made-up" in text(page, "#simulated")
    assert snapshot.convention in text(page, "#provenance")

    publish(store, spot=6010.0)
    shown(page, "#spot", "6,010.00")


def test_figures_over_a_gap_say_so(page: Any, store: redis.Redis) -> None:
    """How much of the feed was lost, and why, stands with the confidence, until it is made up."""
    whole = "() => !document.querySelector('#reasons').innerText.includes('lost')"
    state(page, "live")
    page.wait_for_function(whole)

    data = live_bytes(snapshots()["all"], gap_s=41.2, gap_causes=["disconnect", "restart"])
    store.set(KEYS.gex("SPX", "all"), data)
    store.publish(KEYS.gex("SPX", "all"), data)
    shown(page, "#reasons", "42 s of the feed lost (disconnect, restart)")
    publish(store)
    page.wait_for_function(whole)


def test_choices(page: Any) -> None:
    """Scope, weight and side redraw the bars; the strikes can be walked by keys."""
    state(page, "live")
    drawn(page, "#bars", [CALLS, PUTS])
    before = page.evaluate("document.querySelector('#bars').toDataURL()")

    page.check("#side input[value=both]", force=True)
    page.check("#window input[value='0.05']", force=True)
    page.wait_for_function("old => document.querySelector('#bars').toDataURL() !== old", arg=before)
    page.check("#weight input[value=volume]", force=True)
    shown(page, "#caption", "volume")
    assert page.is_disabled("#side input[value=call]")
    page.check("#scope input[value='0dte']", force=True)
    shown(page, "#provenance", "scope 0dte")
    page.wait_for_url("**scope=0dte*")
    page.focus("#bars")
    page.keyboard.press("ArrowUp")
    shown(page, "#tip", "net")


def test_a_symbol_without_figures(page: Any) -> None:
    """The page says why there is nothing, and goes back to what there is."""
    state(page, "live")
    page.select_option("#symbol", "SPY")
    state(page, "unavailable")
    shown(page, "#message", "SPY")
    assert text(page, "#spot") == "–"
    assert text(page, "#level-list") == ""
    assert page.is_visible("#simulated")

    page.select_option("#symbol", "SPX")
    state(page, "live")
    assert not page.is_visible("#message")


@pytest.mark.parametrize(
    ("seconds", "wanted", "words"),
    [
        (11, "stale", "stale"),
        (14 * 3600, "closed", "market is closed"),
        (301, "unavailable", "old and the market is open"),
    ],
)
def test_old_figures(page: Any, store: redis.Redis, seconds: int, wanted: str, words: str) -> None:
    """Stale, closed and too old each look and read differently from live."""
    state(page, "live")

    set_clock(store, ASOF_NS + seconds * SECOND_NS)

    state(page, wanted)
    shown(page, "#message", words)


def test_unusable_quotes(page: Any, store: redis.Redis) -> None:
    """Levels are dashes with their reason; the page says that it is the quotes."""
    state(page, "live")
    poor = msgspec.structs.replace(
        snapshots()["all"],
        confidence=0.05,
        confidence_level="unusable",
        zero_gamma=None,
        call_wall=None,
        put_wall=None,
        null_reasons={"zero_gamma": "coverage_unusable"},
    )
    store.set(KEYS.gex("SPX", "all"), live_bytes(poor))

    shown(page, "#state", "unusable")
    shown(page, "#level-list", "quotes too poor")
    shown(page, "#message", "do not carry levels")


def test_a_phone(page: Any) -> None:
    """Nothing is wider than a small screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    state(page, "live")

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_names_for_those_who_do_not_see(page: Any) -> None:
    """Each control has a name, the picture a summary, the page a heading and a language."""
    state(page, "live")

    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button')]"
        ".filter(e => !e.labels?.length && !e.ariaLabel)"
        ".filter(e => e.tagName !== 'BUTTON' || !e.textContent)"
        ".map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert "zero gamma" in page.get_attribute("#bars", "aria-label")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == 1


def test_a_picture_of_it(page: Any, tmp_path: Path) -> None:
    """The bars are drawn: the canvas holds more than its ground."""
    state(page, "live")
    drawn(page, "#bars", [CALLS, PUTS])

    data = page.locator("#bars").screenshot(path=str(tmp_path / "bars.png"))

    width, height = struct.unpack(">II", data[16:24])
    assert (width > 600, height > 300) == (True, True)


def test_a_lost_connection_comes_back(
    browser: Any, store: redis.Redis, server_url: str, tmp_path: Path
) -> None:
    """The API dies and starts again on its port: disconnected, then live, with nobody acting."""
    context = browser.new_context()
    page = context.new_page()
    with api(server_url, tmp_path) as one:
        page.goto(one_time_link(store, KEYS, one.base))
        state(page, "live")
        one.process.kill()
        state(page, "lost")
        shown(page, "#message", "trying again")
    with api(server_url, tmp_path, GEX_PORT=one.base.rpartition(":")[2]):
        state(page, "live")
    context.close()


def test_a_stranger(browser: Any, running: Api) -> None:
    """Without a link there is a page too: it says what to type."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.base)
    assert "gex open" in text(page, "main")
    context.close()
