"""The API on a replay: every route by `?session=`, in its market time, and its verbs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.read import Place
from gex_pipeline_tests.engine.conftest import wait_until
from gex_pipeline_tests.gateway.market import LIMITS, make_gateway, make_past
from gex_pipeline_tests.replay.conftest import Recording
from gex_pipeline_tests.replay.stretch import START_NS, Replayed, S, plan_of
from serving.app import build_app
from serving.hosts import known_hosts

PLACE = Place("sim:", "simulated", ("SPX",), LIMITS)
STANDS_NS = START_NS + 30 * S


@pytest.fixture(scope="module")
def one(recording: Recording) -> Iterator[Replayed]:
    """A replay that stands at 10:30:30."""
    one = Replayed(recording.url, recording.root, plan_of("api", until_ns=STANDS_NS))
    with one.running():
        wait_until(lambda: one.paused_at(STANDS_NS))
        wait_until(lambda: one.shows(STANDS_NS))
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the API's keys lie."""
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def client(one: Replayed, recording: Recording, folder: Path) -> Iterator[TestClient[Litestar]]:
    """A client with the local key, on the hot store that the replay fills."""
    KeyStore(folder).local()
    app = build_app(
        make_gateway(recording.url, folder, PLACE), known_hosts("127.0.0.1", ()), make_past(folder)
    )
    with TestClient(app, base_url="http://127.0.0.1:8877") as client:
        client.headers["authorization"] = f"Bearer {(folder / 'local_key').read_text().strip()}"
        yield client


@pytest.mark.parametrize("part", ["", "/levels", "/strikes", "/expiries", "/profile"])
def test_figures_of_a_replay(client: TestClient[Litestar], part: str) -> None:
    """They say that they are replayed, and their age is that of the replay's clock."""
    answer = client.get(f"/api/v1/gex/SPX{part}", params={"session": "api"})

    told = answer.json()
    assert answer.status_code == 200
    assert (told["replayed"], told["session"], told["mode"]) == (True, "api", "simulated")
    assert (told["market"], told["stale"]) == ("open", False)
    assert 0 <= told["age_s"] < 1
    assert 0 <= STANDS_NS - told["ts_event_ns"] < S


def test_futures_of_a_replay(client: TestClient[Litestar]) -> None:
    """The index's levels of that moment moved by the basis that the replay made anew."""

    def asked(symbol: str) -> Any:
        return client.get(f"/api/v1/gex/{symbol}/levels", params={"session": "api"}).json()

    def moved() -> Any:
        found = asked("ES_SPX")
        return found if found["basis"]["source"] == "live" else None

    told, plain = wait_until(moved), asked("SPX")
    assert (told["replayed"], told["session"], told["stale"]) == (True, "api", False)
    assert (told["basis"]["contract"], told["basis"]["quoted"]) == ("/ESM25", "/ES")
    assert 18 < told["basis"]["points"] < 25
    assert told["spot"] == plain["spot"] + told["basis"]["points"]
    assert told["future_price"]["age_s"] < 2


def test_what_is_folded_of_a_replay(client: TestClient[Litestar]) -> None:
    """Scopes that are not published and the surface, out of the replay's own chain."""

    def folded(path: str = "", **asked: str) -> Any:
        answer = client.get(f"/api/v1/gex/SPX{path}", params={"session": "api", **asked})
        found = answer.json() if answer.status_code == 200 else {}  # the chain is stored last
        return found if STANDS_NS - found.get("ts_event_ns", 0) < 2 * S else None

    front = wait_until(lambda: folded(scope="front0"))
    surface = wait_until(lambda: folded("/surface", scope="full90"))
    for told in (front, surface):
        assert (told["replayed"], told["session"], told["mode"]) == (True, "api", "simulated")
        assert (told["market"], told["stale"]) == ("open", False)
    assert client.get("/api/v1/gex/SPX?scope=front0").status_code == 503


def test_changes_of_a_replay(client: TestClient[Litestar]) -> None:
    """Its own ring: half a minute of it has a second before and no minute."""

    def newest() -> Any:
        found = client.get("/api/v1/gex/SPX/maxchange", params={"session": "api"}).json()
        return found if 0 <= STANDS_NS - found.get("ts_event_ns", 0) < 2 * S else None

    told = wait_until(newest)
    chart = client.get("/v2/SPX/classic/zero", params={"session": "api"})

    assert (told["replayed"], told["session"], told["stale"]) == (True, "api", False)
    assert told["changes"][0]["ts_ns"] == told["ts_event_ns"] - S
    assert [each["volume"]["reason"] for each in told["changes"][1:]] == ["gap"] * 5
    assert (chart.status_code, chart.headers["x-gex-session"]) == (200, "api")
    assert client.get("/api/v1/gex/SPX/maxchange").status_code == 503


