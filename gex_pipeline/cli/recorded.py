"""Figures of a symbol for `gex levels`: as of a moment out of the lake, or the newest."""

from typing import Any

from redis import Redis

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import NoDataError
from gex_pipeline.exposure.convention import Vendor
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.gateway.asof import image_of
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.settings import origin_of


def snapshot_of(symbol: str, scope: str, vendor: Vendor | None, asof_ns: int | None) -> GexSnapshot:
    """Return the figures of a symbol; `vendor` is another tool's convention, None is ours.

    Raises:
        NotRecordedError: the lake does not hold the moment.
        NoDataError: the hot store has no chain of the symbol.
        UnavailableError: there is no hot store to ask for the newest.
    """
    image = _newest(symbol) if asof_ns is None else _as_of(symbol, asof_ns)
    if vendor is not None:
        return cross_check(live_chain(image), vendor, scope, et_datetime(image.asof_ns).date())
    return figures(image, (scope,), final=asof_ns is not None)[scope]


def _as_of(symbol: str, asof_ns: int) -> Image:
    origin = origin_of(service_settings(strict=False))
    return image_of(LakePaths(origin.root), symbol, asof_ns)


def _newest(symbol: str) -> Image:
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    configured = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    try:
        with connect(hot_url(configured, origin.root)) as store:
            return _chain(store, Keys(origin.prefix), symbol)
    except STORE_ERRORS as error:
        raise store_away(error) from error


def _chain(store: Redis, keys: Keys, symbol: str) -> Image:
    data: Any = store.get(keys.chain(symbol))
    if data is None:
        raise NoDataError("chain", symbol)
    return decode_image(data)
