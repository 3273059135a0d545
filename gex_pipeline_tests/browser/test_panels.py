"""The panels of the page: futures, change over time, surface, coverage, scopes on request."""

import json
from typing import Any

import msgspec
import pytest
import redis

from gex_pipeline.exposure.coverage import Live
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.hot.confidence import LevelSeen, append_levels
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline_tests.browser.reading import drawn, shown, state, text
from gex_pipeline_tests.gateway.market import KEYS, live_bytes, publish, set_clock, snapshots
from gex_pipeline_tests.hot.rings import HALF_HOUR, entry_by_hand, fill_ring, put
from gex_pipeline_tests.serving.chains import put_chain, seconds
from gex_pipeline_tests.serving.process import Api
from gex_pipeline_tests.serving.test_futures import set_basis, set_quote
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

RING = KEYS.gexring("SPX")
MILLION = 1e6


def publish_all(store: redis.Redis, snapshot: GexSnapshot) -> None:
    """Set and publish what the scope all answers."""
    data = live_bytes(snapshot)
    store.set(KEYS.gex("SPX", "all"), data)
    store.publish(KEYS.gex("SPX", "all"), data)


def rows(page: Any, selector: str) -> list[str]:
    """Return each row of a list or table as a reader sees it."""
    found = page.evaluate(
        "where => [...document.querySelectorAll(where)].map(each => each.innerText)", selector
    )
    return [" ".join(one.split()) for one in found]


def counted(page: Any, part: str) -> list[str]:
    """Return a list that grows by each request whose address holds this part."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if part in one.url else None)
    return asked


def ask_again(page: Any) -> None:
    """Choose another scope, so that a panel that was refused asks at once."""
    page.dispatch_event("#scope input[value='0dte']", "click")


# Futures


def test_a_future_has_the_levels_of_its_index_moved(page: Any, store: redis.Redis) -> None:
    """Every price + 21.5, and a line that says what that stands on."""
    set_basis(store)
    set_quote(store, "/ES", "/ESM25")
    state(page, "live")
    assert page.eval_on_selector_all("#symbol optgroup", "all => all.map(e => e.label)") == [
        "SPX and its futures"
    ]
    assert not page.is_visible("#basis")
    snapshot = snapshots()["all"]

    page.select_option("#symbol", "/ES")
    shown(page, "#basis", "/ES = SPX + 21.50 points")

    shown(page, "#basis", "live 0.5 s old")
    shown(page, "#basis", "/ESM25, settles Jun 20, 2025")
    shown(page, "#basis", "SPX 6,000.00 /ES 6,021.50")
    assert "from the" not in text(page, "#basis")
    shown(page, "#spot", "6,021.50")
    shown(page, "#level-list", f"{(snapshot.zero_gamma or 0) + 21.5:,.2f}")
    shown(page, "#level-list", f"{(snapshot.call_wall or 0) + 21.5:,.2f}")
    page.wait_for_selector("#bars[aria-label*='spot 6,021.50']")
    page.focus("#bars")
    page.keyboard.press("ArrowUp")
    shown(page, "#tip", "6,021.50")
    assert "symbol=%2FES" in page.url

    page.select_option("#symbol", "/MES")
    shown(page, "#basis-twin", "from the big one /ES")
    page.reload()
    shown(page, "#basis", "/MES = SPX + 21.50 points")
    assert page.input_value("#symbol") == "/MES"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": None, "basis": None, "reason": "no_future"}, "the future is not quoted"),
        ({"method": None, "basis": None, "reason": "too_old"}, "older than 24 hours"),
        (None, "never measured"),
    ],
)
def test_without_a_basis_a_future_has_no_levels(
    page: Any, store: redis.Redis, fields: dict[str, Any] | None, words: str
) -> None:
    """Dashes with the reason, never the index's numbers; dollars stay. The same of strikes.

    The API looks for a key that is gone once a second: until then it has the basis of before.
    """
    if fields is not None:
        set_basis(store, **fields)
    fill_ring(store, RING)
    page.select_option("#symbol", "/ES")
    state(page, "stale")

    for panel in ("#message", "#basis", "#level-list", "#change-rows"):
        shown(page, panel, words)
    assert text(page, "#spot") == "–"
    levels = rows(page, "#level-list dd")
    assert all(one.startswith("–") and words in one for one in levels[:6]), levels
    assert text(page, "#total-list dd:first-of-type").startswith(("$", "−$"))
    shown(page, "#change-note", "To 10:30:00")
    changed = rows(page, "#change-rows tr")[3]
    assert (changed.startswith("10 min – "), words in changed, "+$57.0 mn" in changed) == (
        True,
    ) * 3


def test_a_basis_that_grew_old_says_so(page: Any, store: redis.Redis) -> None:
    """301 s after it was measured: stale, by the last one, though the index is live."""
    set_basis(store)
    state(page, "live")
    page.select_option("#symbol", "/ES")
    shown(page, "#basis-source", "live")
    assert text(page, "#basis-stale") == ""

    late = ASOF_NS + 301 * SECOND_NS
    set_clock(store, late)
    publish(store, ts_recv_ns=late)

    shown(page, "#basis-stale", "stale")
    shown(page, "#basis", "the last one measured 5 min old")
    shown(page, "#message", "basis was measured too long ago")
    assert text(page, "#spot") == "6,021.50"


# Change over time

BY_INTEREST = [
    "now 6,010 −$1.00 mn +$6.00 mn 1 new or gone",
    "1 min 5,990 +$5.00 mn +$12.0 mn 1 new or gone",
    "5 min 6,010 +$5.00 mn +$12.0 mn 1 new or gone",
    "10 min 6,000 +$30.0 mn +$57.0 mn 6,010 +$10.0 mn 5,990 +$10.0 mn 1 new or gone",
    "15 min 5,990 −$10.0 mn +$27.0 mn 2 new or gone",
    "30 min 6,010 +$10.0 mn +$17.0 mn 1 new or gone",
]


def test_changes_of_half_an_hour(page: Any, store: redis.Redis) -> None:
    """The half hour by hand, under both weights; a future's strikes are in its own points."""
    set_basis(store)
    fill_ring(store, RING)
    ask_again(page)
    shown(page, "#change-note", "To 10:30:00 New York, by open interest")
    assert rows(page, "#change-rows tr") == BY_INTEREST

    page.check("#weight input[value=volume]", force=True)
    shown(page, "#change-note", "by volume of the day")
    assert rows(page, "#change-rows tr")[3].startswith("10 min 6,000 +$3.00 mn +$6.00 mn")

    page.select_option("#symbol", "/ES")
    shown(page, "#change-rows", "6,021.50")
    assert rows(page, "#change-rows tr")[3].startswith("10 min 6,021.50 +$3.00 mn")


