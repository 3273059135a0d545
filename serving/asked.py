"""Which market a request is about: the live one, or a replay by `?session=`."""

from typing import Annotated, Any, Final

from litestar.connection import ASGIConnection
from litestar.params import QueryParameter

from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.sessions import Sessions

LONGEST_ID: Final = 40
Session = Annotated[
    str,
    QueryParameter(
        name="session",
        description="Id of a replay (GET /api/v1/sessions); without it the live market.",
        max_length=LONGEST_ID,
        pattern="^[A-Za-z0-9_-]*$",
    ),
]


async def asked(connection: ASGIConnection[Any, Any, Any, Any], session: str) -> Gateway:
    """Return the gateway of the market that is asked about.

    Raises:
        NoSessionError: there is no such replay.
        UnavailableError: the hot store does not answer.
    """
    return await sessions_of(connection).of(session)


def sessions_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Sessions:
    """Return the replays of the running application."""
    sessions: Sessions = connection.app.state.sessions
    return sessions
