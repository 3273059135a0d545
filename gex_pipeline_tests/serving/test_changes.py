"""Change over time over HTTP, and gexbot's routes: their JSON worked by hand."""

import http.client
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.gateway.changes import SCOPES, MaxChangeAnswer
from gex_pipeline.gateway.classic import CATEGORIES, Chart, Largest, Majors
from gex_pipeline.hot.ring import Entry
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, set_clock
from gex_pipeline_tests.hot.rings import MILLION, entry_by_hand, fill_ring, put
from gex_pipeline_tests.serving.waiting import next_turn
from gex_pipeline_tests.synthetic import ASOF_NS

Client = TestClient[Litestar]
RING = KEYS.gexring("SPX")
AT_S = 1_748_874_600
"""2025-06-02 10:30 in New York."""

CHART = """
{
  "timestamp": 1748874600, "ticker": "SPX", "min_dte": 0, "sec_min_dte": 1,
  "spot": 6000, "zero_gamma": 5985.25,
  "major_pos_vol": 5990, "major_pos_oi": 5990, "major_neg_vol": 6000, "major_neg_oi": 6000,
  "strikes": [
    [5990, 9, 100, [9, 8, 8, 8, 8]],
    [6000, 7, -50, [6, 6, 4, 4, 4]],
    [6010, 3, 30, [null, 2, 2, null, 2]],
    [6020, 1, 7, [null, null, null, null, null]]
  ],
  "sum_gex_vol": 20, "sum_gex_oi": 87, "delta_risk_reversal": null,
  "max_priors": [[6000, 1], [6000, 1], [6000, 1], [6000, 3], [6000, 3], [6000, 3]]
}
"""
MAJORS = """
{
  "timestamp": 1748874600, "ticker": "SPX", "spot": 6000, "zero_gamma": 5985.25,
  "mpos_vol": 5990, "mpos_oi": 5990, "mneg_vol": 6000, "mneg_oi": 6000,
  "net_gex_vol": 20, "net_gex_oi": 87
}
"""
LARGEST = """
{
  "timestamp": 1748874600, "ticker": "SPX",
  "current": [6000, 1], "one": [6000, 1], "five": [6000, 1],
  "ten": [6000, 3], "fifteen": [6000, 3], "thirty": [6000, 3]
}
"""


@pytest.fixture
def ring(store: redis.Redis) -> None:
    """The half hour by hand."""
    fill_ring(store, RING)


def put_now(store: redis.Redis, entry: Entry) -> None:
    """Let a ring hold one entry."""
    store.delete(RING)
    put(store, RING, entry)


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("scope", SCOPES)
def test_maxchange(client: Client, scope: str) -> None:
    """Stamped like every answer; both weights, totals and the runners-up."""
    found = client.get("/api/v1/gex/$SPX/maxchange", params={"scope": scope})

    assert found.status_code == 200, found.text
    answer = msgspec.json.decode(found.content, type=MaxChangeAnswer)
    assert (answer.symbol, answer.scope, answer.mode) == ("SPX", scope, "simulated")
    assert (answer.market, answer.age_s, answer.stale) == ("open", 0.5, False)
    assert answer.convention == "gexc-1:00000000"
    assert found.json().keys() <= set(MaxChangeAnswer.__struct_fields__)
    assert found.json()["changes"][3] == {
        "look_back": "ten",
        "minutes": 10,
        "ts_ns": ASOF_NS - 600 * SECOND_NS,
        "spot": 6000.0,
        "open_interest": {
            "strike": 6000.0,
            "change": 30 * MILLION,
            "reason": None,
            "top": [[6000.0, 30 * MILLION], [6010.0, 10 * MILLION], [5990.0, 10 * MILLION]],
            "skipped": 1,
            "net_gex_change": 57 * MILLION,
            "net_gex_reason": None,
        },
        "volume": {
            "strike": 6000.0,
            "change": 3 * MILLION,
            "reason": None,
            "top": [[6000.0, 3 * MILLION], [6010.0, MILLION], [5990.0, MILLION]],
            "skipped": 1,
            "net_gex_change": 6 * MILLION,
            "net_gex_reason": None,
        },
    }


