"""The keys of a replay as a whole: cleared, begun anew, removed, left to expire."""

from typing import Any, Final

import redis

from gex_pipeline.hot.keys import DAY_S, Keys
from gex_pipeline.hot.session import SERVICE, SESSION_TTL_S

_DATA: Final = (
    "tape",
    "last",
    "ticks",
    "options",
    "depth",
    "chain",
    "gex",
    "gexring",
    "basis",
    "resume",
)
"""First words of the keys that a generation fills."""


def begin_anew(store: redis.Redis, keys: Keys) -> None:
    """Take out what an earlier replay of this id left; the lease is ours."""
    clear(store, keys)
    store.delete(keys.session(), keys.clock(), keys.status("engine"), keys.control(SERVICE))
    store.expire(keys.fence(SERVICE), DAY_S)


def clear(store: redis.Redis, keys: Keys) -> None:
    """Take out all that a generation filled; who follows a figure hears that it is gone."""
    found = [key for word in _DATA for key in _keys(store, f"{keys.prefix}{word}:*")]
    with store.pipeline(transaction=False) as pipe:
        for key in found:
            pipe.delete(key)
            if key.startswith((f"{keys.prefix}gex:".encode(), f"{keys.prefix}basis:".encode())):
                pipe.publish(key.decode(), b"")
        pipe.execute()


def remove(store: redis.Redis, keys: Keys) -> None:
    """Take out the whole namespace."""
    clear(store, keys)
    with store.pipeline(transaction=False) as pipe:
        for key in _keys(store, f"{keys.prefix}*"):
            pipe.delete(key)
        pipe.execute()


def let_expire(store: redis.Redis, keys: Keys) -> None:
    """Have every key of the namespace end a day from now."""
    with store.pipeline(transaction=False) as pipe:
        for key in _keys(store, f"{keys.prefix}*"):
            pipe.expire(key, SESSION_TTL_S)
        pipe.execute()


def _keys(store: redis.Redis, pattern: str) -> list[Any]:
    return list(store.scan_iter(match=pattern, count=1_000))
