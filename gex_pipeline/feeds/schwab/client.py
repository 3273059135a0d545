"""schwab-py's client on our token store: one renewal at a time, ahead of the expiry.

The session is built from schwab-py's public constructors. With another base URL a transport sends
the same requests to another host; that is all that the simulator changes.
"""

import asyncio
import logging
import ssl
from typing import Any
from urllib.parse import urlsplit

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT, Wrapped
from gex_pipeline.feeds.schwab.journal import Journal
from gex_pipeline.feeds.schwab.library import (
    TOKEN_ENDPOINT,
    AsyncClient,
    AsyncOAuth2Client,
    OAuth2Token,
    TokenMetadata,
    http,
)
from gex_pipeline.feeds.schwab.tokenanswer import Pause, screened, told
from gex_pipeline.feeds.tokens import TokenStore

SCHWAB_URL = "https://api.schwabapi.com"
ACCESS_LIFE_S = 1800
_CLOSE_S = 2.0

__all__ = [
    "ACCESS_LIFE_S",
    "SCHWAB_URL",
    "Noted",
    "Session",
    "open_client",
    "renew",
    "told",
    "transport_to",
]

log = logging.getLogger(__name__)


class Noted(AsyncOAuth2Client):  # type: ignore[misc] # authlib has no types
    """authlib's session with a line in the log and a count for each request."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.journal = Journal()

    async def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request, whatever it is for, and note what came of it."""
        return await self.journal.send(request, lambda: super(Noted, self).send(request, **kwargs))


class Session(Noted):
    """A signed-in session; before it renews a token it takes the lock and reads the store again.

    While the token endpoint fails, the token in hand is used to its end, and the endpoint is asked
    again after a pause, however many requests there are.
    """

    token: Any

    def __init__(self, store: TokenStore, metadata: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.known = metadata
        self.pause = Pause()
        self.renewals = 0
        """Requests that went to the token endpoint."""
        self._dead: tuple[str, SignInError] | None = None
        """A refresh token that was refused, and how: it is not offered again."""
        self._renewing = asyncio.Lock()
        self.register_compliance_hook("refresh_token_response", screened)

    async def ensure_active_token(self, token: Any) -> None:
        """Renew the token if its time is near, unless another process has done so."""
        if self.left_s > self._margin_s:
            return
        alive = self.left_s > _CLOSE_S
        if alive and (self._renewing.locked() or self.pause.left_s):
            return
        try:
            await self.renew()
        except SignInError:
            raise
        except FeedError as error:
            if not alive:
                raise
            log.warning("%s The access token in hand is good for %.0f s.", error, self.left_s)

    @property
    def left_s(self) -> float:
        """Life that the access token has left."""
        return float((self.token.get("expires_at") or EXPIRED_AT) - self.store.now_s())

    @property
    def _margin_s(self) -> float:
        """Life that is left when a renewal is due: the same share of any token's life."""
        return float(self.leeway * self.token.get("expires_in", ACCESS_LIFE_S) / ACCESS_LIFE_S)

    async def renew(self, *, force: bool = False) -> None:
        """Take a new access token; `force`: even if ours is good, but not if a newer one is stored.

        Raises:
            SignInError: the refresh token is dead.
            FeedError: the endpoint gives none for now.
        """
        held = self.token.get("access_token")
        async with self._renewing, self.store.locked():
            fresh = self.adopt() or self.token.get("access_token") != held
            if self.left_s > self._margin_s and (fresh or not force):
                return
            if self.pause.left_s:
                fact = (
                    f"Schwab's token endpoint fails; it is asked again in {self.pause.left_s:.0f} s"
                )
                raise FeedError(fact)
            await self._ask()

    async def _ask(self) -> None:
        offered = self.token["refresh_token"]
        if self._dead is not None and self._dead[0] == offered:
            raise self._dead[1]
        self.renewals += 1
        try:
            async with told():
                await self.refresh_token(TOKEN_ENDPOINT, offered)
        except SignInError as error:
            self._dead = offered, error
            held = {"creation_timestamp": self.known.creation_timestamp, "token": self.token}
            self.store.refuse(held, str(error))
            raise
        except FeedError as error:
            self.pause.failed(error)
            raise
        self.pause.worked()
        log.info("the access token is renewed; it is good for %.0f minutes", self.left_s / 60)

    def adopt(self) -> bool:
        """Go on with the stored token where it is newer than ours, or of another sign-in.

        A file that has gone or broken meanwhile stops nobody who holds a good token: the next
        renewal writes it again, and what stood there is kept.
        """
        try:
            wrapped = self.store.read()
        except SignInError as error:
            log.warning("%s The token in memory is used.", error)
            return False
        token = wrapped["token"]
        renewed = token["expires_at"] > (self.token.get("expires_at") or 0)
        other = wrapped["creation_timestamp"] != self.known.creation_timestamp
        if not (renewed or other or token["refresh_token"] != self.token.get("refresh_token")):
            return False
        self._dead = None
        self.token = OAuth2Token.from_dict(dict(token))
        self.known.token = self.token
        self.known.creation_timestamp = wrapped["creation_timestamp"]
        return True


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
        token.setdefault("expires_at", int(store.now_s()) + ACCESS_LIFE_S)
        await asyncio.to_thread(write, token, **kwargs)

    session = Session(
        store,
        metadata,
        client_id=key,
        client_secret=secret,
        token=dict(wrapped["token"]),
        token_endpoint=TOKEN_ENDPOINT,
        update_token=keep,
        leeway=max(60.0, ACCESS_LIFE_S - renew_after_s),
        **transport_to(base_url),
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
        await session.renew(force=True)
    else:
        await session.ensure_active_token(session.token)


def transport_to(base_url: str) -> dict[str, Any]:
    """Return what makes a session talk to another host than Schwab's."""
    if urlsplit(base_url)[:2] == urlsplit(SCHWAB_URL)[:2]:
        return {}
    return {"transport": Elsewhere(base_url)}