@pytest.mark.usefixtures("ring")
def test_maxchange_of_what_is_not_there(client: Client) -> None:
    """Each refusal says what to do."""
    cases = {
        "/api/v1/gex/SPX/maxchange?scope=weekly": (400, "full90"),
        "/api/v1/gex/AAPL/maxchange": (404, "GEX_SYMBOLS"),
        "/api/v1/gex/SPY/maxchange": (503, "not published"),
        "/api/v1/gex/SPX/maxchange?session=never": (404, "never"),
        "/v2/SPX/classic/gamma": (400, "gex_full"),
        "/v2/AAPL/classic/zero": (404, "GEX_SYMBOLS"),
        "/v2/NQ_NDX/classic/zero": (404, "Add NDX to GEX_SYMBOLS"),
        "/v2/@ES/classic/zero": (400, "gexbot"),
        "/v2/SPY/classic/zero/majors": (503, "not published"),
        "/v2/1x1/classic/zero/maxchange": (400, "Expected"),
    }
    for path, (status, cure) in cases.items():
        found = client.get(path)

        assert found.status_code == status, (path, found.text)
        assert cure in found.json()["detail"], found.text


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("category", CATEGORIES)
def test_gexbot_by_hand(client: Client, category: str) -> None:
    """Each category in their shape, $ millions; one counts its days from the second expiry."""
    chart: Any = msgspec.json.decode(CHART)
    if category in ("one", "gex_one"):
        chart |= {"min_dte": 1, "sec_min_dte": 3}

    found = client.get(f"/v2/SPX/classic/{category}")

    assert found.status_code == 200, found.text
    assert found.json() == chart
    assert client.get(f"/v2/SPX/classic/{category}/majors").json() == msgspec.json.decode(MAJORS)
    assert client.get(f"/v2/SPX/classic/{category}/maxchange").json() == msgspec.json.decode(
        LARGEST
    )


@pytest.mark.usefixtures("ring")
def test_what_their_shape_has_no_room_for(client: Client) -> None:
    """Mode, age and convention come as headers: a made-up figure says so here too."""
    found = client.get("/v2/SPX/classic/zero")

    assert {
        name: found.headers[f"x-gex-{name}"] for name in ("mode", "market", "age", "stale")
    } == {
        "mode": "simulated",
        "market": "open",
        "age": "0.500",
        "stale": "false",
    }
    assert found.headers["x-gex-convention"] == "gexc-1:00000000"


def test_their_types(client: Client, store: redis.Redis) -> None:
    """Whole numbers where they have whole numbers; every field that they name, and no other."""
    fill_ring(store, RING)
    shapes: dict[str, Any] = {"": Chart, "/majors": Majors, "/maxchange": Largest}
    for path, shape in shapes.items():
        found = client.get(f"/v2/SPX/classic/gex_full{path}")

        msgspec.json.decode(found.content, type=shape, strict=True)
        assert list(found.json()) == list(shape.__struct_fields__)
        assert type(found.json()["timestamp"]) is int
        assert found.json()["timestamp"] == AT_S


def test_null_stays_null(client: Client, store: redis.Redis) -> None:
    """Without trades there is nothing by volume, without a past no change, and neither is 0."""
    put_now(store, entry_by_hand(0, [(6000, 5, None)]))

    chart = client.get("/v2/SPX/classic/zero").json()

    assert chart["strikes"] == [[6000.0, None, 5.0, [None] * 5]]
    assert (chart["sum_gex_vol"], chart["zero_gamma"], chart["major_pos_vol"]) == (None,) * 3
    assert chart["sum_gex_oi"] == 5.0
    assert chart["max_priors"] == [[None, None]] * 6
    assert client.get("/v2/SPX/classic/zero/maxchange").json()["thirty"] == [None, None]


