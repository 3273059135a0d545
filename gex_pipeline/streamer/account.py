"""The signed-in client that stream and chains share, and the wait for a person when it is dead."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.tokens import TokenStore

_LOOK_S = 1.0
_RENEW_LOOK_S = 15.0

log = logging.getLogger(__name__)


class Account:
    """Opens the client once there is a token, keeps it fresh, and takes up a new sign-in."""

    def __init__(self, store: TokenStore, open_client: Callable[[], Any]) -> None:
        self.store = store
        self.refused: str | None = None
        """Why a person is needed; None: signed in."""
        self._open_client = open_client
        self._client: Any = None
        self._dead: object = None

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
        """Say that a new sign-in is needed, and return when the store holds one."""
        if self.refused is None:
            log.error("%s", error)
        self.refused = str(error)
        self._dead = self._stored()
        while self._stored() == self._dead:  # noqa: ASYNC110 # another process writes the file
            await asyncio.sleep(_LOOK_S)
        if self._client is not None:
            self._client.session.adopt()
        self.refused = None

    async def keep_fresh(self) -> None:
        """Renew the access token ahead of its end, and save one that the disk refused."""
        while True:
            await asyncio.sleep(_RENEW_LOOK_S)
            if self._client is None or self.refused is not None:
                continue
            try:
                await renew(self._client)
            except SignInError as error:
                await self.wait_for_person(error)
            except FeedError as error:
                log.warning("%s", error)

    async def close(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close_async_session()

    async def _fresh(self) -> Any:
        if self._client is None:
            self._client = self._open_client()
        await renew(self._client)
        return self._client

    def _stored(self) -> object:
        """Return what tells one sign-in from another, or None if there is none."""
        try:
            wrapped = self.store.read()
        except SignInError:
            return None
        return wrapped["creation_timestamp"], wrapped["token"]["refresh_token"]
