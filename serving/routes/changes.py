"""Change over time: /api/v1/gex/{symbol}/maxchange, and gexbot's own routes from our data."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from gex_pipeline.errors import SessionError
from gex_pipeline.gateway import classic
from gex_pipeline.gateway.changes import SCOPES, MaxChangeAnswer, max_change
from gex_pipeline.gateway.past import Past
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.ring import Moments, Ring, Seen
from gex_pipeline.market.instants import instant_ns
from serving.asked import Session, asked
from serving.auth import READ, gateway_of
from serving.routes.gex import Symbol
from serving.routes.past import Moment

_NO_STORE: Final = {"Cache-Control": "no-store"}
_CHANGES: Final = {200: ResponseSpec(data_container=MaxChangeAnswer, description="The changes")}
_CHART: Final = {200: ResponseSpec(data_container=classic.Chart, description="gexbot's chart")}
_MAJORS: Final = {200: ResponseSpec(data_container=classic.Majors, description="gexbot's majors")}
_TICKERS: Final = {200: ResponseSpec(data_container=classic.Tickers, description="By kind")}
_LARGEST: Final = {
    200: ResponseSpec(data_container=classic.Largest, description="gexbot's max change")
}

AnyRequest = Request[Any, Any, Any]
ChangeScope = Annotated[
    str,
    QueryParameter(name="scope", description=f"One of {', '.join(SCOPES)}.", max_length=40),
]
Ticker = Annotated[
    str,
    PathParameter(
        description="gexbot's name of a symbol: SPX, SPY, ES_SPX.", max_length=32, min_length=1
    ),
]
Category = Annotated[
    str,
    PathParameter(description=f"One of {', '.join(classic.CATEGORIES)}.", max_length=40),
]


@get("/api/v1/gex/{symbol:str}/maxchange", responses=_CHANGES, summary="Change over time")
async def maxchange(
    request: AnyRequest,
    symbol: Symbol,
    gex_scope: ChangeScope = "all",
    t: Moment = "",
    replay: Session = "",
) -> Response[bytes]:
    """Return what changed most since a second, 1, 5, 10, 15 and 30 minutes ago, both weights."""
    if t and replay:
        raise SessionError("A replay does not answer for another moment.", "Leave out t, or seek.")
    if t:
        past: Past = request.app.state.past
        name = gateway_of(request).subject(symbol)
        return _bytes(await past.changes(name, gex_scope, instant_ns(t)), _NO_STORE)
    gateway = await asked(request, replay)
    found = await max_change(gateway, _ring(request), gateway.subject(symbol), gex_scope)
    return _bytes(found, _NO_STORE)


@get("/v2/{ticker:str}/classic/{category:str}", responses=_CHART, summary="gexbot: chart")
async def chart(
    request: AnyRequest, ticker: Ticker, category: Category, replay: Session = ""
) -> Response[bytes]:
    """Return exposure by strike with its values of before, in gexbot's shape and unit."""
    return await _shape(request, (ticker, category), replay, classic.chart)


@get("/v2/{ticker:str}/classic/{category:str}/majors", responses=_MAJORS, summary="gexbot: levels")
async def majors(
    request: AnyRequest, ticker: Ticker, category: Category, replay: Session = ""
) -> Response[bytes]:
    """Return zero gamma, the largest strikes and the sums, in gexbot's shape and unit."""
    return await _shape(request, (ticker, category), replay, classic.majors)


@get(
    "/v2/{ticker:str}/classic/{category:str}/maxchange",
    responses=_LARGEST,
    summary="gexbot: max change",
)
async def largest(
    request: AnyRequest, ticker: Ticker, category: Category, replay: Session = ""
) -> Response[bytes]:
    """Return the largest change by volume of each look-back, in gexbot's shape and unit."""
    return await _shape(request, (ticker, category), replay, classic.largest)


@get("/v2/tickers", responses=_TICKERS, summary="gexbot: symbols")
async def tickers(request: AnyRequest) -> Response[bytes]:
    """Return the symbols that have figures here, in gexbot's shape."""
    found = classic.tickers(gateway_of(request).place.symbols)
    return _bytes(msgspec.json.encode(found), _NO_STORE)


def change_routes() -> Router:
    """Return the routes of change over time."""
    return Router(
        "/", route_handlers=[maxchange, chart, majors, largest, tickers], opt=READ, tags=["change"]
    )


async def _shape(
    request: AnyRequest,
    asked_for: tuple[str, str],
    replay: str,
    make: Callable[[classic.Subject, Moments], msgspec.Struct],
) -> Response[bytes]:
    """Return a shape of a ticker and category; what it has no room for comes as headers."""
    gateway = await asked(request, replay)
    ticker, category = asked_for
    scope, symbol = classic.scope_of(category), gateway.subject(ticker)
    seen = await _ring(request).seen(gateway, symbol)
    subject, moments = classic.Subject(symbol, scope, seen.points), seen.moments
    body = moments.once((make, subject), lambda: msgspec.json.encode(make(subject, moments)))
    return _bytes(body, _headers(gateway, seen))


def _headers(gateway: Gateway, seen: Seen) -> dict[str, str]:
    """Return what gexbot's bodies have no room for."""
    told = {
        "Mode": gateway.place.mode,
        "Market": seen.fresh.market,
        "Age": f"{seen.fresh.age_s:.3f}",
        "Stale": str(seen.fresh.stale).lower(),
        "Convention": seen.moments.now.convention,
        "Session": gateway.place.session,
    }
    if seen.basis is not None:
        told["Basis"] = "null" if seen.basis.points is None else f"{seen.basis.points:g}"
        told["Basis-Source"] = seen.basis.source or ""
        told["Basis-Reason"] = seen.basis.reason or ""
    return _NO_STORE | {f"X-Gex-{name}": value for name, value in told.items() if value}


def _ring(request: AnyRequest) -> Ring:
    ring: Ring = request.app.state.ring
    return ring


def _bytes(data: bytes, headers: dict[str, str]) -> Response[bytes]:
    return Response(data, media_type=MediaType.JSON, headers=headers)
