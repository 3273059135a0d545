"""Futures over HTTP: the index's levels moved by the basis, with its age and source."""

import asyncio
from typing import Any

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.futures import FutureBasis
from gex_pipeline.gateway.answer import GexAnswer
from gex_pipeline.gateway.changes import MaxChangeAnswer
from gex_pipeline.market.codec import encode_json
from gex_pipeline.market.events import Quote
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, publish, set_clock
from gex_pipeline_tests.hot.rings import fill_ring
from gex_pipeline_tests.serving.waiting import next_turn, until
from gex_pipeline_tests.synthetic import ASOF_NS
from serving.push import Streams, snapshots

Client = TestClient[Litestar]
NOW_NS = ASOF_NS + SECOND_NS // 2
LEVELS = ("zero_gamma", "call_wall", "put_wall", "abs_gamma_strike", "max_pain", "spot")


def set_basis(store: redis.Redis, **fields: Any) -> None:
    """Publish the basis of SPX's futures, 21.5 points live; `fields` are others of /ES."""
    known: dict[str, Any] = {
        "ts_ns": ASOF_NS,
        "method": "live",
        "basis": 21.5,
        "contract": "/ESM25",
        "quoted": "/ES",
        "samples": 30,
        "ts_live_ns": ASOF_NS,
        "parity": 21.0,
        "mid": 6021.5,
        "index_price": 6000.0,
    }
    board = {
        "/ES": FutureBasis(**(known | fields)),
        "/MES": FutureBasis(**(known | {"contract": "/MESM25"} | fields)),
    }
    data = msgspec.json.encode(board)
    store.set(KEYS.basis("SPX"), data)
    store.publish(KEYS.basis("SPX"), data)


def set_quote(store: redis.Redis, symbol: str, contract: str | None, ts_ns: int = ASOF_NS) -> None:
    """Set the newest quote of a future."""
    quote = Quote(symbol, ts_ns, ts_ns, bid=6021.25, ask=6021.75, contract=contract)
    store.hset(KEYS.last(symbol), "quote", encode_json(quote))


@pytest.fixture(autouse=True)
def basis(store: redis.Redis) -> None:
    """A live basis and a quote of /ES."""
    set_basis(store)
    set_quote(store, "/ES", "/ESM25")


@pytest.mark.parametrize(
    ("asked", "symbol"),
    [
        ("ES_SPX", "ES_SPX"),
        ("@ES", "/ES"),
        ("MES_SPX", "MES_SPX"),
        ("mes", "/MES"),
        ("@ESM25", "/ESM25"),
    ],
)
def test_the_levels_are_the_index_s_moved(client: Client, asked: str, symbol: str) -> None:
    """Each price + 21.5 points, each dollar figure as it is, the index's own levels beside."""
    plain = client.get("/api/v1/gex/SPX").json()
    found = client.get(f"/api/v1/gex/{asked}")

    assert found.status_code == 200, found.text
    msgspec.json.decode(found.content, type=GexAnswer)
    answer = found.json()
    assert (answer["symbol"], answer["index"]) == (symbol, "SPX")
    for name in LEVELS:
        assert answer[name] == plain[name] + 21.5, name
        assert answer["volume"].get(name) == (
            plain["volume"][name] + 21.5 if name in plain["volume"] else None
        )
    for name in (
        "net_gex",
        "dex",
        "vex",
        "cex",
        "gamma_at_spot",
        "confidence",
        "coverage",
        "scope",
    ):
        assert answer[name] == plain[name], name
    assert answer["strikes"] == [
        {**row, "strike": row["strike"] + 21.5} for row in plain["strikes"]
    ]
    assert answer["profile"] == [[at + 21.5, gex] for at, gex in plain["profile"]]
    assert answer["walls"]["call"][0] == {
        **plain["walls"]["call"][0],
        "strike": plain["call_wall"] + 21.5,
    }
    assert answer["flips"][0]["spot"] == plain["flips"][0]["spot"] + 21.5
    assert answer["expiries"][0]["forward"] == plain["expiries"][0]["forward"] + 21.5
    assert answer["expected_move"]["points"] == plain["expected_move"]["points"]
    assert answer["expected_move"]["strike"] == plain["expected_move"]["strike"] + 21.5
    assert answer["index_levels"] == {
        name: plain[name] for name in ("spot", "zero_gamma", "call_wall", "put_wall")
    }
    assert answer["basis"] == {
        "points": 21.5,
        "source": "live",
        "age_s": 0.5,
        "stale": False,
        "reason": None,
        "contract": "/MESM25" if "MES" in symbol else "/ESM25",
        "expires": "2025-06-20",
        "quoted": "/ES",
        "from_twin": "MES" in symbol,
        "samples": 30,
        "note": "level of the index + basis; dollars per +1% of the index",
    }
    assert answer["future_price"] == {"mid": 6021.5, "age_s": 0.5, "quoted": "/ES"}
    assert (answer["age_s"], answer["stale"]) == (0.5, False)


