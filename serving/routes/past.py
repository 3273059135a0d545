"""The past: figures as of any moment, figures over time, and gaps, out of the lake."""

import datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from gex_pipeline.errors import InstantError
from gex_pipeline.gateway.answer import PARTS, GexAnswer
from gex_pipeline.gateway.past import Past
from gex_pipeline.gateway.read import CONVENTION
from gex_pipeline.market.instants import instant_ns
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from serving.auth import READ, gateway_of
from serving.routes.gex import Scope, Symbol

_ANSWER: Final = {200: ResponseSpec(data_container=GexAnswer, description="The figures")}
_ROWS: Final = {200: ResponseSpec(data_container=dict[str, Any], description="Columns and rows")}
_HEADERS: Final = {"Cache-Control": "no-store"}
_DEFAULT_FIELDS: Final = (
    "spot,net_gex_oi,net_gex_volume,zero_gamma_oi,call_wall_oi,put_wall_oi,confidence,gap_s"
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DAY_NS: Final = 86_400 * SECOND_NS

AnyRequest = Request[Any, Any, Any]
Moment = Annotated[
    str,
    QueryParameter(
        max_length=40, description="ISO time (New York's without an offset) or UTC nanoseconds."
    ),
]
RecordedScope = Annotated[
    str, QueryParameter(name="scope", max_length=40, description="all, 0dte, next, weekly, monthly")
]
PartName = Annotated[str, QueryParameter(max_length=20, description=", ".join(PARTS))]
Interval = Annotated[
    str, QueryParameter(max_length=10, pattern=r"^[1-9][0-9]{0,5}[smhd]$", description="1s to 1d")
]
Fields = Annotated[
    str, QueryParameter(max_length=2000, description="Columns of the table gex, by comma.")
]
Identity = Annotated[str, QueryParameter(max_length=40, description="Of formulas and parameters.")]


Date = Annotated[datetime.date | None, QueryParameter(description="A New York date.")]


@get("/api/v1/gex/{symbol:str}/at", responses=_ANSWER, summary="As of a moment")
async def at(
    request: AnyRequest,
    symbol: Symbol,
    t: Moment,
    gex_scope: Scope = "all",
    part: PartName = "whole",
) -> Response[bytes]:
    """Return what live recorded for that second, computed anew from the lake's events."""
    name = gateway_of(request).subject(symbol)
    return _json(await _past(request).at(name, gex_scope, instant_ns(t), part))


@get("/api/v1/gex/{symbol:str}/history", responses=_ROWS, summary="Figures over time")
async def history(  # noqa: PLR0913 # a parameter per choice of the caller
    request: AnyRequest,
    symbol: Symbol,
    start: Moment,
    end: Moment,
    gex_scope: RecordedScope = "all",
    interval: Interval = "1m",
    fields: Fields = _DEFAULT_FIELDS,
    convention: Identity = CONVENTION,
) -> Response[bytes]:
    """Return the last recorded row of each interval between two moments, both in it."""
    name = gateway_of(request).subject(symbol)
    start_ns, end_ns = instant_ns(start), instant_ns(end)
    return _json(
        await _past(request).history(
            symbol=name,
            scope=gex_scope,
            convention=convention,
            start_ns=start_ns,
            end_ns=end_ns,
            interval_s=int(interval[:-1]) * _UNITS[interval[-1]],
            fields=tuple(dict.fromkeys(each.strip() for each in fields.split(","))),
        )
    )


@get("/api/v1/gaps", responses=_ROWS, summary="What was not seen")
async def gaps(
    request: AnyRequest, date: Date = None, start: Moment = "", end: Moment = ""
) -> Response[bytes]:
    """Return the gaps of a date (New York's midnights), or those between two moments."""
    if date is not None:
        start_ns = et_ns(date, 0)
        return _json(await _past(request).gaps(start_ns, start_ns + _DAY_NS))
    if not (start and end):
        raise InstantError(start or end or "nothing", "date, or start and", "end")
    return _json(await _past(request).gaps(instant_ns(start), instant_ns(end)))


def past_routes() -> Router:
    """Return the routes of the past."""
    return Router("/", route_handlers=[at, history, gaps], opt=READ, tags=["past"])


def _past(request: AnyRequest) -> Past:
    past: Past = request.app.state.past
    return past


def _json(data: bytes) -> Response[bytes]:
    return Response(data, media_type=MediaType.JSON, headers=_HEADERS)
