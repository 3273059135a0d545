"""Market data over HTTP: what the sender wrote, with its age."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.hot import control
from gex_pipeline.hot.batch import BATCH_FIELD, pack_events
from gex_pipeline.market.codec import encode_json
from gex_pipeline.market.events import OptionQuote, Trade
from gex_pipeline.streamer.lookups import Looked
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


def test_what_was_asked_for_while_the_stream_was_down_says_so(
    client: Client, store: redis.Redis
) -> None:
    """Streamed or not is a fact of the newest event."""
    assert client.get("/api/v1/market/@NQ").json()["source"] == "stream"
    at = {"symbol": "/NQ", "ts_event_ns": ASOF_NS, "ts_recv_ns": ASOF_NS + 1}
    polled = Trade(**at, price=22_001.0, streamed=False)  # type: ignore[arg-type] # of one type
    store.hset(KEYS.last("/NQ"), "trade", encode_json(polled))

    found = client.get("/api/v1/market/@NQ").json()

    assert (found["source"], found["price"]) == ("rest", 22_001.0)


def test_a_symbol_that_nobody_streams(client: Client) -> None:
    """Without a streamer nobody can ask for it, and that is told at once."""
    found = client.get("/api/v1/market/AAPL")

    assert (found.status_code, found.json()["reason"]) == (503, "no_streamer")
    assert "Start it: gex up" in found.json()["detail"]
    view = client.get("/api/v1/market/NQ_NDX")
    assert (view.status_code, view.json()["reason"]) == (400, "bad_input")


@pytest.mark.parametrize(
    ("ok", "detail", "status", "reason"),
    [
        (True, '[{"symbol":"AAPL","known":false,"source":"rest"}]', 404, "unknown_symbol"),
        (False, "Schwab is left alone for 40 s more.", 503, "not_asked"),
    ],
)
def test_a_symbol_that_is_asked_for(
    client: Client, store: redis.Redis, ok: bool, detail: str, status: int, reason: str
) -> None:
    """The streamer answers on its control stream; what it says is told."""
    store.hset(KEYS.status("streamer"), mapping={"ts_ns": ASOF_NS})
    with answering(store, ok=ok, detail=detail):
        found = client.get("/api/v1/market/AAPL")

    assert (found.status_code, found.json()["reason"]) == (status, reason)


def test_a_quote_that_was_asked_for(client: Client, store: redis.Redis) -> None:
    """Its payload is that of a streamed one, with its source; an option has its own part."""
    at = {"symbol": CALL, "ts_event_ns": ASOF_NS, "ts_recv_ns": ASOF_NS}
    asked = OptionQuote(**at, underlying="SPX", bid=10.0, ask=10.5, gamma=0.00614904)  # type: ignore[arg-type] # of one type
    looked = Looked(symbol=CALL, known=True, delayed=True, option=asked)
    store.hset(KEYS.status("streamer"), mapping={"ts_ns": ASOF_NS})
    with answering(store, ok=True, detail=msgspec.json.encode([looked]).decode()):
        found = client.get("/api/v1/market/SPXW250602C06000000").json()

    assert (found["symbol"], found["source"], found["delayed"]) == (CALL, "rest", True)
    assert (found["price"], found["trade"], found["quote"]) == (10.25, None, None)
    assert found["option"]["gamma"] == 0.00614904


@contextmanager
def answering(store: redis.Redis, *, ok: bool, detail: str) -> Iterator[None]:
    """A streamer that says so to the first request."""
    after = control.newest(store, KEYS, "streamer")

    def answer() -> None:
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            found, _ = control.requests(store, KEYS, "streamer", after)
            if found:
                control.reply(store, KEYS, "streamer", control.Reply(found[0].id, ok, detail))
                return
            time.sleep(0.02)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_caches_are_counted(client: Client) -> None:
    """Hits, misses, fills and evictions of each stand in the status."""
    client.get("/api/v1/gex/SPX")
    client.get("/api/v1/gex/SPX")

    cache = client.get("/api/v1/status").json()["cache"]

    assert set(cache) == {"keys", "snapshots", "folds"}
    assert cache["keys"]["hits"] > 0
    assert cache["snapshots"]["fills"] == cache["snapshots"]["misses"] == 1
    assert cache["snapshots"]["hits"] > 0


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
