"""The vendor's account: how the sign-in stands, a new one, and alerts."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Router, get, post
from litestar.datastructures import CacheControlHeader
from litestar.params import JSONBody, QueryParameter

from gex_pipeline.gateway.account import Account, account_state
from gex_pipeline.gateway.alerts import MOST_ALERTS, Alerts, newest_alerts
from gex_pipeline.gateway.relogin import LONGEST_URL, Begun, SignIns
from serving.auth import OPS, READ, gateway_of

_LARGEST_BODY: Final = 2 * LONGEST_URL
_FIRST: Final = 100

AnyRequest = Request[Any, Any, Any]
Limit = Annotated[
    int, QueryParameter(name="limit", ge=1, le=MOST_ALERTS, description="Most rows of `recent`.")
]


class Pasted(msgspec.Struct, frozen=True):
    """The address that the browser ended at after the consent, as it was pasted."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_URL)]


class SignedIn(msgspec.Struct, frozen=True):
    """Whether the request signed somebody in."""

    signed_in: bool


@get("/account", opt=READ, summary="The sign-in at the vendor")
async def account(request: AnyRequest) -> Account:
    """Return whether we are signed in, how long consent and access last, and what is pending."""
    return await account_state(gateway_of(request), request.user.scopes)


@post("/account/sign-in", opt=OPS, status_code=200, summary="Begin a sign-in")
async def begin(request: AnyRequest) -> Begun:
    """Return the link of the consent page, and whether the callback is taken; 5 a minute."""
    return await sign_ins_of(request).begin(request.user.id)


@post(
    "/account/sign-in/finish",
    opt=OPS,
    status_code=200,
    request_max_body_size=_LARGEST_BODY,
    summary="Finish a sign-in",
)
async def finish(request: AnyRequest, data: JSONBody[Pasted]) -> SignedIn:
    """Finish with the address that the browser ended at; 409 says why it signs nobody in."""
    await sign_ins_of(request).finish(request.user.id, data.url)
    return SignedIn(signed_in=True)


@post("/account/sign-in/cancel", opt=OPS, status_code=200, summary="Cancel a sign-in")
async def cancel(request: AnyRequest) -> SignedIn:
    """Void the link of the pending sign-in and close the callback."""
    await sign_ins_of(request).cancel(request.user.id)
    return SignedIn(signed_in=False)


@get("/alerts", opt=READ, summary="Alerts")
async def alerts(request: AnyRequest, limit: Limit = _FIRST) -> Alerts:
    """Return what a person should know now, and what was told lately."""
    return await newest_alerts(gateway_of(request), limit)


def account_routes() -> Router:
    """Return the routes of the account."""
    return Router(
        "/api/v1",
        route_handlers=[account, begin, finish, cancel, alerts],
        cache_control=CacheControlHeader(no_store=True),
        tags=["account"],
    )


def sign_ins_of(request: AnyRequest) -> SignIns:
    """Return the sign-ins of the running application."""
    sign_ins: SignIns = request.app.state.sign_ins
    return sign_ins
