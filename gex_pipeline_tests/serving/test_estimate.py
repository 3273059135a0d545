"""Figures by an estimate of open interest: off unless switched on, and labelled."""

from pathlib import Path

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.estimate import METHOD, estimated, signed
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import figures
from gex_pipeline.gateway.estimates import EstimateAnswer
from gex_pipeline.settings import load
from gex_pipeline_tests.exposure.test_estimate import market
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.serving.chains import put_chain
from serving.app import create_app

Client = TestClient[Litestar]
PATH = "/api/v1/gex/SPX/estimate"


@pytest.fixture
def image(store: redis.Redis) -> Image:
    """The stored chain of a market in which something traded."""
    image = market({10: (900, "ask"), 11: (60, "bid"), 13: (50, "mid")})
    put_chain(store, image)
    return image


@pytest.fixture
def on(app: Litestar) -> None:
    """Switch the estimate on."""
    gateway = app.state.gateway
    gateway.place = msgspec.structs.replace(gateway.place, oi_estimate=True)


@pytest.mark.usefixtures("image")
def test_it_is_off_unless_switched_on(client: Client) -> None:
    """404 with the setting that switches it on."""
    found = client.get(PATH)

    assert (found.status_code, found.json()["reason"]) == (404, "switched_off")
    assert "Set GEX_OI_ESTIMATE=1" in found.json()["detail"]


def test_the_setting_switches_it_on(tmp_path: Path) -> None:
    """GEX_OI_ESTIMATE, off by default, reaches the place that answers."""
    for value, expected in (({}, False), ({"GEX_OI_ESTIMATE": "1"}, True)):
        known = {"GEX_DATA_DIR": str(tmp_path), "GEX_REDIS_URL": "redis://127.0.0.1:1"} | value
        app = create_app(load(known))
        assert app.state.gateway.place.oi_estimate is expected


@pytest.mark.usefixtures("on")
@pytest.mark.parametrize("scope", ["all", "front0", "full90"])
def test_both_figures_stand_side_by_side(client: Client, image: Image, scope: str) -> None:
    """The fold of the estimate under its own weight, the fold of the open's under plain."""
    found = client.get(PATH, params={"scope": scope})

    assert found.status_code == 200, found.text
    answer = msgspec.json.decode(found.content, type=EstimateAnswer)
    ours, plain = (figures(i, (scope,), final=True)[scope] for i in (estimated(image), image))
    assert ours.net_gex != plain.net_gex
    for name in ("net_gex", "call_gex", "put_gex", "dex", "zero_gamma", "call_wall", "max_pain"):
        assert getattr(answer, name) == getattr(ours, name), name
        assert getattr(answer.plain, name) == getattr(plain, name), name
    assert [(row.strike, row.net_gex, row.call_oi) for row in answer.strikes] == [
        (row.strike, row.net_gex, row.call_oi) for row in ours.strikes
    ]
    assert answer.signed == signed(image, scope)
    assert (answer.estimate, answer.weight, answer.method) == (
        True,
        "open_interest_estimate",
        METHOD,
    )
    assert (answer.scope, answer.mode, answer.final, answer.tapes) == (
        scope,
        "simulated",
        True,
        plain.tapes,
    )


@pytest.mark.usefixtures("on", "image")
def test_nothing_else_changes_when_it_is_on(client: Client, store: redis.Redis) -> None:
    """What is published and folded is as before, and has no word of it."""
    published = client.get("/api/v1/gex/SPX")
    folded = client.get("/api/v1/gex/SPX?scope=front0")

    assert b"estimate" not in published.content + folded.content
    assert (published.status_code, folded.status_code) == (200, 200)
    assert store.exists(KEYS.chain("SPX"))


@pytest.mark.usefixtures("on")
def test_what_cannot_be_answered_is_told(client: Client) -> None:
    """An unknown scope, a symbol that is not served, no chain yet."""
    for path, status in (
        (f"{PATH}?scope=some", 400),
        ("/api/v1/gex/RUT/estimate", 404),
        (PATH, 503),
    ):
        assert client.get(path).status_code == status