def test_only_what_is_near_spot(client: Client, store: redis.Redis) -> None:
    """Strikes within log 1.1 of spot; sums are over all of them."""
    put_now(store, entry_by_hand(0, [(5454, 1, 1), (5455, 2, 2), (6599, 4, 4), (6601, 8, 8)]))

    chart = client.get("/v2/SPX/classic/full").json()

    assert [row[0] for row in chart["strikes"]] == [5455.0, 6599.0]
    assert chart["sum_gex_vol"] == 15.0


def test_rounded_to_a_dollar(client: Client, store: redis.Redis) -> None:
    """$1,234.4 of a strike is 0.001234 of a million, and no zero has a minus."""
    put_now(store, entry_by_hand(0, [(5990, -2e-8, 1234.4e-6), (6000, 1, 1)]))

    text = client.get("/v2/SPX/classic/full").text

    assert "[5990.0,0.001234,0.0,[" in text


def test_no_spot(client: Client, store: redis.Redis) -> None:
    """Nothing is near a spot that is not known."""
    put_now(store, entry_by_hand(0, [(6000, None, None)], spot=None))

    chart = client.get("/v2/SPX/classic/full").json()

    assert (chart["spot"], chart["strikes"], chart["sum_gex_oi"]) == (None, [], None)
    assert client.get("/api/v1/gex/SPX/maxchange").json()["null_reasons"]["spot"] == "no_spot"


def test_a_closed_market_shows_its_close(client: Client, store: redis.Redis) -> None:
    """At night the last second comes with the changes up to it, and its own time."""
    fill_ring(store, RING)
    set_clock(store, ASOF_NS + 14 * 3600 * SECOND_NS)
    next_turn(client)

    found = client.get("/v2/SPX/classic/zero")

    assert (found.status_code, found.headers["x-gex-market"]) == (200, "closed")
    assert found.json()["timestamp"] == AT_S
    assert client.get("/api/v1/gex/SPX/maxchange").json()["market"] == "closed"


def test_too_old(client: Client, store: redis.Redis) -> None:
    """In an open market figures of five minutes ago are refused, whatever their shape."""
    fill_ring(store, RING)
    set_clock(store, ASOF_NS + 301 * SECOND_NS)
    next_turn(client)

    for path in (
        "/v2/SPX/classic/zero",
        "/v2/SPX/classic/zero/majors",
        "/api/v1/gex/SPX/maxchange",
    ):
        found = client.get(path)
        assert (found.status_code, found.json()["reason"]) == (503, "too_old"), path


def test_tickers(client: Client) -> None:
    """What has figures here, by kind; of the futures the views of an index that has."""
    assert client.get("/v2/tickers").json() == {
        "stocks": ["SPY"],
        "indexes": ["SPX"],
        "futures": ["ES_SPX", "MES_SPX"],
    }


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("path", ["SPX/classic/gex_full", "SPX/classic/zero/majors"])
def test_a_client_of_theirs(stranger: Client, tmp_path: Path, path: str) -> None:
    """Their documented request: the base URL with /v2, a Bearer key, a user agent, JSON wanted."""
    key = (tmp_path / "local_key").read_text().strip()
    headers = {"User-Agent": "my-app/1.0", "Accept": "application/json"}

    refused = stranger.get(f"/v2/{path}", headers=headers)
    found = stranger.get(f"/v2/{path}", headers={**headers, "Authorization": f"Bearer {key}"})

    assert refused.status_code == http.client.UNAUTHORIZED
    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert found.json()["ticker"] == "SPX"


@pytest.mark.usefixtures("ring")
def test_a_key_in_an_address_opens_nothing(stranger: Client, tmp_path: Path) -> None:
    """The older form ?key= would leave secrets in logs: 401, and it says how keys are sent."""
    key = (tmp_path / "local_key").read_text().strip()

    found = stranger.get(f"/v2/SPX/classic/zero?key={key}")

    assert (found.status_code, "Authorization" in found.json()["detail"]) == (401, True)
