"""Exposure of one symbol: /api/v1/gex/{symbol} and its parts, and the live stream."""

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from gex_pipeline.gateway.answer import GexAnswer, Part
from gex_pipeline.gateway.confidence import MOST_EVENTS, LevelEvents, level_events
from serving.asked import Session, asked
from serving.auth import READ, credential
from serving.push import Streams, snapshots

_ANSWER: Final = {200: ResponseSpec(data_container=GexAnswer, description="The figures")}
_EVENTS: Final = {
    200: ResponseSpec(
        data_container=str, media_type="text/event-stream", description="gex, age, problem events"
    )
}
_NO_STORE: Final = {"Cache-Control": "no-store"}

Symbol = Annotated[
    str, PathParameter(description="In any spelling; a future as @NQ.", max_length=32, min_length=1)
]
Scope = Annotated[
    str,
    QueryParameter(
        name="scope",
        max_length=40,
        description="all, 0dte, next, weekly, monthly, front0, front1, to_opex, full90,"
        " expiry:YYYY-MM-DD[:ROOT].",
    ),
]
PerSecond = Annotated[
    float, QueryParameter(name="per_s", ge=0.1, le=10, description="Most snapshots a second.")
]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_EVENTS, description="Most rows.")]
AnyRequest = Request[Any, Any, Any]


async def _part(
    request: AnyRequest, subject: tuple[str, str], replay: str, part: Part
) -> Response[bytes]:
    gateway = await asked(request, replay)
    symbol, scope = subject
    snapshot = await gateway.gex(gateway.subject(symbol), scope)
    return Response(snapshot.encode(part), media_type=MediaType.JSON, headers=_NO_STORE)


@get("/", responses=_ANSWER, summary="Whole snapshot")
async def whole(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return everything that is known of the symbol and scope."""
    return await _part(request, (symbol, gex_scope), replay, "whole")


@get("/levels", responses=_ANSWER, summary="Totals, zero gamma, walls, coverage")
async def levels(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return the snapshot without its tables."""
    return await _part(request, (symbol, gex_scope), replay, "levels")


@get("/strikes", responses=_ANSWER, summary="Exposure by strike")
async def strikes(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return a row for each strike."""
    return await _part(request, (symbol, gex_scope), replay, "strikes")


@get("/expiries", responses=_ANSWER, summary="Exposure by expiry")
async def expiries(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return a row for each expiry and root."""
    return await _part(request, (symbol, gex_scope), replay, "expiries")


@get("/profile", responses=_ANSWER, summary="Exposure if spot stood elsewhere")
async def profile(
    request: AnyRequest, symbol: Symbol, gex_scope: Scope = "all", replay: Session = ""
) -> Response[bytes]:
    """Return pairs of spot and exposure, by open interest (`profile`) and `profile_volume`."""
    return await _part(request, (symbol, gex_scope), replay, "profile")


@get("/stream", responses=_EVENTS, summary="Live snapshots (Server-Sent Events)")
async def stream(
    request: AnyRequest,
    symbol: Symbol,
    gex_scope: Scope = "all",
    per_s: PerSecond = 10.0,
    replay: Session = "",
) -> Stream:
    """Push `gex` (a whole snapshot), `age` (each second between them) and `problem` events."""
    gateway, text = await asked(request, replay), credential(request) or ""
    streams: Streams = request.app.state.streams
    streams.check()
    name = gateway.subject(symbol)
    await gateway.changes(name, gex_scope)

    async def valid() -> bool:
        return await gateway.keyring.holder(text) is not None

    return Stream(
        snapshots(gateway, streams, valid, (name, gex_scope), per_s),
        media_type="text/event-stream",
        headers={**_NO_STORE, "X-Accel-Buffering": "no"},
    )


@get("/events", summary="Changes of confidence level")
async def events(
    request: AnyRequest, symbol: Symbol, limit: Limit = 100, replay: Session = ""
) -> LevelEvents:
    """Return when the confidence of a published scope came to another level, newest first."""
    return await level_events(await asked(request, replay), symbol, limit)


def gex_routes() -> Router:
    """Return the routes of exposure."""
    handlers = [whole, levels, strikes, expiries, profile, events, stream]
    return Router("/api/v1/gex/{symbol:str}", route_handlers=handlers, opt=READ, tags=["exposure"])
