"""Renewal of the vendor's access token from outside the stream, on the stream's own token store."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.tokens import TokenStore

ACCESS_LIFE_S: Final = 1800.0


class SignIn(msgspec.Struct, frozen=True):
    """Where the token lies and how it is renewed."""

    folder: Path
    key: str
    secret: str
    base_url: str
    renew_after_s: float
    """Age of an access token at which it is renewed."""
    timeout_s: float
    old: Path | None = None
    """Where an earlier version kept the token."""
    env_back: Path | None = None
    """File that gets new refresh tokens, if they are wanted there."""

    @property
    def store(self) -> TokenStore:
        """The token's store, a token of an older shape or place upgraded."""
        store = TokenStore(self.folder, old=self.old, env_back=self.env_back)
        store.prepare()
        return store

    def __repr__(self) -> str:
        return f"SignIn({self.folder})"  # key and secret stay out of every text


def resting(sign_in: SignIn, now_s: float) -> str | None:
    """Return why nothing is to be renewed now; None: the access token is due.

    A sign-in that Schwab has refused is not offered again: only a person can go on.
    """
    store = sign_in.store
    try:
        token = store.read()["token"]
    except SignInError as error:
        return str(error)
    if refused := store.refused():
        return refused
    left_s = token["expires_at"] - now_s
    if left_s > ACCESS_LIFE_S - sign_in.renew_after_s:
        return f"The access token is good for {left_s / 60:.0f} more minutes."
    return None


def renew_now(sign_in: SignIn) -> str:
    """Renew the access token if nobody has meanwhile, and say how it stands.

    Raises:
        SignInError: there is no token, or it is dead: a person has to sign in.
        FeedError: the vendor did not answer; the next look tries again.
    """
    asyncio.run(_renew(sign_in))
    return "The access token is fresh."


async def _renew(sign_in: SignIn) -> None:
    from gex_pipeline.feeds.schwab.client import open_client, renew  # loads all of schwab-py

    client = open_client(
        sign_in.store,
        sign_in.key,
        sign_in.secret,
        base_url=sign_in.base_url,
        timeout_s=sign_in.timeout_s,
        renew_after_s=sign_in.renew_after_s,
    )
    try:
        await renew(client)
    finally:
        await client.close_async_session()
