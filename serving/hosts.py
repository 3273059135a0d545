"""Which host names are answered, and the headers that every answer carries.

A page of somebody else can point a name of its own at 127.0.0.1 and so read what only this machine
should (DNS rebinding); its requests carry that name. Litestar's own check compares the port too,
and so would refuse a forwarded one.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import answer, make_problem

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_ANY_ADDRESS: Final = ("0.0.0.0", "::", "")  # noqa: S104 # compared, not bound
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def known_hosts(listens_on: str, more: Iterable[str]) -> frozenset[str]:
    """Return the host names to answer to: this machine's, the address itself, and those set."""
    own = () if listens_on in _ANY_ADDRESS else (listens_on,)
    return frozenset(name.lower() for name in (*LOOPBACK, *own, *more))


class KnownHosts(ASGIMiddleware):
    """Refuses other host names, and adds the protective headers."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on if its Host is known."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders(message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        host = MutableScopeHeaders(scope).get("host", "")
        if _without_port(host).lower() in self._hosts:
            await next_app(scope, receive, send_with_headers)
            return
        problem = make_problem(
            HTTPStatus.BAD_REQUEST,
            "The Host of this request is not answered to. Add its name to GEX_ALLOWED_HOSTS.",
            "unknown_host",
        )
        refusal = answer(problem).to_asgi_response(None, scope["litestar_app"].request_class(scope))
        await refusal(scope, receive, send_with_headers)


def _without_port(host: str) -> str:
    """Return the name of a Host header: example.org:80, [::1]:80."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
