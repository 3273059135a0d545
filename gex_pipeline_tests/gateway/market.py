"""A hot store filled as the engine and the sender fill it, at a chosen market time."""

import functools
import time
from pathlib import Path
from typing import Any

import msgspec
import redis

from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.gateway.age import Limits
from gex_pipeline.gateway.connection import connect_gateway
from gex_pipeline.gateway.past import Past
from gex_pipeline.gateway.read import SCOPES, Gateway, Place
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import Status
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.codec import encode_json
from gex_pipeline.market.events import Quote, Trade
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

KEYS = Keys("sim:")
LIMITS = Limits(stale_after_s=10, unavailable_after_s=300)
SYMBOLS = ("SPX", "SPY", "/NQ")
PLACE = Place("sim:", "simulated", SYMBOLS, LIMITS)


@functools.cache
def snapshots(spot: float = 6000.0) -> dict[str, GexSnapshot]:
    """Return the synthetic SPX chain folded to every scope."""
    return fold(clean_chain(synthetic_chain(3000, 10, spot=spot)), SCOPES)


def live_bytes(snapshot: GexSnapshot, ts_recv_ns: int = ASOF_NS, **other: Any) -> bytes:
    """Return a snapshot as the engine publishes it, with other values in some fields."""
    live = {
        "tapes": {"schwab.index": "1-4242"},
        "ts_recv_ns": ts_recv_ns,
        "mode": "simulated",
        "source": "simulator",
        "gap_s": 0.0,
        "gap_causes": [],
    } | other
    return msgspec.json.encode({**msgspec.to_builtins(snapshot), **live})


def set_clock(store: redis.Redis, market_ns: int, speed: float = 0.0) -> None:
    """Let market time stand, or run, from this moment on."""
    publish_clock(store, KEYS, MarketClock(market_ns, time.monotonic_ns(), speed))


def publish(store: redis.Redis, spot: float = 6000.0, ts_recv_ns: int = ASOF_NS) -> None:
    """Set and publish all scopes of SPX."""
    for scope, snapshot in snapshots(spot).items():
        data = live_bytes(snapshot, ts_recv_ns)
        store.set(KEYS.gex("SPX", scope), data)
        store.publish(KEYS.gex("SPX", scope), data)


def set_last(store: redis.Redis, symbol: str, price: float, ts_ns: int = ASOF_NS) -> None:
    """Set the newest trade and quote of a symbol, quoted a quarter to each side."""
    at: dict[str, Any] = {"symbol": symbol, "ts_event_ns": ts_ns, "ts_recv_ns": ts_ns}
    trade = Trade(**at, price=price, size=2.0)
    quote = Quote(**at, bid=price - 0.25, ask=price + 0.25)
    fields = {"trade": encode_json(trade), "quote": encode_json(quote)}
    store.hset(KEYS.last(symbol), mapping=fields)  # type: ignore[arg-type] # bytes


def fill(store: redis.Redis) -> None:
    """Fill an empty store: SPX at the synthetic chain's moment, half a second ago."""
    set_clock(store, ASOF_NS + SECOND_NS // 2)
    publish(store)
    set_last(store, "/NQ", 22_000.0)
    Status(store, KEYS, "engine").beat({"state": "running", "folds": 7})


def make_gateway(url: str, data_dir: Path, place: Place = PLACE) -> Gateway:
    """Return a gateway on the store; live market time stands at the chain's moment."""
    return connect_gateway(url, place, data_dir, lambda: MarketClock(ASOF_NS, 0, 0.0))


def make_past(root: Path, timeout_s: float = 30.0) -> Past:
    """Return what answers from the lake below a folder."""
    return Past(root, PLACE.limits, timeout_s)
