"""The streamer as others see it: its lease, its status, the namespace's clock."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping

import redis

from gex_pipeline.errors import LeaseHeldError
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import Lease, Status
from gex_pipeline.streamer.markettime import MarketTime

SERVICE = "streamer"
LEASE_MS = 3_000
_EACH_S = 1.0
_TRY_S = 0.25
_GRACE_S = 1.0

log = logging.getLogger(__name__)


class Presence:
    """Lease, status and clock in the hot store; while that is away, nothing stops."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        token = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._client = client
        self._keys = keys
        self._lease = Lease(client, keys, SERVICE, token, LEASE_MS)
        self._status = Status(client, keys, SERVICE)

    async def acquire(self) -> None:
        """Take the lease; one that a dead owner left ends within its term.

        Raises:
            LeaseHeldError: another streamer holds it.
        """
        until_s = time.monotonic() + LEASE_MS / 1000 + _GRACE_S
        while True:
            try:
                if await asyncio.to_thread(self._lease.acquire) is not None:
                    return
            except UNREACHABLE:
                log.warning("the hot store is away; on this machine the spool's lock is enough")
                return
            if time.monotonic() > until_s:
                raise LeaseHeldError(SERVICE)
            await asyncio.sleep(_TRY_S)

    async def keep(
        self, market: MarketTime | None, fields: Callable[[], Mapping[str, object]]
    ) -> None:
        """Renew the lease, tell the status and publish the clock if it is known, each second.

        Raises:
            LeaseHeldError: another streamer took the lease.
        """
        while True:
            if not await asyncio.to_thread(self._tell, market, fields()):
                raise LeaseHeldError(SERVICE)
            await asyncio.sleep(_EACH_S)

    async def release(self) -> None:
        """Give the lease back, if the hot store is there."""
        try:
            await asyncio.to_thread(self._lease.release)
        except UNREACHABLE:
            log.warning("the hot store is away; the lease ends by itself")

    def _tell(self, market: MarketTime | None, fields: Mapping[str, object]) -> bool:
        """Return False if the lease is another's; True also while the server is away."""
        try:
            held = self._lease.renew() or self._lease.acquire() is not None
            if held and market is not None:
                publish_clock(self._client, self._keys, market.clock)
            if held:
                self._status.beat(fields)
        except UNREACHABLE:
            return True
        return held
