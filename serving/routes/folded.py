"""What is folded on request alone: the surface of a symbol, and figures by an estimate."""

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from gex_pipeline.errors import OfIndexError, SessionError
from gex_pipeline.gateway.estimates import EstimateAnswer, newest_estimate
from gex_pipeline.gateway.past import Past
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.surfaces import (
    SPAN,
    Kind,
    Roots,
    SurfaceAnswer,
    Weights,
    ask_surface,
    newest_surface,
)
from gex_pipeline.market.futures import index_of
from gex_pipeline.market.instants import instant_ns
from serving.asked import Session, asked
from serving.auth import READ, gateway_of
from serving.routes.gex import Scope, Symbol
from serving.routes.past import Moment

_SURFACE: Final = {200: ResponseSpec(data_container=SurfaceAnswer, description="The matrices")}
_ESTIMATE: Final = {200: ResponseSpec(data_container=EstimateAnswer, description="The figures")}
_HEADERS: Final = {"Cache-Control": "no-store"}

AnyRequest = Request[Any, Any, Any]
Exposed = Annotated[Kind, QueryParameter(description="vendor: GEX by the vendor's own gamma.")]
Weighted = Annotated[Weights, QueryParameter(description="Which matrices.")]
Rooted = Annotated[Roots, QueryParameter(description="each: a column per root and expiry.")]
Span = Annotated[
    str,
    QueryParameter(
        max_length=10,
        pattern=r"^(all|[0-9](\.[0-9]{1,6})?)$",
        description="Largest |log(strike/spot)| of a row, or all.",
    ),
]


@get("/surface", responses=_SURFACE, summary="Exposure by strike and settlement date")
async def surface(  # noqa: PLR0913 # a parameter per choice of the caller
    request: AnyRequest,
    symbol: Symbol,
    gex_scope: Scope = "all",
    exposure: Exposed = "gex",
    weight: Weighted = "both",
    roots: Rooted = "summed",
    span: Span = f"{SPAN:g}",
    t: Moment = "",
    replay: Session = "",
) -> Response[bytes]:
    """Return rows of strikes and columns of dates: calls, puts and net, by both weights."""
    wanted = ask_surface(gex_scope, exposure, weight, each_root=roots == "each", span=span)
    if t and replay:
        raise SessionError("A replay does not answer for another moment.", "Leave out t, or seek.")
    if t:
        past: Past = request.app.state.past
        name = _own(gateway_of(request), symbol, "surface")
        return _json(await past.surface(name, wanted, instant_ns(t)))
    gateway = await asked(request, replay)
    return _json((await newest_surface(gateway, _own(gateway, symbol, "surface"), wanted)).encode())


@get("/estimate", responses=_ESTIMATE, summary="By an estimate of open interest")
async def estimate(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return figures by the open's interest and the day's trades, a naive estimate; opt-in."""
    gateway = await asked(request, replay)
    return _json(
        (await newest_estimate(gateway, _own(gateway, symbol, "estimate"), gex_scope)).encode()
    )


def folded_routes() -> Router:
    """Return the routes of what is folded on request."""
    return Router(
        "/api/v1/gex/{symbol:str}", route_handlers=[surface, estimate], opt=READ, tags=["exposure"]
    )


def _own(gateway: Gateway, text: str, what: str) -> str:
    """Return a symbol that has a chain of its own, which a future has not."""
    symbol = gateway.subject(text)
    index = index_of(symbol)
    if index is not None:
        raise OfIndexError(what, symbol, index)
    return symbol


def _json(data: bytes) -> Response[bytes]:
    return Response(data, media_type=MediaType.JSON, headers=_HEADERS)
