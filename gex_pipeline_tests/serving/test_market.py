"""Market data over HTTP: what the sender wrote, with its age."""

import msgspec
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.hot.batch import BATCH_FIELD, pack_events
from gex_pipeline.market.events import OptionQuote
from gex_pipeline_tests.gateway.market import KEYS, set_last
from gex_pipeline_tests.synthetic import ASOF_NS

Client = TestClient[Litestar]
CALL, PUT = "SPXW  250602C06000000", "SPXW  250602P06000000"


def option(symbol: str, seq: int, bid: float) -> OptionQuote:
    """Return a quote of an option."""
    return OptionQuote(
        symbol=symbol, ts_event_ns=ASOF_NS, ts_recv_ns=ASOF_NS, seq=seq, underlying="SPX", bid=bid
    )


def test_a_future_by_its_address(client: Client) -> None:
    """/NQ is @NQ in a path; the answer has the canonical name, the prices and their age."""
    found = client.get("/api/v1/market/@NQ").json()

    assert (found["symbol"], found["price"], found["age_s"]) == ("/NQ", 22_000.0, 0.5)
    assert (found["trade"]["size"], found["quote"]["ask"]) == (2.0, 22_000.25)
    assert (found["mode"], found["market"], found["stale"]) == ("simulated", "open", False)


def test_a_symbol_without_trades(client: Client, store: redis.Redis) -> None:
    """Its price is the middle of its quote."""
    set_last(store, "SPY", 600.0)
    store.hdel(KEYS.last("SPY"), "trade")

    found = client.get("/api/v1/market/SPY").json()

    assert (found["price"], found["trade"]) == (600.0, None)


def test_a_symbol_that_nobody_streams(client: Client) -> None:
    """404 that says which are."""
    found = client.get("/api/v1/market/AAPL")

    assert (found.status_code, found.json()["reason"]) == (404, "no_data")


def test_options(client: Client, store: redis.Redis) -> None:
    """The newest quote of each contract, newest first; a damaged batch is left out."""
    batches = [[option(CALL, 1, 10.0), option(PUT, 2, 9.0)], [option(CALL, 3, 11.0)]]
    for at, batch in enumerate(batches):
        store.xadd(KEYS.options("SPX"), {BATCH_FIELD: pack_events(batch)}, id=f"{at + 1}-1")
    store.xadd(KEYS.options("SPX"), {BATCH_FIELD: b"nothing"}, id="9-1")

    found = client.get("/api/v1/options/SPX").json()

    assert [(row["symbol"], row["bid"]) for row in found["options"]] == [(CALL, 11.0), (PUT, 9.0)]
    assert (found["symbol"], found["count"], found["age_s"]) == ("SPX", 2, 0.5)
    one = client.get("/api/v1/options/SPX?limit=1").json()
    assert [row["symbol"] for row in one["options"]] == [CALL]
    assert client.get("/api/v1/options/SPX?limit=0").status_code == 400
    assert msgspec.json.decode(msgspec.json.encode(one)) == one


def test_no_options_yet(client: Client) -> None:
    """404, not an empty list that looks like a quiet market."""
    assert client.get("/api/v1/options/SPX").status_code == 404
