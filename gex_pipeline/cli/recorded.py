"""Figures of a symbol for `gex levels`: as of a moment out of the lake, or the newest."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from redis import Redis

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import ConventionError, NoDataError, NoIndexError
from gex_pipeline.exposure.convention import GEXC_1, Vendor
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.futures import FutureBasis, in_force, moved_snapshot, of_row
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.gateway.asof import image_of
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.gateway.futures import check_front, decode_board
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.basis import newest_rows
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.futures import ROOT_OF_VIEW, index_of, root_of
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.market.symbology import kind_of
from gex_pipeline.settings import origin_of


def snapshot_of(symbol: str, scope: str, vendor: Vendor | None, asof_ns: int | None) -> GexSnapshot:
    """Return the figures of a symbol; `vendor` is another tool's convention, None is ours.

    Raises:
        NotRecordedError: the lake does not hold the moment.
        NoDataError: the hot store has no chain of the symbol.
        UnavailableError: there is no hot store to ask for the newest.
    """
    if kind_of(symbol) in ("future", "view"):
        return _future(symbol, scope, vendor, asof_ns)
    image = _newest(symbol) if asof_ns is None else _as_of(symbol, asof_ns)
    if vendor is not None:
        return cross_check(live_chain(image), vendor, scope, et_datetime(image.asof_ns).date())
    return figures(image, (scope,), final=asof_ns is not None)[scope]


def _future(symbol: str, scope: str, vendor: Vendor | None, asof_ns: int | None) -> GexSnapshot:
    """Return the figures of a future or view: its index's, moved by the basis of then or now."""
    root, index = root_of(symbol), index_of(symbol)
    if index is None:
        raise NoIndexError(symbol, tuple(ROOT_OF_VIEW))
    if vendor is not None:
        raise ConventionError("Convention of a future", vendor, (GEXC_1.id,))
    image = _newest(index) if asof_ns is None else _as_of(index, asof_ns)
    snapshot = figures(image, (scope,), final=asof_ns is not None)[scope]
    known, now_ns = _newest_basis(index, root) if asof_ns is None else _basis_of(image, root)
    stale_after_s = service_settings(strict=False).gex_basis_stale_after_s
    basis = in_force(root, known, asof_ns or now_ns, stale_after_s, None)
    if known is None and asof_ns is not None:
        basis = msgspec.structs.replace(basis, reason="not_recorded")
    check_front(symbol, basis.contract)
    return moved_snapshot(snapshot, symbol, basis)


def _newest_basis(index: str, root: str) -> tuple[FutureBasis | None, int]:
    """Return the newest basis of a future, and the market time."""
    with _store() as (store, keys):
        data: Any = store.get(keys.basis(index))
        return decode_board(data).get(root), read_clock(store, keys).now_ns(time.monotonic_ns())


def _basis_of(image: Image, root: str) -> tuple[FutureBasis | None, int]:
    """Return the basis that was recorded of an image's second."""
    paths = LakePaths(origin_of(service_settings(strict=False)).root)
    rows = newest_rows(paths, image.asof_ns, 1, root)
    kept = rows and rows[-1].ts_recv_ns == image.asof_ns
    return of_row(rows[-1]) if kept else None, image.asof_ns


def _as_of(symbol: str, asof_ns: int) -> Image:
    origin = origin_of(service_settings(strict=False))
    return image_of(LakePaths(origin.root), symbol, asof_ns)


def _newest(symbol: str) -> Image:
    with _store() as (store, keys):
        return _chain(store, keys, symbol)


@contextmanager
def _store() -> Iterator[tuple[Redis, Keys]]:
    """Give the hot store and the names in it."""
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    configured = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    try:
        with connect(hot_url(configured, origin.root)) as store:
            yield store, Keys(origin.prefix)
    except STORE_ERRORS as error:
        raise store_away(error) from error


def _chain(store: Redis, keys: Keys, symbol: str) -> Image:
    data: Any = store.get(keys.chain(symbol))
    if data is None:
        raise NoDataError("chain", symbol)
    return decode_image(data)