@pytest.mark.parametrize("part", ["levels", "strikes", "expiries", "profile"])
def test_parts(client: Client, part: str) -> None:
    """A part has what the whole has, the basis and the index's levels too."""
    whole = client.get("/api/v1/gex/ES_SPX").json()
    found = client.get(f"/api/v1/gex/ES_SPX/{part}").json()

    found.pop("profile_volume", None)
    assert {name: whole[name] for name in found} == found
    assert {"symbol", "index", "index_levels", "basis", "future_price", "stale"} <= found.keys()


def test_scopes_that_nobody_publishes_answer_too(client: Client) -> None:
    """An unknown scope is refused as of an index; the published ones move."""
    assert client.get("/api/v1/gex/ES_SPX?scope=0dte").json()["scope"] == "0dte"
    assert client.get("/api/v1/gex/ES_SPX?scope=yesterday").status_code == 400


def test_a_basis_grows_old(client: Client, store: redis.Redis) -> None:
    """Without new rows: last and stale after 300 s, null after 24 h; the index is fresh."""
    cases = [(301, "last", True)]
    for seconds, source, stale in cases:
        set_clock(store, ASOF_NS + int(seconds * SECOND_NS))
        publish(store, ts_recv_ns=ASOF_NS + int(seconds * SECOND_NS))
        next_turn(client)
        until(lambda: client.get("/api/v1/gex/SPX").json().get("age_s", 99) == 0)
        answer = client.get("/api/v1/gex/ES_SPX").json()
        basis = answer["basis"]
        assert (basis["source"], basis["age_s"], basis["stale"]) == (source, seconds, stale)
        assert (answer["stale"], answer["age_s"]) == (stale, seconds)
        assert answer["zero_gamma"] is not None

    set_clock(store, ASOF_NS + 24 * 3600 * SECOND_NS + 2 * SECOND_NS)
    publish(store, ts_recv_ns=ASOF_NS + 24 * 3600 * SECOND_NS)
    next_turn(client)
    until(lambda: client.get("/api/v1/gex/SPX").status_code == 200)
    answer = client.get("/api/v1/gex/ES_SPX").json()
    assert (answer["basis"]["points"], answer["basis"]["reason"]) == (None, "too_old")
    assert answer["stale"] is True


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"method": None, "basis": None, "reason": "no_future"}, "no_future"),
        ({"contract": "/ESH25"}, "roll"),
        (None, "never_measured"),
    ],
)
def test_without_a_basis_levels_are_null_and_dollars_stay(
    client: Client, store: redis.Redis, fields: dict[str, Any] | None, reason: str
) -> None:
    """Each null with the reason; what is listed by price is empty."""
    if fields is None:
        store.delete(KEYS.basis("SPX"))
    else:
        set_basis(store, **fields)
    plain = client.get("/api/v1/gex/SPX").json()
    answer = client.get("/api/v1/gex/@ES").json()

    for name in LEVELS:
        assert answer[name] is None
        assert answer["null_reasons"][name] == reason
    for name in ("flips", "strikes", "profile"):
        assert answer[name] == []
        assert answer["null_reasons"][name] == reason
    assert answer["volume"]["zero_gamma"] is None
    assert answer["volume"]["null_reasons"]["zero_gamma"] == reason
    assert answer["net_gex"] == plain["net_gex"]
    assert answer["expiries"][0]["net_gex"] == plain["expiries"][0]["net_gex"]
    assert answer["expiries"][0]["forward"] is None
    assert answer["index_levels"]["zero_gamma"] == plain["zero_gamma"]
    assert (answer["basis"]["points"], answer["basis"]["reason"]) == (None, reason)
    assert answer["basis"]["stale"] is True


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("NQ_NDX", "Add NDX to GEX_SYMBOLS"),
        ("@NQ", "Add NDX to GEX_SYMBOLS"),
        ("RTY_RUT", "Add RUT to GEX_SYMBOLS"),
        ("@YM", "ES_SPX"),
        ("@CL", "ES_SPX"),
        ("@ESZ25", "/ES is /ESM25 now"),
    ],
)
def test_what_is_not_served_says_what_is(client: Client, asked: str, said: str) -> None:
    """404 with the cure."""
    found = client.get(f"/api/v1/gex/{asked}")
    assert (found.status_code, found.json()["reason"]) == (404, "not_served")
    assert said in found.json()["detail"]


@pytest.mark.parametrize("path", ["options/@ES", "gex/ES_SPX/surface"])
def test_what_only_an_index_has_names_it(client: Client, path: str) -> None:
    """Options and their chain: 400, ask for the index."""
    found = client.get(f"/api/v1/{path}")
    assert (found.status_code, "Ask for SPX." in found.json()["detail"]) == (400, True)


def test_a_new_basis_is_the_next_answer(client: Client, store: redis.Redis) -> None:
    """Of the same snapshot."""
    before = client.get("/api/v1/gex/ES_SPX").json()
    set_basis(store, basis=25.0)
    until(lambda: client.get("/api/v1/gex/ES_SPX").json()["spot"] == 6025.0)
    assert before["spot"] == 6021.5


