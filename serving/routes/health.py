"""What runs: /api/v1/status for people and programs, /livez /readyz /startupz for supervisors."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response, Router, get

from gex_pipeline.gateway.services import Readiness, overview, readiness
from serving.asked import Session, asked
from serving.auth import PUBLIC, READ, gateway_of

AnyRequest = Request[Any, Any, Any]


@get("/api/v1/status", opt=READ, summary="Symbols and services", tags=["status"])
async def status(request: AnyRequest, replay: Session = "") -> dict[str, Any]:
    """Return mode, market time, freshness of each symbol, and what each service says of itself."""
    return await overview(await asked(request, replay))


@get("/livez", opt=PUBLIC, summary="Whether this process works", tags=["status"])
async def livez(request: AnyRequest) -> Response[dict[str, bool]]:
    """Return 200 while the loops turn; a supervisor restarts on anything else.

    Nothing outside of this process counts: an API without data is not mended by a restart.
    """
    live: bool = not request.app.state.loop.done()
    return Response({"live": live}, status_code=_code(good=live))


@get("/readyz", opt=PUBLIC, summary="Whether questions can be answered", tags=["status"])
async def readyz(request: AnyRequest) -> Response[Readiness]:
    """Return 200, or 503 with the reasons."""
    found = await readiness(gateway_of(request))
    return Response(found, status_code=_code(good=found.ready))


@get("/startupz", opt=PUBLIC, summary="Whether the start is over", tags=["status"])
async def startupz(request: AnyRequest) -> Response[dict[str, bool]]:
    """Return 200 once the hot store has answered for the first time."""
    started = await gateway_of(request).begun(0)
    return Response({"started": started}, status_code=_code(good=started))


def health_routes() -> Router:
    """Return the routes of health."""
    return Router("/", route_handlers=[status, livez, readyz, startupz])


def _code(*, good: bool) -> int:
    return HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