def test_changes_just_after_the_open(page: Any, store: redis.Redis) -> None:
    """At 09:31 there is nothing to compare with yet: dashes, and why."""
    opened = et_ns(DAY, 9, 31)
    set_clock(store, opened)
    put(store, RING, entry_by_hand(0, HALF_HOUR[0], ts_ns=opened))
    ask_again(page)

    shown(page, "#change-rows", "before today’s open")
    found = rows(page, "#change-rows tr")
    assert found[0] == "now – nothing kept of then –"
    assert found[2:] == [f"{each} min – before today’s open –" for each in (5, 10, 15, 30)]


def test_changes_that_are_not_kept(page: Any) -> None:
    """Of a scope without a ring the page says so; without a ring at all it says why."""
    state(page, "live")
    page.check("#scope input[value=next]", force=True)
    shown(page, "#change-note", "No changes are kept of “Next”: only of All, 0DTE")
    assert rows(page, "#change-rows tr")[5] == "30 min – – –"
    page.check("#scope input[value=all]", force=True)
    shown(page, "#change-note", "SPX")
    assert "No changes are kept" not in text(page, "#change-note")


def test_nothing_is_asked_while_nobody_looks(page: Any, store: redis.Redis) -> None:
    """A hidden tab asks for no changes, and asks at once when it is seen again; nothing jumps."""
    fill_ring(store, RING)
    ask_again(page)
    shown(page, "#change-note", "To 10:30:00")
    places = "() => [...document.querySelectorAll('.panel')].map(e => e.offsetTop + e.offsetHeight)"
    before = page.evaluate(places)
    hide = (
        "is => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )

    page.evaluate(hide, arg=True)
    page.wait_for_timeout(150)
    asked = counted(page, "maxchange")
    page.wait_for_timeout(1200)
    assert asked == []
    with page.expect_request("**/maxchange**"):
        page.evaluate(hide, arg=False)
    with page.expect_response("**/maxchange**"):
        pass
    assert page.evaluate(places) == before


# Surface

CELLS = {
    "call": [[3e6, None], [5e6, 0.0], [1e6, 2e6]],
    "put": [[-7e6, None], [-1e6, -1e6], [None, -1e6]],
    "net": [[-4e6, None], [4e6, -1e6], [1e6, 1e6]],
}
SURFACE: dict[str, Any] = {
    "symbol": "SPX",
    "scope": "all",
    "spot": 6002.5,
    "ts_event_ns": ASOF_NS,
    "stale": False,
    "exposure": "gex",
    "strikes": [5995.0, 6000.0, 6005.0],
    "columns": [
        {"date": "2025-06-02", "roots": ["SPXW"], "settle_ns": 0},
        {"date": "2025-06-20", "roots": ["SPX", "SPXW"], "settle_ns": 0},
    ],
    "open_interest": CELLS,
    "volume": None,
    "null_reasons": {"volume": "no_volume"},
}


@pytest.fixture
def surface(page: Any) -> list[str]:
    """The surface by hand, on the screen; what was asked for."""
    asked = counted(page, "/surface?")
    body = json.dumps(SURFACE)
    page.route("**/surface?*", lambda route: route.fulfill(body=body, content_type="json"))
    state(page, "live")
    page.reload()  # only a page that is loaded anew is sure to be intercepted
    state(page, "live")
    page.locator("#surface-panel").scroll_into_view_if_needed()
    shown(page, "#surface-note", "GEX, $ per +1% of spot, by open interest")
    return asked


def test_the_surface(page: Any, surface: list[str]) -> None:
    """Colours, a scale, a description, and each cell's values by keys and pointer."""
    assert "scope=all&exposure=gex&weight=open_interest&span=0.025" in surface[0]
    assert (text(page, "#surface-least"), text(page, "#surface-most")) == ("−$4.00 mn", "$4.00 mn")
    label = page.get_attribute("#surface", "aria-label")
    assert "3 strikes, 2 dates, spot 6,002.50" in label
    assert "most positive $4.00 mn at 6,000 of 2025-06-02" in label
    assert "most negative −$4.00 mn at 5,995 of 2025-06-02" in label
    drawn(page, "#surface", ["92,176,255", "255,158,66", "71,127,182"])  # ±4 mn; 1 mn is 63%

    page.focus("#surface")
    page.keyboard.press("ArrowUp")
    shown(
        page, "#surface-tip", "6,000 · 2025-06-02 SPXW calls $5.00 mn puts −$1.00 mn net $4.00 mn"
    )
    page.keyboard.press("ArrowRight")
    shown(page, "#surface-tip", "6,000 · 2025-06-20 SPX SPXW calls $0.00 puts −$1.00 mn")
    page.keyboard.press("ArrowDown")
    shown(page, "#surface-tip", "5,995 · 2025-06-20 SPX SPXW calls – puts – net –")
    box = page.locator("#surface").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 20)
    shown(page, "#surface-tip", "6,005 · 2025-06-02 SPXW calls $1.00 mn puts – net $1.00 mn")


