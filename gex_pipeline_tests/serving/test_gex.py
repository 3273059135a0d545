"""Exposure over HTTP: the engine's own figures, stamped with what holds now."""

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.gateway.answer import GexAnswer
from gex_pipeline.gateway.read import SCOPES
from gex_pipeline.hot.confidence import LevelSeen, append_levels
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, live_bytes, publish, set_clock, snapshots
from gex_pipeline_tests.serving.waiting import next_turn, until
from gex_pipeline_tests.synthetic import ASOF_NS

Client = TestClient[Litestar]


def test_the_answer_is_the_snapshot(client: Client) -> None:
    """Every figure of the fold comes through unchanged, with age, market and mode beside it."""
    found = client.get("/api/v1/gex/SPX")

    assert found.status_code == 200, found.text
    answer = msgspec.json.decode(found.content, type=GexAnswer)
    plain = msgspec.to_builtins(snapshots()["all"]) | {"source": "simulator"}
    assert {name: found.json()[name] for name in plain} == msgspec.json.decode(
        msgspec.json.encode(plain)
    )
    assert (answer.symbol, answer.convention) == ("SPX", GEXC_1.id)
    assert (answer.mode, answer.market, answer.age_s, answer.stale) == (
        "simulated",
        "open",
        0.5,
        False,
    )


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes(client: Client, scope: str) -> None:
    """Each published scope answers with its own figures."""
    assert client.get("/api/v1/gex/SPX", params={"scope": scope}).json()["scope"] == scope


@pytest.mark.parametrize("part", ["levels", "strikes", "expiries", "profile"])
def test_parts(client: Client, part: str) -> None:
    """A part has the same values as the whole, says what it is of, and leaves the rest out."""
    whole = client.get("/api/v1/gex/SPX").json()

    found = client.get(f"/api/v1/gex/SPX/{part}").json()

    volume = found.pop("profile_volume", None)
    assert {name: whole[name] for name in found} == found
    assert {"symbol", "convention", "age_s", "stale", "mode", "market"} <= found.keys()
    tables = {"strikes", "expiries", "profile"}
    assert found.keys() & tables == {part} & tables
    assert (volume is not None) == (part == "profile")


def test_a_profile_without_volume(client: Client, store: redis.Redis) -> None:
    """Before the first trade there is no profile by volume, and the other one comes as always."""
    early = msgspec.structs.replace(snapshots()["all"], volume=None)
    store.set(KEYS.gex("SPX", "all"), live_bytes(early))

    found = client.get("/api/v1/gex/SPX/profile")

    assert (found.status_code, "profile_volume" in found.json()) == (200, False)
    assert len(found.json()["profile"]) == 61


@pytest.mark.parametrize("text", ["SPX", "spx", "$SPX", "^SPX", "_SPX"])
def test_every_spelling(client: Client, text: str) -> None:
    """The answer repeats the canonical symbol."""
    assert client.get(f"/api/v1/gex/{text}").json()["symbol"] == "SPX"


def test_errors_say_what_to_do(client: Client) -> None:
    """Each refusal is problem+json with its status and a cure."""
    cases = {
        "/api/v1/gex/AAPL": (404, "GEX_SYMBOLS"),
        "/api/v1/gex/1x1": (400, "Expected"),
        "/api/v1/gex/SPX?scope=yesterday": (400, "0dte"),
        "/api/v1/gex/SPX/stream?per_s=900": (400, "per_s"),
        "/api/v1/gex/SPY": (503, "not published"),
        "/api/v1/nothing": (404, ""),
    }
    for path, (status, cure) in cases.items():
        found = client.get(path)

        assert found.status_code == status, (path, found.text)
        assert found.headers["content-type"].startswith("application/problem+json"), path
        assert found.json()["status"] == status
        assert cure in found.json()["detail"], found.text


def test_ages_go_on_in_market_time(client: Client, store: redis.Redis) -> None:
    """Stale after 10 s, 503 with the reason after 300 s."""
    for seconds, status, stale in [(9, 200, False), (11, 200, True), (301, 503, None)]:
        set_clock(store, ASOF_NS + seconds * SECOND_NS)
        next_turn(client)

        found = client.get("/api/v1/gex/SPX")

        assert (found.status_code, found.json().get("stale")) == (status, stale)
    assert found.json()["reason"] == "too_old"
    assert found.headers["retry-after"]


def test_a_closed_market_answers(client: Client, store: redis.Redis) -> None:
    """At midnight the last snapshot comes with market closed, and the API is ready."""
    set_clock(store, ASOF_NS + 14 * 3600 * SECOND_NS)
    next_turn(client)

    found = client.get("/api/v1/gex/SPX")

    assert (found.status_code, found.json()["market"]) == (200, "closed")
    assert client.get("/readyz").status_code == 200


def test_a_new_publish_is_the_next_answer(client: Client, store: redis.Redis) -> None:
    """The cache follows the channel."""
    assert client.get("/api/v1/gex/SPX").json()["spot"] == 6000.0

    publish(store, spot=6010.0)

    until(lambda: client.get("/api/v1/gex/SPX").json()["spot"] == 6010.0)


def test_a_lost_publish_is_found(client: Client, store: redis.Redis) -> None:
    """A value that was set and never announced is read within the next second or so."""
    client.get("/api/v1/gex/SPX")

    store.set(KEYS.gex("SPX", "all"), store.get(KEYS.gex("SPX", "0dte")) or b"")

    until(lambda: client.get("/api/v1/gex/SPX").json()["scope"] == "0dte")


def test_damaged_bytes_are_no_answer(client: Client, store: redis.Redis) -> None:
    """503 with the reason, never half a figure."""
    store.set(KEYS.gex("SPX", "next"), b'{"symbol": "SPX"')

    found = client.get("/api/v1/gex/SPX?scope=next")

    assert (found.status_code, found.json()["reason"]) == (503, "damaged")


def change(level: str, before: str, at_s: int) -> LevelSeen:
    """Return a change of level so many seconds after the snapshot."""
    ts_ns = ASOF_NS + at_s * SECOND_NS
    return LevelSeen(
        scope="0dte",
        level=level,
        level_before=before,
        confidence=0.3,
        reasons=("two_sided", "feed:windows"),
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        final=True,
    )


def test_changes_of_level(client: Client, store: redis.Redis) -> None:
    """Newest first, as many as asked for; what cannot be read is left out."""
    assert client.get("/api/v1/gex/SPX/events").json()["events"] == []
    key = KEYS.confidence("SPX")
    append_levels(store, key, [change("low", "high", 1), change("high", "low", 2)])
    store.xadd(key, {"v": b"nothing"})

    found = client.get("/api/v1/gex/SPX/events").json()

    assert [one["level"] for one in found["events"]] == ["high", "low"]
    assert found["events"][0]["reasons"] == ["two_sided", "feed:windows"]
    assert (found["symbol"], found["mode"], found["count"]) == ("SPX", "simulated", 2)
    assert found["convention"] == GEXC_1.id
    assert len(client.get("/api/v1/gex/SPX/events?limit=2").json()["events"]) == 1
    assert client.get("/api/v1/gex/SPX/events?limit=0").status_code == 400
    assert client.get("/api/v1/gex/RUT/events").status_code == 404
