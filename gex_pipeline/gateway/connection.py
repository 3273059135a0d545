"""Where the hot store is, and a gateway on it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gex_pipeline.errors import UnavailableError
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.keyring import Keyring
from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.read import Gateway, Place
from gex_pipeline.hot.clockstore import live_clock, read_clock
from gex_pipeline.hot.connect import async_connect, connect
from gex_pipeline.market.clock import MarketClock


def hot_url(configured: str | None, root: Path) -> str:
    """Return the address of the hot store: the configured one, else of the root's own server.

    Raises:
        UnavailableError: none is configured, and none has been started in this root.
    """
    if configured:
        return configured
    try:
        port = int((root / "hot" / "port").read_text(encoding="ascii"))
        password = (root / "hot" / "password").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ValueError) as error:
        raise UnavailableError(
            "hot_store",
            f"No hot store runs for {root}.",
            "Start everything: gex up; or name one: GEX_REDIS_URL.",
        ) from error
    return f"redis://:{password}@127.0.0.1:{port}/0"


def connect_gateway(
    url: str,
    place: Place,
    data_dir: Path,
    live: Callable[[], MarketClock] = live_clock,
) -> Gateway:
    """Return a gateway on the hot store at this address; it connects when its loop runs."""
    store = async_connect(url)
    keyring = Keyring(store, place.keys, KeyStore(data_dir))
    return Gateway(store, place, keyring, partial(_namespace_clock, url, place), live)


def _namespace_clock(url: str, place: Place) -> MarketClock:
    """Return the namespace's clock; a connection of its own, because this blocks."""
    try:
        with connect(url) as client:
            return read_clock(client, place.keys)
    except STORE_ERRORS as error:
        raise store_away(error) from error
