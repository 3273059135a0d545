"""Replays: /api/v1/sessions lists them, POST …/{id}/pause and so on steers one."""

from typing import Annotated, Any, Final

from litestar import Request, Router, get, post
from litestar.params import PathParameter, QueryParameter

from gex_pipeline.gateway.sessions import VERBS, new_request
from serving.asked import LONGEST_ID, sessions_of
from serving.auth import OPS, READ

AnyRequest = Request[Any, Any, Any]
_LONGEST: Final = 40

Id = Annotated[str, PathParameter(description="Id of a replay.", max_length=LONGEST_ID)]
Verb = Annotated[str, PathParameter(description=f"One of {', '.join(VERBS)}.", max_length=20)]
To = Annotated[
    str,
    QueryParameter(
        name="to",
        description="seek: 10:30, 10:30:05 or 2026-11-20T10:30, New York; +60, -60: seconds.",
        max_length=_LONGEST,
    ),
]
Seconds = Annotated[
    int, QueryParameter(name="seconds", ge=1, le=3600, description="step: market seconds.")
]
Speed = Annotated[
    str,
    QueryParameter(
        name="speed", description="speed: market seconds a second, or max.", max_length=_LONGEST
    ),
]
Reason = Annotated[
    str, QueryParameter(name="reason", description="Why; it is kept.", max_length=200)
]


@get("/", opt=READ, summary="Replays")
async def every(request: AnyRequest) -> list[dict[str, Any]]:
    """Return each replay: date, position, market time, speed, state and lag."""
    return await sessions_of(request).every()


@get("/{session_id:str}", opt=READ, summary="One replay")
async def one(request: AnyRequest, session_id: Id) -> dict[str, Any]:
    """Return what a replay says of itself."""
    return await sessions_of(request).one(session_id)


@post("/{session_id:str}/{verb:str}", opt=OPS, status_code=200, summary="Steer a replay")
async def tell(  # noqa: PLR0913 # an argument per verb
    request: AnyRequest,
    session_id: Id,
    verb: Verb,
    to: To = "",
    seconds: Seconds = 1,
    speed: Speed = "",
    reason: Reason = "",
) -> dict[str, Any]:
    """Pause, resume, seek, step, change the speed of or stop a replay; return it as it is then."""
    arg = {"seek": to, "step": str(seconds), "speed": speed}.get(verb, "")
    asked = new_request(verb, arg, by=request.user.id, reason=reason)
    return await sessions_of(request).tell(session_id, asked)


def session_routes() -> Router:
    """Return the routes of replays."""
    return Router("/api/v1/sessions", route_handlers=[every, one, tell], tags=["replay"])
