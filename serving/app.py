"""The application: composition root of the API and the page.

`gex serve` runs it; so does any ASGI server: uvicorn --factory serving.app:create_app
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from gex_pipeline import __version__
from gex_pipeline.errors import GexError
from gex_pipeline.gateway.age import Limits
from gex_pipeline.gateway.connection import connect_gateway, hot_url
from gex_pipeline.gateway.past import Past
from gex_pipeline.gateway.read import Gateway, Place
from gex_pipeline.gateway.relogin import SignIns
from gex_pipeline.gateway.ring import Ring
from gex_pipeline.gateway.sessions import Sessions
from gex_pipeline.market.symbology import to_canonical
from gex_pipeline.settings import Settings, load, origin_of
from serving.auth import READ, require
from serving.errors import on_any_error, on_gex_error, on_http_error
from serving.hosts import KnownHosts, known_hosts
from serving.push import Streams
from serving.routes.account import account_routes
from serving.routes.changes import change_routes
from serving.routes.folded import folded_routes
from serving.routes.gex import gex_routes
from serving.routes.health import health_routes
from serving.routes.market import market_routes
from serving.routes.page import page_routes, read_static
from serving.routes.past import past_routes
from serving.routes.sessions import session_routes

_LARGEST_BODY: Final = 1_000_000
_ASK_AGAIN_S: Final = 1.0
_FIRST_ANSWER_S: Final = 2.0
"""Time that the hot store gets before the first request is taken without it."""


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the application for these settings; without, for those of the environment.

    Raises:
        SettingsError: the environment makes no valid settings.
        UnavailableError: nothing says where the hot store is.
    """
    settings = settings or load(os.environ)
    gateway = connect_gateway(
        hot_url(_redis_url(settings), origin_of(settings).root),
        _place(settings),
        settings.gex_data_dir,
    )
    past = Past(origin_of(settings).root, gateway.place.limits, settings.gex_query_timeout_s)
    return build_app(gateway, known_hosts(settings.gex_host, settings.gex_allowed_hosts), past)


def build_app(gateway: Gateway, hosts: frozenset[str], past: Past) -> Litestar:
    """Return the application that answers from this gateway, and of the past from that lake."""
    app = Litestar(
        route_handlers=[
            gex_routes(),
            folded_routes(),
            change_routes(),
            past_routes(),
            market_routes(),
            session_routes(),
            account_routes(),
            health_routes(),
            page_routes(),
        ],
        guards=[require],
        middleware=[KnownHosts(hosts)],
        exception_handlers={
            HTTPException: on_http_error,
            GexError: on_gex_error,
            Exception: on_any_error,
        },
        openapi_config=_openapi(),
        lifespan=[_following(gateway)],
        logging_config=None,
        request_max_body_size=_LARGEST_BODY,
    )
    app.state.gateway = gateway
    app.state.past = past
    app.state.ring = Ring()
    app.state.sessions = Sessions(gateway)
    app.state.sign_ins = SignIns(gateway)
    app.state.streams = Streams()
    app.state.static = read_static()
    return app


def _following(gateway: Gateway) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return what runs the gateway's loop for as long as the application lives."""

    @asynccontextmanager
    async def following(app: Litestar) -> AsyncIterator[None]:
        loop = app.state.loop = asyncio.create_task(gateway.run(), name="gateway")
        try:
            await gateway.begun(_FIRST_ANSWER_S)
            yield
        finally:
            gateway.closing = True
            app.state.past.close()
            gateway.folds.close()
            await app.state.sessions.close()
            await _ended(loop)
            await gateway.store.aclose()

    return following


async def _ended(loop: asyncio.Task[None]) -> None:
    """Return once the loop has ended: asked again each second, should a library lose a request.

    A client that times out in the same moment may take the cancellation for its own.
    """
    while not loop.done():
        loop.cancel()
        await asyncio.wait({loop}, timeout=_ASK_AGAIN_S)
    with contextlib.suppress(asyncio.CancelledError):
        loop.result()


def _place(settings: Settings) -> Place:
    origin = origin_of(settings)
    return Place(
        prefix=origin.prefix,
        mode=origin.mode,
        symbols=tuple(dict.fromkeys(to_canonical(name) for name in settings.gex_symbols)),
        limits=Limits(
            settings.gex_stale_after_s,
            settings.gex_unavailable_after_s,
            settings.gex_basis_stale_after_s,
        ),
        oi_estimate=settings.gex_oi_estimate,
    )


def _redis_url(settings: Settings) -> str | None:
    return settings.gex_redis_url.reveal() if settings.gex_redis_url else None


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="gex-pipeline",
        version=__version__,
        description="Live gamma exposure that says how sure it is. Amounts: see docs/conventions.",
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer"),
                "api_key": SecurityScheme(
                    type="apiKey", name="X-API-Key", security_scheme_in="header"
                ),
            }
        ),
        security=[{"bearer": []}, {"api_key": []}],
        render_plugins=[JsonRenderPlugin(path="/")],
        openapi_router=Router("/schema", route_handlers=[], opt=READ),
    )
