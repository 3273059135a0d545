"""The page of a market that runs: simulator, streamer, engine and API, each a process."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline_tests.browser.reading import shown, state
from gex_pipeline_tests.serving.process import api
from gex_pipeline_tests.streamer.stage import staged, wait_until


@pytest.mark.timeout(200)
def test_every_panel_of_a_running_market(browser: Any, tmp_path: Path) -> None:
    """Figures, changes, coverage, surface and a future; no error in the console."""
    with staged(tmp_path) as stage, api(stage.url, tmp_path, GEX_SYMBOLS="SPX") as served:

        def answers(path: str) -> Any:
            url = f"{served.base}/api/v1/gex/{path}"
            found = httpx.get(url, headers=served.headers, trust_env=False)
            return found.json() if found.status_code == httpx.codes.OK else {}

        for service in ("simulate", "stream", "engine"):
            stage.start(service, GEX_SYMBOLS="SPX", GEX_SIMULATOR_SPEED="3")
            tokens = stage.root / "tokens" / "schwab_token.json"
            wait_until(tokens.exists, "the simulator's token")
        wait_until(lambda: answers("SPX/maxchange"), "a second of the ring")
        wait_until(lambda: answers("SPX/surface"), "a stored chain")

        context = browser.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(one_time_link(stage.client, stage.keys, served.base))
        state(page, "live")
        shown(page, "#change-note", "New York, by open interest")
        shown(page, "#change-rows", "$")
        shown(page, "#coverage-list", "of gamma")
        page.locator("#surface-panel").scroll_into_view_if_needed()
        shown(page, "#surface-note", "GEX, $ per +1% of spot")
        page.wait_for_selector("#surface[aria-label*='most positive $']")
        page.select_option("#symbol", "/ES")
        shown(page, "#basis-points", "/ES = SPX + ")
        shown(page, "#basis-price", "/ES 7,")
        page.wait_for_selector("#bars[aria-label*='of /ES']")
        context.close()
    assert faults == []
