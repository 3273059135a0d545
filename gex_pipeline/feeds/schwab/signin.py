"""A person's sign-in: the link to Schwab's consent page, and the answer exchanged for a token.

The authorization code in the answer lives 30 seconds and works once. What an answer has to prove is
the state, random and compared in constant time, of the one sign-in that is pending.
"""

import asyncio
import re
import secrets
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gex_pipeline.errors import ConsentError, FeedError, SignInError
from gex_pipeline.feeds.oldtokens import Wrapped
from gex_pipeline.feeds.schwab.client import ACCESS_LIFE_S, SCHWAB_URL, Noted, transport_to
from gex_pipeline.feeds.schwab.library import (
    TOKEN_ENDPOINT,
    OAuthError,
)
from gex_pipeline.feeds.schwab.tokenanswer import refusal, screened, told
from gex_pipeline.feeds.tokens import TokenStore

PENDING_S: Final = 600
"""How long a consent link may be answered."""
CODE_LIFE_S: Final = 30
_AUTHORIZE: Final = "/v1/oauth/authorize"
_AGAIN: Final = "Begin again: gex auth login"
_PORTS: Final = {"http": 80, "https": 443}
_ERROR_NAME: Final = re.compile(r"[a-z_]{1,40}")
"""Of OAuth's; what Schwab says instead of one may repeat a secret."""


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """The registered app that asks for consent."""

    key: str
    secret: str
    redirect_uri: str
    """Exactly as the developer portal has it."""
    pkce: bool = False
    base_url: str = SCHWAB_URL
    timeout_s: float = 15.0

    def __repr__(self) -> str:
        return f"Application({self.redirect_uri})"  # key and secret stay out of every text


class Pending(msgspec.Struct, frozen=True):
    """One sign-in that waits for its answer."""

    url: str
    """The consent page."""
    state: str
    verifier: str | None
    redirect_uri: str
    begun_s: float
    """Wall clock, seconds since 1970."""

    def __repr__(self) -> str:
        return f"Pending({self.redirect_uri})"

    def left_s(self, now_s: float) -> float:
        """Return how long it may still be answered."""
        return max(0.0, self.begun_s + PENDING_S - now_s)


class SignIn:
    """At most one pending sign-in, which one answer ends."""

    def __init__(self, app: Application, store: TokenStore) -> None:
        self.app = app
        self.store = store
        self.pending: Pending | None = None
        self._finishing = asyncio.Lock()

    def begin(self) -> Pending:
        """Return a new sign-in; one that was pending is void."""
        app = self.app
        session = _session(app)
        verifier = secrets.token_urlsafe(64) if app.pkce else None
        url, state = session.create_authorization_url(
            f"{app.base_url.rstrip('/')}{_AUTHORIZE}",
            state=secrets.token_urlsafe(32),
            code_verifier=verifier,
        )
        self.pending = Pending(url, state, verifier, app.redirect_uri, self.store.now_s())
        return self.pending

    def cancel(self) -> None:
        """Void the pending sign-in, if there is one."""
        self.pending = None

    def fits(self, received: str) -> bool:
        """Return whether an address is the answer to the pending sign-in, good or bad."""
        if self.pending is None:
            return False
        found, query = _parts(received)
        same = _origin(found) == _origin(self.pending.redirect_uri)
        return same and _is_state(query.get("state", ""), self.pending)

    async def finish(self, received: str) -> Wrapped:
        """Exchange the address that the browser was sent to for a token, and store it.

        `received` may be pasted: blanks, quotes and line breaks in it do not matter, and its query
        alone will do. An answer that fits ends the pending sign-in, also when Schwab refuses it;
        while Schwab does not answer, the same one may be given again.

        Raises:
            ConsentError: it signs nobody in; the message says why.
            SignInError: Schwab does not know the app.
            FeedError: Schwab did not answer.
        """
        async with self._finishing:
            return await self._finish(received)

    async def _finish(self, received: str) -> Wrapped:
        pending = self.pending
        if pending is None:
            raise ConsentError("No sign-in is waiting for an answer", _AGAIN)
        code = _code_of(received, pending, self.store.now_s())
        try:
            token = await self._exchange(pending, code)
        except SignInError:
            self._end(pending)
            raise
        self._end(pending)
        now_s = int(self.store.now_s())
        token.setdefault("expires_at", now_s + ACCESS_LIFE_S)
        wrapped: Wrapped = {"creation_timestamp": now_s, "token": token}
        async with self.store.locked():
            self.store.write(wrapped)
        return wrapped

    def _end(self, pending: Pending) -> None:
        """Void a sign-in, but not one that has begun meanwhile."""
        if self.pending is pending:
            self.pending = None

    async def _exchange(self, pending: Pending, code: str) -> dict[str, Any]:
        async with _session(self.app) as session, told():
            session.register_compliance_hook("access_token_response", screened)
            try:
                token = await session.fetch_token(
                    TOKEN_ENDPOINT,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.verifier,
                )
            except OAuthError as error:
                raise _refused(error) from None
        if not isinstance(token.get("refresh_token"), str):
            raise FeedError("Schwab answered without a refresh token", _AGAIN)
        return dict(token)


