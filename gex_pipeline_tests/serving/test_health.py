"""Status and probes: what runs, and whether it is worth asking."""

from pathlib import Path

import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, make_gateway, make_past, set_clock
from gex_pipeline_tests.serving.waiting import next_turn
from gex_pipeline_tests.synthetic import ASOF_NS
from serving.app import build_app
from serving.hosts import known_hosts

Client = TestClient[Litestar]


def test_status(client: Client) -> None:
    """Mode, market time, each symbol's age or why it has none, futures, each service's words."""
    found = client.get("/api/v1/status").json()

    assert (found["mode"], found["connected"]) == ("simulated", True)
    assert found["market_time_ns"] == ASOF_NS + SECOND_NS // 2
    spx, spy, nq = found["symbols"]
    assert (spx["symbol"], spx["age_s"], spx["stale"]) == ("SPX", 0.5, False)
    assert (spy["reason"], nq["symbol"]) == ("no_snapshot", "/NQ")
    assert found["futures"] == {"SPX": ["/ES", "/MES"]}
    engine = found["services"]["engine"]
    assert (engine["state"], engine["folds"]) == ("running", "7")
    assert "age_s" in engine


def test_probes_of_a_working_api(stranger: Client) -> None:
    """All three are public and good; what misses is told."""
    assert [stranger.get(path).status_code for path in ("/livez", "/readyz", "/startupz")] == [
        200,
        200,
        200,
    ]
    assert "SPY" in " ".join(stranger.get("/readyz").json()["reasons"])


def test_not_ready_without_figures(stranger: Client, store: redis.Redis) -> None:
    """Five minutes without data in an open market: not ready, with reasons, and still alive."""
    set_clock(store, ASOF_NS + 301 * SECOND_NS)
    next_turn(stranger)

    found = stranger.get("/readyz")

    assert found.status_code == 503
    assert "old and the market is open" in " ".join(found.json()["reasons"])
    assert stranger.get("/livez").status_code == 200


def test_without_a_store(tmp_path: Path) -> None:
    """It starts, lives, says that it is not ready and why, and answers 503 with the cure."""
    gateway = make_gateway("redis://127.0.0.1:1/0", tmp_path)
    with TestClient(
        build_app(gateway, known_hosts("127.0.0.1", ()), make_past(tmp_path)), "http://127.0.0.1"
    ) as client:
        codes = [client.get(path).status_code for path in ("/livez", "/readyz", "/startupz")]
        assert codes == [200, 503, 503]
        assert "hot store" in client.get("/readyz").json()["reasons"][0]


def test_a_simulated_market_without_a_clock(client: Client, store: redis.Redis) -> None:
    """Wall time is no market time: 503 until the simulator says what time it is."""
    store.delete(KEYS.clock())
    next_turn(client)

    found = client.get("/api/v1/gex/SPX")

    assert (found.status_code, found.json()["reason"]) == (503, "market_clock")


def test_the_schema(client: Client) -> None:
    """OpenAPI names every address, the figures' fields and both ways to send a key."""
    found = client.get("/schema").json()

    paths = found["paths"]
    assert {"/api/v1/gex/{symbol}", "/api/v1/gex/{symbol}/stream", "/api/v1/status"} <= paths.keys()
    assert found["components"]["securitySchemes"].keys() == {"bearer", "api_key"}
    answer = found["components"]["schemas"]["GexAnswer"]["properties"]
    assert {"zero_gamma", "coverage", "age_s", "stale", "mode"} <= answer.keys()
