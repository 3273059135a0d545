"""The signed-in client that stream and chains share, and the wait for a person when it is dead."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.consent import consent_of, warning_of
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.schwab.journal import Journal
from gex_pipeline.feeds.schwab.signin import SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.streamer.bell import Bell

_LOOK_S = 1.0
_RENEW_LOOK_S = 15.0

log = logging.getLogger(__name__)


class Access(NamedTuple):
    """How this process signs in."""

    store: TokenStore
    open_client: Callable[[], Any]
    sign_in: SignIn
    due_after_days: float
    """Age of the consent at which a new one is due."""
    account: str | None = None
    """The account's id as it may be shown, masked; None: it is not set."""


class Account:
    """Opens the client once there is a token, keeps it fresh, and takes up a new sign-in."""

    def __init__(self, access: Access, bell: Bell, *, look_s: float = _RENEW_LOOK_S) -> None:
        self.store = access.store
        self.bell = bell
        self.journal = Journal()
        """Of all requests, whichever client sent them."""
        self._error: SignInError | None = None
        self._over: SignInError | None = None
        """What the last pause was told by: who hears of it late need not wait."""
        self._due_after_days = access.due_after_days
        self._shown = access.account
        self._look_s = look_s
        self._open_client = access.open_client
        self._client: Any = None
        self._paused = asyncio.Event()

    @property
    def refused(self) -> str | None:
        """Why a person is needed; None: signed in."""
        return None if self._error is None else str(self._error)

    async def client(self) -> Any:
        """Return the client, its token fresh; wait while only a person can help.

        Raises:
            FeedError: the token could not be renewed for now.
        """
        while True:
            try:
                return await self._fresh()
            except SignInError as error:
                await self.wait_for_person(error)

    async def wait_for_person(self, error: SignInError) -> None:
        """Say that a new sign-in is needed, and return when the store holds one.

        New is what differs from the one in use: one that came meanwhile ends the wait at once.
        """
        if error is self._over:
            return
        self._error = self._error or error
        self._paused.set()
        self.bell.ring("auth_required", "critical", str(self._error))
        dead = self._in_use()
        while self._stored() in (None, dead):  # noqa: ASYNC110 # another process writes the file
            await asyncio.sleep(_LOOK_S)
        if self._client is not None:
            self._client.session.adopt()
        if self._error is not None:
            log.info("a new sign-in is stored; streaming goes on")
            self._over = self._error
        self._error = None
        self._paused.clear()
        self.bell.still("auth_required")

    async def until_paused(self) -> None:
        """Return when only a person can go on, whoever found out: what runs should stop.

        Raises:
            SignInError: always, with the reason.
        """
        while self._error is None:
            await self._paused.wait()
        raise self._error

    async def keep_fresh(self) -> None:
        """Renew the access token ahead of its end, save one that the disk refused, and warn."""
        while True:
            try:
                await self.client()
            except FeedError as error:
                log.warning("%s", error)
            self._warn()
            await asyncio.sleep(self._look_s)

    def status(self) -> dict[str, object]:
        """Return what the status hash says of the sign-in; null where nobody knows."""
        try:
            wrapped = self.store.read()
        except SignInError as error:
            return {"consent_age_s": None, "consent_ends_ts": None, "access_ends_ts": None} | {
                "account": self._shown,
                "consent_note": str(error),
                "token_problem": self.store.problem,
            }
        consent = consent_of(wrapped, self.store.now_s(), self._due_after_days)
        return {
            "account": self._shown,
            "consent_given_ts": consent.consent_given_ts,
            "consent_age_s": consent.consent_age_s,
            "consent_ends_ts": consent.consent_ends_ts,
            "consent_due_ts": consent.consent_due_ts,
            "access_ends_ts": consent.access_ends_ts,
            "consent_note": consent.note,
            "token_problem": self.store.problem,
        }

    async def close(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close_async_session()

    def _warn(self) -> None:
        """Ring for a token that is not on disk, and for a consent that ends soon."""
        if self.store.problem is None:
            self.bell.still("token_unsaved")
        else:
            cure = "It lives in memory alone: free the disk before the streamer stops."
            self.bell.ring("token_unsaved", "warning", f"{self.store.problem}. {cure}")
        try:
            wrapped = self.store.read()
        except SignInError:
            return
        if (refused := self.store.refused()) is not None:  # before the access token has ended
            self.bell.ring("consent_ends", "critical", refused)
            return
        now_s = self.store.now_s()
        due = warning_of(consent_of(wrapped, now_s, self._due_after_days), now_s)
        if due is None:
            self.bell.still("consent_ends")
        else:
            self.bell.ring("consent_ends", due.level, due.text)

    async def _fresh(self) -> Any:
        if self._client is None:
            self._client = self._open_client()
            self._client.session.journal = self.journal
        self._client.session.adopt()
        await renew(self._client)
        return self._client

    def _in_use(self) -> object:
        """Return the sign-in of our client; without a client the stored one, None: none is."""
        if self._client is None:
            return self._stored()
        session = self._client.session
        return session.known.creation_timestamp, session.token.get("refresh_token")

    def _stored(self) -> object:
        """Return what tells one sign-in from another, or None if there is none."""
        try:
            wrapped = self.store.read()
        except SignInError:
            return None
        return wrapped["creation_timestamp"], wrapped["token"]["refresh_token"]
