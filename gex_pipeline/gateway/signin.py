"""How a browser gets in: a one-time link, which is exchanged for a session.

The link's ticket lives five minutes and is taken out of the store when it is used. A session is an
API key that lives in the hot store alone, for a week.
"""

import secrets
from typing import Any, Final

import redis
import redis.asyncio

from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.keys import SCOPES, digest, new_key
from gex_pipeline.hot.keys import Keys

TICKET_S: Final = 300
SESSION_S: Final = 7 * 86_400


def one_time_link(store: redis.Redis, keys: Keys, base_url: str) -> str:
    """Return an address that opens the page once, within five minutes.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    ticket = secrets.token_urlsafe(32)
    try:
        store.set(_ticket(keys, ticket), b"1", ex=TICKET_S)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    return f"{base_url.rstrip('/')}/open?ticket={ticket}"


async def use_ticket(store: redis.asyncio.Redis, keys: Keys, ticket: str) -> str | None:
    """Return a new session's key for a ticket, or None if it is used, too old or none of ours.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    try:
        if await store.getdel(_ticket(keys, ticket)) is None:
            return None
        key, text = new_key(SCOPES, "session")
        several: Any = store.pipeline(transaction=True)
        several.hset(keys.apikey(key.id), mapping=key.to_hash())
        several.expire(keys.apikey(key.id), SESSION_S)
        await several.execute()
    except STORE_ERRORS as error:
        raise store_away(error) from error
    return text


def _ticket(keys: Keys, ticket: str) -> str:
    """Return the key of a ticket: who reads the store learns no valid one."""
    return f"{keys.prefix}ticket:{digest(ticket)}"