def test_the_surface_follows_its_switches(page: Any, surface: list[str]) -> None:
    """Another exposure and range are asked for; a weight without an answer says why."""
    page.dispatch_event("#exposure input[value=vendor]", "click")  # without scrolling to it
    shown(page, "#surface-note", "GEX by the vendor’s gamma")
    page.dispatch_event("#weight input[value=volume]", "click")
    shown(page, "#surface-note", "No surface: no volume yet.")
    page.wait_for_selector("#surface[aria-label*='no figures']")
    assert text(page, "#surface-most") == "–"
    with page.expect_request("**/surface?*span=0.05*"):
        page.dispatch_event("#window input[value='0.05']", "click")
    assert "exposure=vendor&weight=volume" in surface[-1]


def test_the_surface_of_a_future(page: Any, surface: list[str], store: redis.Redis) -> None:
    """Its index's, at the future's prices; without a basis nothing, and why."""
    set_basis(store)
    page.select_option("#symbol", "/ES")
    page.locator("#surface-panel").scroll_into_view_if_needed()
    page.wait_for_selector("#surface[aria-label*='spot 6,024']")
    assert "at 6,021.50 of 2025-06-02" in page.get_attribute("#surface", "aria-label")
    assert "/gex/SPX/surface" in surface[-1]

    set_basis(store, method=None, basis=None, reason="no_future")
    shown(page, "#surface-note", "Without a basis the strikes in points of /ES are not known.")
    page.wait_for_selector("#surface[aria-label*='no figures']")


