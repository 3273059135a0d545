"""Who may: a key in a header, or the page's session cookie; a route without a rule is closed.

Each route says what it needs in `opt`: PUBLIC, READ or OPS. Keys never travel in an address.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler

from gex_pipeline.gateway.keys import ApiKey
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.signin import SESSION_S

PUBLIC: Final = {"needs": "public"}
READ: Final = {"needs": "read"}
OPS: Final = {"needs": "ops"}
_BEARER: Final = "bearer "
_HARMLESS: Final = ("GET", "HEAD", "OPTIONS")
_FOREIGN: Final = (
    "This comes from another page than ours (its Origin). Do it on the page itself, or send a key"
    " in a header."
)
_HOW: Final = (
    "Send a key: Authorization: Bearer gex_<id>_<secret>, or X-API-Key."
    " The key of this machine is in data/local_key; more: gex keys create. The page: gex open."
)

Connection = ASGIConnection[Any, Any, Any, Any]


async def require(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let the request pass if its key has the scope that the route needs.

    Async on purpose: Litestar runs a plain function in a thread, which costs more than all the rest
    of a request.

    Raises:
        NotAuthorizedException: no key, or none that is valid.
        PermissionDeniedException: the key lacks the scope, the route has no rule, or a page of
            somebody else asks for a change in the name of a browser's session.
    """
    needs = handler.opt.get("needs")
    if needs == "public":
        return
    text = credential(connection)
    key = await gateway_of(connection).keyring.holder(text) if text else None
    if text and key is not None and not _is_wanted(connection):
        raise PermissionDeniedException(_FOREIGN)
    if key is None:
        given = "This key is unknown or revoked." if text else "This needs a key."
        raise NotAuthorizedException(f"{given} {_HOW}", headers={"WWW-Authenticate": "Bearer"})
    if needs not in key.scopes:
        raise PermissionDeniedException(
            f"The key {key.id} may {', '.join(key.scopes)} only, and this needs {needs}."
            f" Make one that may: gex keys create --scope {needs}"
        )
    connection.scope["user"] = key


def credential(connection: Connection) -> str | None:
    """Return the text of the key that came with a request: header first, then the cookie."""
    return _in_header(connection) or connection.cookies.get(cookie_name(connection))


async def visitor(connection: Connection) -> ApiKey | None:
    """Return the valid key of a request to a public route, if it has one."""
    text = credential(connection)
    return await gateway_of(connection).keyring.holder(text) if text else None


def session_cookie(connection: Connection, text: str) -> Cookie:
    """Return the cookie that carries a browser's session."""
    return Cookie(
        key=cookie_name(connection),
        value=text,
        path="/",
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=connection.scope["scheme"] == "https",
    )


def cookie_name(connection: Connection) -> str:
    """Return the session cookie's name: browsers share cookies between the ports of a host."""
    server = connection.scope.get("server")
    return f"gex_session_{server[1] if server else 0}"


def _in_header(connection: Connection) -> str | None:
    bearer = connection.headers.get("authorization", "")
    if bearer.lower().startswith(_BEARER):
        return bearer[len(_BEARER) :].strip()
    return connection.headers.get("x-api-key")


def _is_wanted(connection: Connection) -> bool:
    """Whether whoever holds the key wants this: a cookie also goes with what other pages send.

    A header does not; and a browser says with each POST of a script which page it is from.
    """
    if connection.scope.get("method") in _HARMLESS or _in_header(connection):
        return True
    origin = urlsplit(connection.headers.get("origin", ""))
    return origin.netloc.lower() == connection.headers.get("host", "").lower()


def gateway_of(connection: Connection) -> Gateway:
    """Return the gateway of the running application."""
    gateway: Gateway = connection.app.state.gateway
    return gateway