def _session(app: Application) -> Any:
    return Noted(
        client_id=app.key,
        client_secret=app.secret,
        redirect_uri=app.redirect_uri,
        code_challenge_method="S256" if app.pkce else None,
        timeout=app.timeout_s,
        **transport_to(app.base_url),
    )


def _code_of(received: str, pending: Pending, now_s: float) -> str:
    """Return the code of an answer that proves itself; the library decodes nothing twice."""
    where, query = _parts(received)
    if not pending.left_s(now_s):
        raise ConsentError(f"The link is older than {PENDING_S // 60} minutes", _AGAIN)
    if where and "://" not in where:  # a code alone, say, which no message may show
        raise ConsentError(
            "That is no address",
            f"Paste the whole address that the browser ended at: {pending.redirect_uri}?code=…",
        )
    if where and _origin(where) != _origin(pending.redirect_uri):
        raise ConsentError(
            f"The answer came to {_shown(where)}, not to {pending.redirect_uri}",
            "Make SCHWAB_REDIRECT_URI and the callback address in the developer portal the same,"
            " to the last character, and paste the address that the browser ended at.",
        )
    if not query.get("code") and "error" not in query:
        raise ConsentError(
            "There is no authorization code in it",
            f"Paste the whole address that the browser ended at: {pending.redirect_uri}?code=…",
        )
    if not _is_state(query.get("state", ""), pending):
        raise ConsentError(
            "It answers another sign-in (its state differs)",
            "Open the newest link, and give back the address that this one ends at.",
        )
    if "error" in query:
        raise ConsentError(
            f"The consent was not given ({_name(query['error'])})", f"Allow it there. {_AGAIN}"
        )
    return query["code"]


def _refused(error: Any) -> FeedError:
    if error.error == "invalid_grant":
        return ConsentError(
            f"Schwab did not take the code: it lives {CODE_LIFE_S} seconds, works once, and only"
            " for the app and the callback address that it was given to",
            f"{_AGAIN}, and finish it within {CODE_LIFE_S} seconds of the consent.",
        )
    found = refusal(error)
    if isinstance(found, SignInError) and error.error != "invalid_client":
        return ConsentError(f"Schwab refused the code ({_name(str(error.error))})", _AGAIN)
    return found


def _name(said: str) -> str:
    """Return the name of an error as it was said, if it is one."""
    return said if _ERROR_NAME.fullmatch(said) else "an error without a name"


def _shown(address: str) -> str:
    """Return what of an address a person compares: nothing of it can be a code."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path[:40]}"


def _parts(received: str) -> tuple[str, dict[str, str]]:
    """Return address and parameters of what was received; no address for a query alone."""
    text = "".join(received.split()).strip("'\"`<>")
    address, mark, query = text.partition("?")
    if not mark:
        bare = "code=" in text or "error=" in text
        address, query = ("", text) if bare else (text, "")
    return address, dict(parse_qsl(query.partition("#")[0], keep_blank_values=True))


def _origin(address: str) -> tuple[str, str | None, int | None, str]:
    """Return what two addresses of the same callback have in common."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None, ""
    return parts.scheme, parts.hostname, port, parts.path or "/"


def _is_state(given: str, pending: Pending) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), pending.state.encode())