def test_a_surface_off_the_screen_is_not_asked_for(page: Any, surface: list[str]) -> None:
    """Nor is anything else twice at once."""
    page.evaluate("scrollTo(0, 0)")
    page.check("#window input[value='0.01']", force=True)
    page.wait_for_timeout(300)
    before = len(surface)
    page.check("#window input[value='0.1']", force=True)
    page.wait_for_timeout(300)
    assert len(surface) == before

    with page.expect_request("**/surface?*span=0.1*"):
        page.locator("#surface-panel").scroll_into_view_if_needed()


def test_a_surface_that_cannot_be_had(page: Any, surface: list[str]) -> None:
    """The problem's own words, and no cell of before."""
    problem = json.dumps({"status": 503, "reason": "busy", "detail": "Too many folds wait."})
    page.unroute("**/surface?*")
    page.route("**/surface?*", lambda route: route.fulfill(status=503, body=problem))
    page.dispatch_event("#exposure input[value=cex]", "click")

    shown(page, "#surface-note", "Too many folds wait.")
    page.wait_for_selector("#surface[aria-label*='no figures']")
    assert "exposure=cex" in surface[-1]


# Coverage

HEALTHY = Live(
    streamed_share=0.684,
    quote_age_p90_s=48.2,
    old_quotes=0.0,
    windows=12,
    windows_complete=12,
    windows_age_s=31.0,
    feed_reason=None,
)


def with_live(live: Live | None, **fields: Any) -> GexSnapshot:
    """Return the snapshot of a feed."""
    snapshot = snapshots()["all"]
    assert snapshot.coverage is not None
    coverage = msgspec.structs.replace(snapshot.coverage, live=live, **fields)
    return msgspec.structs.replace(snapshot, coverage=coverage)


def test_what_confidence_stands_on(page: Any, store: redis.Redis) -> None:
    """A healthy feed, one that lost windows, one that is silent, and a file."""
    publish_all(store, with_live(HEALTHY, quote_age_s=2.5))
    shown(page, "#coverage-list", "Streamed 68% of gamma")
    found = text(page, "#coverage-list")
    assert "Parity forwards 100% of OI" in found
    assert "Chain windows 12 / 12 oldest 31 s" in found
    assert "Quote age 2.5 s 90% below 48 s" in found
    assert "Feed alive" in found

    late = msgspec.structs.replace(
        HEALTHY, windows_complete=9, windows_age_s=None, old_quotes=0.25, feed_reason="windows"
    )
    publish_all(store, with_live(late, reasons=("feed:windows",)))
    shown(page, "#coverage-list", "9 / 12 one never came whole")
    found = text(page, "#coverage-list")
    assert "25% too old" in found
    assert "Feed not whole chain windows late or incomplete" in found
    shown(page, "#reasons", "feed complete and alive")

    silent = msgspec.structs.replace(
        HEALTHY, streamed_share=None, quote_age_p90_s=None, old_quotes=None, feed_reason="silent"
    )
    publish_all(store, with_live(silent, quote_age_s=None))
    shown(page, "#coverage-list", "Streamed – no gamma")
    assert "Quote age – no timed quote" in text(page, "#coverage-list")
    assert "the feed is silent" in text(page, "#coverage-list")

    publish_all(store, with_live(None))
    shown(page, "#coverage-list", "Feed – a file, all of one moment")


def test_changes_of_level(page: Any, store: redis.Redis) -> None:
    """Newest first: time in New York, scope, from, to, and the reason in words."""
    shown(page, "#events-note", "The level has not changed.")
    common: dict[str, Any] = {"confidence": 0.3, "final": True}
    seen = [
        LevelSeen(
            scope=scope,
            level=level,
            level_before=before,
            reasons=reasons,
            ts_event_ns=ASOF_NS - before_s * SECOND_NS,
            ts_recv_ns=ASOF_NS - before_s * SECOND_NS,
            **common,
        )
        for before_s, scope, before, level, reasons in (
            (65, "0dte", "high", "low", ("two_sided", "feed:frozen")),
            (5, "all", "low", None, ("no_spot",)),
        )
    ]
    append_levels(store, KEYS.confidence("SPX"), seen)
    page.locator("#events-panel").scroll_into_view_if_needed()

    shown(page, "#events", "0DTE")
    assert rows(page, "#events li") == [
        "10:29:55 All low → no figures no spot",
        "10:28:55 0DTE high → low one-sided quotes, no near-money quote has changed for a minute",
    ]
    assert not page.is_visible("#events-note")
    page.select_option("#symbol", "SPY")
    shown(page, "#events-note", "The level has not changed.")
    assert rows(page, "#events li") == []


