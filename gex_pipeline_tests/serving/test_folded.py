"""Scopes that nobody publishes: folded from the stored chain, as the engine itself folds them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import figures
from gex_pipeline.gateway import folded, folding
from gex_pipeline.gateway.answer import GexAnswer
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, set_clock
from gex_pipeline_tests.serving.chains import CHAIN, image, put_chain, seconds
from gex_pipeline_tests.serving.waiting import next_turn, until
from gex_pipeline_tests.synthetic import ASOF_NS
from serving.push import Streams, snapshots

__all__ = ["image"]

Client = TestClient[Litestar]
EXPIRY = str(CHAIN.expiry[-1])
SCOPES = ("front0", "front1", "to_opex", "full90", f"expiry:{EXPIRY}", f"expiry:{EXPIRY}:SPXW")
PARTS = ("", "/levels", "/strikes", "/expiries", "/profile")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_folded_scope_is_what_the_engine_computes(
    client: Client, image: Image, scope: str
) -> None:
    """Every figure to the bit, and the stamp of the moment of the answer."""
    found = client.get("/api/v1/gex/SPX", params={"scope": scope})

    assert found.status_code == 200, found.text
    expected = figures(image, (scope,), final=True)[scope]
    plain = msgspec.json.decode(msgspec.json.encode(expected))
    assert {name: found.json()[name] for name in plain} == plain
    answer = msgspec.json.decode(found.content, type=GexAnswer)
    assert (answer.final, answer.market, answer.age_s, answer.stale) == (True, "open", 0.5, False)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("image")
def test_every_part_of_it(client: Client, part: str) -> None:
    """A part has the same values as the whole."""
    whole = client.get("/api/v1/gex/SPX", params={"scope": "full90"}).json()

    found = client.get(f"/api/v1/gex/SPX{part}", params={"scope": "full90"}).json()

    found.pop("profile_volume", None)
    assert {name: whole[name] for name in found} == found


def test_an_unknown_scope_and_a_missing_chain(client: Client) -> None:
    """400 with the names; 503 while no chain is stored."""
    for scope in ("front2", "expiry:2025-02-30", "expiry:2025-06-20:spx"):
        found = client.get("/api/v1/gex/SPX", params={"scope": scope})
        assert (found.status_code, "front0" in found.json()["detail"]) == (400, True)
    found = client.get("/api/v1/gex/SPX?scope=front0")
    assert (found.status_code, found.json()["reason"]) == (503, "no_snapshot")


def test_a_damaged_chain_is_no_answer(client: Client, store: redis.Redis) -> None:
    """503 with the reason; with the next chain an answer again."""
    store.set(KEYS.chain("SPX"), b"ARROW")
    found = client.get("/api/v1/gex/SPX?scope=front0")
    assert (found.status_code, found.json()["reason"]) == (503, "damaged")

    put_chain(store, seconds()[0].images[0])
    until(lambda: client.get("/api/v1/gex/SPX?scope=front0").status_code == 200)


@pytest.mark.usefixtures("image")
def test_it_ages_as_published_figures_do(client: Client, store: redis.Redis) -> None:
    """Stale after 10 s, 503 after 300 s of open market, the last figures at night."""
    for seconds_on, status, stale in [(11, 200, True), (301, 503, None), (14 * 3600, 200, True)]:
        set_clock(store, ASOF_NS + seconds_on * SECOND_NS)
        next_turn(client)

        found = client.get("/api/v1/gex/SPX?scope=front0")

        assert (found.status_code, found.json().get("stale")) == (status, stale)
    assert found.json()["market"] == "closed"


def test_a_chain_is_folded_once_and_anew_when_it_is_another_one(
    client: Client, store: redis.Redis, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many who ask share a fold; the next chain is a new one."""
    folds = count_folds(monkeypatch)
    with ThreadPoolExecutor(8) as many:
        asked = [many.submit(client.get, "/api/v1/gex/SPX?scope=front0") for _ in range(24)]
        answers = {each.result().json()["tapes"]["schwab.index"] for each in asked}
    assert (answers, len(folds)) == ({f"1-{image.positions['schwab.index'][1]}"}, 1)

    newer = seconds()[2].images[0]
    put_chain(store, newer)
    until(lambda: tapes(client) == f"1-{newer.positions['schwab.index'][1]}")
    assert len(folds) == 2


@pytest.mark.usefixtures("image")
def test_too_many_folds_and_too_long_ones_are_refused(
    app: Litestar, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 busy, while what is published is answered; one that failed is tried again."""
    go = threading.Event()
    monkeypatch.setattr(folding, "fold_scope", lambda *_: go.wait(30) and None)
    monkeypatch.setattr(folded, "MOST_WAITING", 2)
    app.state.gateway.folds._timeout_s = 0.2

    asked = [client.get(f"/api/v1/gex/SPX?scope={scope}") for scope in SCOPES[:3]]

    assert [(each.status_code, each.json()["reason"]) for each in asked] == [(503, "busy")] * 3
    assert ["within" in each.json()["detail"] for each in asked] == [True, True, False]
    assert client.get("/api/v1/gex/SPX").status_code == 200
    go.set()
    monkeypatch.undo()
    until(lambda: client.get("/api/v1/gex/SPX?scope=front1").status_code == 200)


@pytest.mark.usefixtures("image")
def test_the_stream_follows_the_chain(app: Litestar, client: Client, store: redis.Redis) -> None:
    """A `gex` event with each new chain, `age` events between."""
    gateway, newer = app.state.gateway, seconds()[2].images[0]

    async def holds() -> bool:
        return True

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        async for event in snapshots(gateway, Streams(), holds, ("SPX", "front0"), 10.0):
            seen.append(event)
            if len([each for each in seen if each.startswith(b"event: gex")]) == 2:
                return seen
            if len(seen) == 3:
                await asyncio.to_thread(put_chain, store, newer)
        return seen

    with client.portal() as portal:
        seen = portal.call(read)
    kinds = [each.split(b"\n")[0] for each in seen[1:]]
    assert (kinds[0], kinds[-1]) == (b"event: gex", b"event: gex")
    assert set(kinds[1:-1]) == {b"event: age"}
    assert str(newer.positions["schwab.index"][1]).encode() in seen[-1]


def tapes(client: Client) -> str:
    """Return the position of a folded answer."""
    position: str = client.get("/api/v1/gex/SPX?scope=front0").json()["tapes"]["schwab.index"]
    return position


def count_folds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each fold."""
    folds: list[str] = []
    real: Any = folding.fold_scope

    def counted(data: bytes, scope: str) -> Any:
        folds.append(scope)
        return real(data, scope)

    monkeypatch.setattr(folding, "fold_scope", counted)
    return folds
