"""schwab-py's client on our token store: one renewal at a time, ahead of the expiry.

The session is built from schwab-py's public constructors. With another base URL a transport sends
the same requests to another host; that is all that the simulator changes.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.schwab.library import (
    TOKEN_ENDPOINT,
    AsyncClient,
    AsyncOAuth2Client,
    OAuth2Token,
    OAuthError,
    TokenMetadata,
    http,
)
from gex_pipeline.feeds.tokens import EXPIRED_AT, TokenStore, Wrapped

SCHWAB_URL = "https://api.schwabapi.com"
_ACCESS_LIFE_S = 1800
_DEAD = ("unsupported_token_type", "invalid_client", "invalid_grant", "refresh_token")

log = logging.getLogger(__name__)


class Session(AsyncOAuth2Client):  # type: ignore[misc] # authlib has no types
    """authlib's session; before it renews a token it takes the lock and reads the store again."""

    token: Any

    def __init__(self, store: TokenStore, metadata: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.known = metadata

    async def ensure_active_token(self, token: Any) -> None:
        """Renew the token if its time is near, unless another process has done so."""
        if not self.token.is_expired(leeway=self.leeway):
            return
        async with self.store.locked():
            self.adopt()
            async with told():
                await super().ensure_active_token(self.token)

    def adopt(self) -> None:
        """Go on with the stored token where it is newer than ours, or of another sign-in."""
        wrapped = self.store.read()
        token = wrapped["token"]
        renewed = token["expires_at"] > (self.token.get("expires_at") or 0)
        if renewed or wrapped["creation_timestamp"] != self.known.creation_timestamp:
            self.token = OAuth2Token.from_dict(dict(token))
            self.known.token = self.token
            self.known.creation_timestamp = wrapped["creation_timestamp"]


class Elsewhere(http.AsyncHTTPTransport):  # type: ignore[misc] # whichever httpx it is
    """Sends what is meant for Schwab to another host."""

    def __init__(self, base_url: str) -> None:
        super().__init__(verify=ssl.create_default_context())
        self.base = http.URL(base_url)

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request with scheme, host and port of the base URL."""
        base = self.base
        request.url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port)
        request.headers["Host"] = base.netloc.decode()
        return await super().handle_async_request(request)


def open_client(
    store: TokenStore,
    key: str,
    secret: str,
    *,
    base_url: str = SCHWAB_URL,
    timeout_s: float = 15.0,
    renew_after_s: float = 1500.0,
) -> Any:
    """Return a schwab-py AsyncClient that signs in with the stored token.

    Raises:
        SignInError: the store holds no token.
    """
    wrapped = store.read()
    metadata = TokenMetadata.from_loaded_token(wrapped, store.write)
    write = metadata.wrapped_token_write_func()

    async def keep(token: Wrapped, **kwargs: object) -> None:
        await asyncio.to_thread(write, token, **kwargs)

    session = Session(
        store,
        metadata,
        client_id=key,
        client_secret=secret,
        token=dict(wrapped["token"]),
        token_endpoint=TOKEN_ENDPOINT,
        update_token=keep,
        leeway=max(60.0, _ACCESS_LIFE_S - renew_after_s),
        **_transport(base_url),
    )
    client = AsyncClient(key, session, token_metadata=metadata)
    client.set_timeout(timeout_s)
    return client


async def renew(client: Any, *, force: bool = False) -> None:
    """Renew the access token if its time is near, or in any case with `force`.

    Raises:
        SignInError: the refresh token is dead.
        FeedError: the vendor did not answer; trying again may help.
    """
    session: Session = client.session
    session.store.save()
    if force:
        session.token["expires_at"] = EXPIRED_AT
    await session.ensure_active_token(session.token)


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """Turn the libraries' errors into ours; no text of an answer gets into a message."""
    try:
        yield
    except OAuthError as error:
        raise _oauth_fault(error) from None
    except http.HTTPError as error:
        raise FeedError(f"Schwab did not answer ({type(error).__name__})") from None
    except ValueError as error:
        raise FeedError(f"Schwab answered no JSON ({type(error).__name__})") from None


def _oauth_fault(error: Any) -> FeedError:
    said = f"{error.error} {error.description}"
    if any(word in said for word in _DEAD):
        return SignInError("Schwab does not take the stored refresh token any more")
    return FeedError("Schwab refused to renew the access token")


def _transport(base_url: str) -> dict[str, Any]:
    if urlsplit(base_url)[:2] == urlsplit(SCHWAB_URL)[:2]:
        return {}
    return {"transport": Elsewhere(base_url)}
