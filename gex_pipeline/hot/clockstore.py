"""The market clock in the hot store, and the one place that reads the wall clock for it."""

import time
from functools import cache
from pathlib import Path
from typing import Any, cast

import redis

from gex_pipeline.hot.keys import CLOCK_TTL_S, Keys
from gex_pipeline.market.clock import MarketClock, clock_from_mapping, clock_to_mapping

_BOOT = "boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def live_clock() -> MarketClock:
    """Return the market clock of real time, anchored now: take it anew now and then."""
    now_ns = time.time_ns()  # noqa: TID251 # the edge at which wall time becomes a value
    return MarketClock(now_ns, time.monotonic_ns())


def publish_clock(client: redis.Redis, keys: Keys, clock: MarketClock) -> None:
    """Make the clock that of the namespace; it holds until the machine starts again."""
    fields = clock_to_mapping(clock) | {_BOOT: boot_id()}
    with client.pipeline() as pipe:
        pipe.delete(keys.clock())
        pipe.hset(keys.clock(), mapping=cast("Any", fields))
        pipe.expire(keys.clock(), CLOCK_TTL_S)
        pipe.execute()


def read_clock(client: redis.Redis, keys: Keys) -> MarketClock:
    """Return the namespace's clock; the live one where none was published since the last boot.

    Raises:
        InputError: what stands there is no clock.
    """
    stored = cast("dict[bytes, bytes]", client.hgetall(keys.clock()))
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    if not fields or fields.pop(_BOOT, "") != boot_id():
        return live_clock()
    return clock_from_mapping(fields)


@cache
def boot_id() -> str:
    """Return what changes when monotonic time starts again; "" where the system has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
