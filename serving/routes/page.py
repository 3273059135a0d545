"""The page at /, its files, and the one-time link that opens it."""

import hashlib
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter

from gex_pipeline.gateway.signin import use_ticket
from serving.auth import PUBLIC, gateway_of, session_cookie, visitor

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_NO_STORE: Final = {"Cache-Control": "no-store"}

AnyRequest = Request[Any, Any, Any]
Ticket = Annotated[str, QueryParameter(name="ticket", max_length=200)]
File = tuple[bytes, str]


def read_static() -> dict[str, File]:
    """Return the page's files by name, each with its tag: names are looked up, never opened."""
    folder = files("serving") / "static"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return {name: (data, hashlib.sha256(data).hexdigest()[:16]) for name, data in found.items()}


@get("/", opt=PUBLIC, include_in_schema=False)
async def page(request: AnyRequest) -> Response[bytes]:
    """Return the page, or to a stranger the words that say how to open it (401)."""
    if await visitor(request) is None:
        return _html(request, "signin.html", HTTPStatus.UNAUTHORIZED)
    return _html(request, "index.html", HTTPStatus.OK)


@get("/open", opt=PUBLIC, include_in_schema=False)
async def open_page(request: AnyRequest, ticket: Ticket = "") -> Response[bytes]:
    """Exchange a one-time ticket for a session.

    The answer is a page that goes on to / by itself: after a redirect, a browser that came from
    elsewhere would not send a SameSite=Strict cookie.
    """
    gateway = gateway_of(request)
    text = await use_ticket(gateway.store, gateway.place.keys, ticket) if ticket else None
    if text is None and await visitor(request) is None:
        return _html(request, "signin.html", HTTPStatus.UNAUTHORIZED)
    response = _html(request, "opened.html", HTTPStatus.OK)
    if text is not None:
        response.set_cookie(session_cookie(request, text))
    return response


@get("/static/{name:str}", opt=PUBLIC, include_in_schema=False)
async def static(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """Return a file of the page; there is nothing private in them."""
    data, tag = _file(request, name)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == f'"{tag}"':
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)


@get("/favicon.ico", opt=PUBLIC, include_in_schema=False)
async def favicon(request: AnyRequest) -> Response[bytes]:
    """Return the page's sign."""
    return Response(_file(request, "icon.svg")[0], media_type=_TYPES["svg"])


def page_routes() -> Router:
    """Return the routes of the page."""
    return Router("/", route_handlers=[page, open_page, static, favicon])


def _html(request: AnyRequest, name: str, status: HTTPStatus) -> Response[bytes]:
    data, _ = _file(request, name)
    return Response(data, status_code=status, media_type=_TYPES["html"], headers=_NO_STORE)


def _file(request: AnyRequest, name: str) -> File:
    found: File | None = request.app.state.static.get(name)
    if found is None:
        raise NotFoundException(f"The page has no file {name}.")
    return found