def test_market_options_and_status_of_a_replay(client: TestClient[Litestar]) -> None:
    """The same routes as live; symbols, clock and services are the replay's."""
    asked = {"session": "api"}
    market = client.get("/api/v1/market/SPY", params=asked).json()
    options = client.get("/api/v1/options/SPX", params=asked).json()
    status = client.get("/api/v1/status", params=asked).json()

    assert (market["session"], market["price"]) == ("api", 600.30)
    assert options["count"] > 100
    assert status["market_time_ns"] == STANDS_NS
    assert (status["replayed"], status["session"]) == (True, "api")
    assert int(status["services"]["engine"]["seconds"]) > 20
    assert {each["symbol"] for each in status["symbols"]} == {"SPX", "SPY"}


def test_without_a_session_it_is_the_live_market(client: TestClient[Litestar]) -> None:
    """There is none here, and no figure of a replay stands in for it."""
    answer = client.get("/api/v1/gex/SPX")

    assert answer.status_code == 503
    assert "session" not in client.get("/api/v1/status").json()


@pytest.mark.parametrize("path", ["gex/SPX", "gex/SPX/stream", "market/SPY", "status"])
def test_an_unknown_session_is_404_with_a_cure(client: TestClient[Litestar], path: str) -> None:
    """It names those that there are."""
    answer = client.get(f"/api/v1/{path}", params={"session": "nobody"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "no_session"
    assert "There are: api" in answer.json()["detail"]
    assert client.get(f"/api/v1/{path}", params={"session": "a:b*"}).status_code == 400


def test_replays_are_listed(client: TestClient[Litestar]) -> None:
    """Date, position, market time, speed, state and lag of each."""
    (told,) = [each for each in client.get("/api/v1/sessions").json() if each["id"] == "api"]

    assert (told["state"], told["speed"], told["runs"]) == ("paused", "max", 0)
    assert (told["date"], told["market_time_ns"], told["lag_s"]) == ("2025-06-02", STANDS_NS, 0)
    assert set(told["positions"]) == {"schwab.index", "schwab.equity", "schwab.cme"}
    assert client.get("/api/v1/sessions/api").json()["id"] == "api"
    assert client.get("/api/v1/sessions/nobody").status_code == 404


def test_a_replay_is_steered(client: TestClient[Litestar], one: Replayed) -> None:
    """Each verb answers with the replay as it is then; figures and ages follow at once."""

    def tell(verb: str, **query: Any) -> Any:
        answer = client.post(f"/api/v1/sessions/api/{verb}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert tell("step")["market_time_ns"] == STANDS_NS + S
    assert tell("speed", speed="20")["speed"] == 20
    assert tell("resume")["runs"] == 20
    wait_until(lambda: one.info.market_ns > STANDS_NS + 10 * S)
    stands_ns = tell("pause")["market_time_ns"]
    assert client.get("/api/v1/status", params={"session": "api"}).json()["market_time_ns"] == (
        stands_ns
    )
    assert tell("seek", to="10:30:15")["state"] in ("seeking", "paused")
    wait_until(lambda: one.paused_at(START_NS + 15 * S))

    def sought() -> bool:
        answer = client.get("/api/v1/gex/SPX/levels", params={"session": "api"})
        if answer.status_code == 503:
            return False
        event_ns = int(answer.json()["ts_event_ns"])
        assert event_ns <= START_NS + 15 * S
        return START_NS + 15 * S - event_ns < S

    wait_until(sought)
    refused = client.post("/api/v1/sessions/api/seek", params={"to": "noon"})
    assert (refused.status_code, refused.json()["reason"]) == (400, "bad_input")
    assert client.post("/api/v1/sessions/api/dance").status_code == 400
    assert client.post("/api/v1/sessions/nobody/pause").status_code == 404


def test_steering_needs_the_scope_ops(client: TestClient[Litestar], folder: Path) -> None:
    """A key that only reads may look, not act."""
    _, text = KeyStore(folder).create(("read",))
    headers = {"authorization": f"Bearer {text}"}

    wait_until(lambda: client.get("/api/v1/sessions", headers=headers).status_code == 200)
    assert client.post("/api/v1/sessions/api/pause", headers=headers).status_code == 403