@pytest.mark.parametrize("asked", ["ES_SPX", "@MES"])
def test_changes_at_the_future_s_prices(client: Client, store: redis.Redis, asked: str) -> None:
    """Strikes and spots + 21.5 points, dollars and reasons as they are."""
    fill_ring(store, KEYS.gexring("SPX"))
    plain = client.get("/api/v1/gex/SPX/maxchange").json()
    found = client.get(f"/api/v1/gex/{asked}/maxchange").json()

    msgspec.convert(found, type=MaxChangeAnswer)
    assert (found["index"], found["basis"]["points"]) == ("SPX", 21.5)
    assert found["future_price"]["mid"] == 6021.5
    assert (found["spot"], found["net_gex"]) == (6021.5, plain["net_gex"])
    for moved, own in zip(found["changes"], plain["changes"], strict=True):
        assert moved["spot"] == own["spot"] + 21.5
        for weight in ("open_interest", "volume"):
            strike, top = own[weight]["strike"], own[weight]["top"]
            assert moved[weight] == own[weight] | {
                "strike": strike + 21.5,
                "top": [[at + 21.5, change] for at, change in top],
            }


def test_gexbot_s_shapes_at_the_future_s_prices(client: Client, store: redis.Redis) -> None:
    """ES_SPX as gexbot names it: every price moved, no dollar."""
    fill_ring(store, KEYS.gexring("SPX"))
    paths = ("", "/majors", "/maxchange")
    plain = {path: client.get(f"/v2/SPX/classic/zero{path}").json() for path in paths}
    found = {path: client.get(f"/v2/ES_SPX/classic/zero{path}") for path in paths}

    chart, majors, largest = (found[path].json() for path in paths)
    assert {chart["ticker"], majors["ticker"], largest["ticker"]} == {"ES_SPX"}
    for name in ("spot", "zero_gamma", "major_pos_vol", "major_pos_oi", "major_neg_oi"):
        assert chart[name] == plain[""][name] + 21.5
    for name in ("spot", "zero_gamma", "mpos_vol", "mneg_oi"):
        assert majors[name] == plain["/majors"][name] + 21.5
    assert chart["strikes"] == [[k + 21.5, *rest] for k, *rest in plain[""]["strikes"]]
    assert chart["max_priors"] == [[k + 21.5, change] for k, change in plain[""]["max_priors"]]
    assert largest["ten"] == [6021.5, 3.0]
    assert chart["sum_gex_oi"] == plain[""]["sum_gex_oi"]
    assert found[""].headers["x-gex-basis"] == "21.5"
    assert found[""].headers["x-gex-basis-source"] == "live"


def test_changes_without_a_basis(client: Client, store: redis.Redis) -> None:
    """No strike, for the basis's reason; totals stay; nothing is listed by price."""
    fill_ring(store, KEYS.gexring("SPX"))
    store.delete(KEYS.basis("SPX"))
    found = client.get("/api/v1/gex/ES_SPX/maxchange").json()
    chart = client.get("/v2/ES_SPX/classic/zero")

    ten = found["changes"][3]["open_interest"]
    assert (ten["strike"], ten["change"], ten["top"]) == (None, None, [])
    assert (ten["reason"], ten["net_gex_change"]) == ("never_measured", 57e6)
    assert (found["spot"], found["null_reasons"]["spot"]) == (None, "never_measured")
    assert (chart.json()["strikes"], chart.json()["spot"]) == ([], None)
    assert chart.json()["max_priors"] == [[None, None]] * 6
    assert chart.json()["sum_gex_oi"] == 87.0
    assert chart.headers["x-gex-basis"] == "null"
    assert chart.headers["x-gex-basis-reason"] == "never_measured"


def test_the_stream_follows_both(app: Litestar, client: Client, store: redis.Redis) -> None:
    """A `gex` event with each basis and each snapshot; `age` events carry the basis of now."""
    gateway = app.state.gateway

    async def holds() -> bool:
        return True

    async def read() -> list[bytes]:
        seen: list[bytes] = []
        async for event in snapshots(gateway, Streams(), holds, ("ES_SPX", "all"), 10.0):
            seen.append(event)
            moved = [each for each in seen if each.startswith(b"event: gex")]
            if len(moved) == 3:
                return seen
            if event.startswith(b"event: age") and len(moved) == 1:
                await asyncio.to_thread(set_basis, store, basis=25.0)
            if event.startswith(b"event: age") and len(moved) == 2:
                await asyncio.to_thread(publish, store, 6010.0)
        return seen

    with client.portal() as portal:
        seen = portal.call(read)
    figures = [event_data(each)["spot"] for each in seen if each.startswith(b"event: gex")]
    ages = [event_data(each) for each in seen if each.startswith(b"event: age")]
    assert figures == [6021.5, 6025.0, 6035.0]
    assert ages[0]["basis"]["points"] == 21.5
    assert ages[0]["future_price"]["quoted"] == "/ES"


def event_data(event: bytes) -> Any:
    """Return what an event of a stream carries."""
    return msgspec.json.decode(event.partition(b"data: ")[2])
