"""Connections to the hot store: bytes in and out, timeouts, and no retry behind the caller's back.

A retry that the client makes on its own repeats what the server may have done already; those who
write the tape decide that themselves.
"""

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 5.0
"""Longest wait for a reply; a blocking read asks for less."""

UNREACHABLE = (redis.ConnectionError, redis.TimeoutError, OSError)
"""No answer; redis.BusyLoadingError, a server that still reads its file, is one of them."""


def connect(url: str) -> redis.Redis:
    """Return a client of the server; it connects at its first command and may be shared."""
    return redis.Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=REPLY_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def async_connect(url: str) -> redis.asyncio.Redis:
    """Return a client for coroutines; it connects at its first command, close it by aclose()."""
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=REPLY_TIMEOUT_S,
        retry=AsyncRetry(NoBackoff(), 0),
    )
