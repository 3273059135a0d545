"""Who runs a service, and how it is: leases with fencing numbers, and heartbeats."""

import os
from collections.abc import Mapping
from typing import Any, cast

import redis

from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.hot.keys import STATUS_TTL_S, Keys


class Lease:
    """The right to run a service, for `ttl_ms` after each acquire or renew.

    `owner_token` is the process's own secret name; the fencing number rises with every new owner.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, service: str, owner_token: str, ttl_ms: int
    ) -> None:
        self.service = service
        self.fence: int | None = None
        """Our fencing number while we hold the lease."""
        self._client = client
        self._key = keys.lease(service)
        self._fence_key = keys.fence(service)
        self._token = owner_token.encode()
        self._ttl_ms = ttl_ms

    def acquire(self) -> int | None:
        """Return our fencing number, None while another owner holds the lease.

        Whoever holds it already keeps its number.
        """
        fence, owner = self._holder()
        if owner == self._token:
            self.fence = fence
            return fence if self.renew() else None
        if owner is not None:
            return None
        fence = self._client.incr(self._fence_key)
        return self._take(fence)

    def renew(self) -> bool:
        """Hold the lease for another term; False: it is lost, and so is the right to write.

        A lease that lapsed, or that the server lost, is taken again if nobody had it in between.
        """
        if self.fence is None:
            return False
        fence, owner = self._holder()
        if owner is None:
            return self._regain(self.fence)
        if (fence, owner) == (self.fence, self._token) and self._extend():
            return True
        self.fence = None
        return False

    def release(self) -> None:
        """Give the lease back, if it is ours."""
        self._guarded(delete=True)
        self.fence = None

    def _holder(self) -> tuple[int, bytes | None]:
        return _parse(cast("bytes | None", self._client.get(self._key)))

    def _take(self, fence: int) -> int | None:
        value = b"%d:%s" % (fence, self._token)
        taken = self._client.set(self._key, value, nx=True, px=self._ttl_ms)
        self.fence = fence if taken else None
        return self.fence

    def _regain(self, fence: int) -> bool:
        newest = int(cast("bytes | None", self._client.get(self._fence_key)) or 0)
        if newest > fence:  # somebody came and went
            self.fence = None
            return False
        self._client.set(self._fence_key, fence)
        return self._take(fence) is not None

    def _extend(self) -> bool:
        return self._guarded(delete=False)

    def _guarded(self, *, delete: bool) -> bool:
        """Delete or extend the lease only as long as it is ours."""
        with self._client.pipeline() as pipe:
            try:
                pipe.watch(self._key)  # type: ignore[no-untyped-call] # redis-py has no types there
                if _parse(cast("bytes | None", pipe.get(self._key))) != (self.fence, self._token):
                    return False
                pipe.multi()
                if delete:
                    pipe.delete(self._key)
                else:
                    pipe.pexpire(self._key, self._ttl_ms)
                return bool(pipe.execute()[0])
            except redis.WatchError:
                return False


class Status:
    """A service's hash of heartbeat and counters."""

    def __init__(self, client: redis.Redis, keys: Keys, service: str) -> None:
        self._client = client
        self._key = keys.status(service)

    def beat(self, fields: Mapping[str, object]) -> None:
        """Replace the fields; `ts_ns` (wall time) and `pid` are added. None is left out."""
        text = {name: _text(value) for name, value in fields.items() if value is not None}
        text |= {"ts_ns": str(live_clock().anchor_event_ns), "pid": str(os.getpid())}
        with self._client.pipeline() as pipe:
            pipe.delete(self._key)
            pipe.hset(self._key, mapping=cast("Any", text))
            pipe.expire(self._key, STATUS_TTL_S)
            pipe.execute()


def read_status(client: redis.Redis, keys: Keys, service: str) -> dict[str, str]:
    """Return a service's newest fields, none if it has not beaten for a day."""
    stored = cast("dict[bytes, bytes]", client.hgetall(keys.status(service)))
    return {name.decode(): value.decode() for name, value in stored.items()}


def _parse(value: bytes | None) -> tuple[int, bytes | None]:
    if value is None:
        return 0, None
    fence, _, token = value.partition(b":")
    return int(fence), token


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