# Scopes on request, and the vendor


def test_scopes_that_are_folded_on_request(page: Any, store: redis.Redis) -> None:
    """A list beside the segments: named ones and each expiry date; the address keeps the choice."""
    put_chain(store, seconds()[0].images[0])
    state(page, "live")
    page.focus("#more-scopes")
    page.wait_for_selector("#more-scopes option[value='expiry:2025-06-06']", state="attached")
    names = page.locator("#more-scopes option").all_text_contents()
    assert names[:5] == ["More…", "First date", "Second date", "To OPEX", "90 days"]
    assert names[5:7] == ["Jun 2, 2025", "Jun 3, 2025"]
    assert len(names) == 5 + len({row.expiry for row in snapshots()["all"].expiries})

    page.select_option("#more-scopes", "expiry:2025-06-06")
    shown(page, "#provenance", "scope expiry:2025-06-06")
    assert page.locator("#scope input:checked").count() == 0
    assert {one.split()[0] for one in rows(page, "#expiry-rows tr")} == {"2025-06-06"}
    page.reload()
    shown(page, "#provenance", "scope expiry:2025-06-06")
    assert page.input_value("#more-scopes") == "expiry:2025-06-06"

    page.select_option("#more-scopes", "front1")
    shown(page, "#provenance", "scope front1")
    page.check("#scope input[value='0dte']", force=True)
    shown(page, "#provenance", "scope 0dte")
    assert page.input_value("#more-scopes") == ""


def test_a_scope_on_request_without_a_chain(page: Any) -> None:
    """The problem's words, no figure of the scope before."""
    state(page, "live")
    page.select_option("#more-scopes", "to_opex")
    state(page, "unavailable")
    assert text(page, "#spot") == "–"
    assert text(page, "#message")


def test_the_vendor_s_total(page: Any, store: redis.Redis) -> None:
    """Beside ours, with the difference; a source without gamma has none, and says so."""
    shown(page, "#total-list", "Net by the vendor’s gamma $94.2 mn ours −$44.1 mn, 0.02% of gross")
    publish_all(store, msgspec.structs.replace(snapshots()["all"], vendor=None))
    shown(page, "#total-list", "Net by the vendor’s gamma – the source gives no gamma")


def test_the_profile(page: Any) -> None:
    """Exposure if spot stood elsewhere, walked by keys."""
    state(page, "live")
    page.check("#side input[value=profile]", force=True)
    shown(page, "#caption", "Net if spot stood elsewhere")
    page.focus("#bars")
    page.keyboard.press("ArrowUp")
    shown(page, "#tip", "6,000 net")
    page.check("#weight input[value=volume]", force=True)
    shown(page, "#caption", "weighted by the volume of the day; $")


def test_a_replay_is_asked_for_everything(page: Any, running: Api) -> None:
    """Whatever the page of a replay shows is of that replay, and no request is of live."""
    asked = counted(page, "/api/v1/")
    found: dict[str, Any] = {
        "mode": "simulated",
        "symbols": [{"symbol": "SPX"}],
        "scopes": ["all", "next"],
    }
    found |= {"futures": {"SPX": ["/ES"]}}
    page.route("**/api/v1/status?*", lambda route: route.fulfill(body=json.dumps(found)))
    page.goto(f"{running.base}/?session=monday")
    shown(page, "#change-note", "monday")
    page.locator("#surface-panel").scroll_into_view_if_needed()
    shown(page, "#surface-note", "monday")
    page.select_option("#symbol", "/ES")
    page.wait_for_timeout(100)

    assert {"status", "stream", "expiries", "maxchange", "surface", "events"} <= {
        one.partition("?")[0].rpartition("/")[2] for one in asked
    }
    assert [one for one in asked if "session=monday" not in one and "/sessions/" not in one] == []
