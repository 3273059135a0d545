"""Schwab's sign-in: consent page, authorization code, access and refresh tokens."""

import base64
import binascii
import hashlib
import html
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gex_pipeline.simulator.tokens import Mint
from gex_pipeline.simulator.web import Answer, Request, json_answer

_DEAD_REFRESH: Final = {
    "error": "unsupported_token_type",
    "error_description": '400 Bad Request: "{"error_description":"Exception while authenticating'
    ' refresh token","error":"refresh_token_authentication_error"}"',
}
_PAGE: Final = """<!doctype html><title>Simulated consent</title>
<h1>SIMULATED sign-in</h1>
<p>Application <code>{client}</code> asks to read simulated market data. Nothing here is Schwab.</p>
<form method="get" action="/v1/oauth/authorize">{fields}
<input type="hidden" name="approve" value="1"><button>Allow</button></form>
"""


class _Consent(msgspec.Struct, frozen=True):
    """What a code was issued for."""

    client: str
    redirect: str
    challenge: str


def authorize(mint: Mint, request: Request) -> Answer:
    """Show the consent page, or once approved redirect to the callback with a code."""
    query = request.query
    redirect, client = query.get("redirect_uri", ""), query.get("client_id", "")
    if query.get("response_type") != "code" or not client or not _is_address(redirect):
        return _error(
            "invalid_request", "response_type=code, client_id and redirect_uri are needed"
        )
    if "approve" not in query:
        return _page(client, query)
    challenge = query.get("code_challenge", "")
    consent = msgspec.json.encode(_Consent(client, redirect, challenge)).decode()
    back = {"code": f"C0.{mint.issue('code', consent)}@", "session": "simulated"}
    if "state" in query:
        back["state"] = query["state"]
    separator = "&" if urlsplit(redirect).query else "?"
    return Answer(302, b"", (("location", f"{redirect}{separator}{urlencode(back)}"),))


def token(mint: Mint, request: Request) -> Answer:
    """Exchange a code or a refresh token; any client id and secret is good."""
    client = _client(request.headers.get("authorization", ""))
    if client is None:
        return _error("invalid_client", "Basic authentication is needed", 401)
    match request.form.get("grant_type"):
        case "authorization_code":
            return _exchange(mint, client, request.form)
        case "refresh_token":
            refresh = request.form.get("refresh_token", "")
            if mint.claim("refresh", refresh) is None:
                return json_answer(_DEAD_REFRESH, 400)
            return json_answer(mint.answer(refresh))
        case _:
            return _error("unsupported_grant_type", "authorization_code or refresh_token")


def _exchange(mint: Mint, client: str, form: dict[str, str]) -> Answer:
    code = form.get("code", "").removeprefix("C0.").removesuffix("@")
    claim = mint.spend(code)
    if claim is None:
        return _error("invalid_grant", "The code is unknown, used or older than 30 seconds")
    consent = msgspec.json.decode(claim, type=_Consent)
    if (client, form.get("redirect_uri", "")) != (consent.client, consent.redirect):
        return _error("invalid_grant", "The code belongs to another client or redirect_uri")
    if consent.challenge and _challenge(form.get("code_verifier", "")) != consent.challenge:
        return _error("invalid_grant", "The code_verifier does not match the code_challenge")
    return json_answer(mint.answer())


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _client(header: str) -> str | None:
    """Return the client id of a Basic header; None without id and secret."""
    scheme, _, encoded = header.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if scheme.lower() == "basic" and name and secret else None


def _page(client: str, query: dict[str, str]) -> Answer:
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in query.items()
    )
    page = _PAGE.format(client=html.escape(client), fields=fields)
    return Answer(200, page.encode(), (("content-type", "text/html; charset=utf-8"),))


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and quote(text, safe=":/?&=%@[]-._~+,") == text
    )


def _error(name: str, description: str, status: int = 400) -> Answer:
    return json_answer({"error": name, "error_description": description}, status)
