"""The newest bytes of the keys that are being read, kept in this process.

A key that somebody asks for is read at once and followed from then on: the engine publishes its
bytes on a channel of the key's own name, and because a channel may lose a message, a key that was
quiet for a second is read again. A key that nobody asked for during a minute is let go. While the
store is away the last bytes stay; how old they are is the reader's question.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from gex_pipeline.errors import GexError, UnavailableError
from gex_pipeline.feeds.cachecount import CacheCount

POLL_S: Final = 1.0
FORGET_S: Final = 60.0
_LISTEN_S: Final = 0.25
_BACK_OFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
STORE_ERRORS: Final = (RedisError, OSError)


class Entry:
    """One key: its bytes, how often they changed, and an event for the next change."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.version = 0
        self.changed = asyncio.Event()
        self.wanted_s = 0.0
        self.checked_s = 0.0

    def put(self, value: bytes | None, now_s: float) -> bool:
        """Take what the store holds now; wake the waiting if it is something else; return that."""
        self.checked_s = now_s
        if value == self.value:
            return False
        self.value = value
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()
        return True

    async def wait(self, version: int, timeout_s: float) -> None:
        """Return once the version is another one, or after the time."""
        if self.version != version:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), timeout_s)


class Both:
    """Two keys that make one answer: it changes with either."""

    def __init__(self, first: Entry, second: Entry) -> None:
        self._entries = (first, second)

    @property
    def version(self) -> int:
        """How often one of them changed."""
        return sum(entry.version for entry in self._entries)

    async def wait(self, version: int, timeout_s: float) -> None:
        """Return once the version is another one, or after the time."""
        if self.version != version:
            return
        waits = [asyncio.create_task(each.changed.wait()) for each in self._entries]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


class KeyCache:
    """Follows keys of the hot store; `run` is its loop, `on_turn` is called once a second."""

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        idle_channel: str,
        on_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._redis = redis
        self._idle_channel = idle_channel  # so that there is a subscription before the first key
        self._on_turn = on_turn
        self._entries: dict[str, Entry] = {}
        self._subscribed: set[str] = set()
        self.connected = False
        self.failures = 0
        self.count = CacheCount()

    async def entry(self, key: str) -> Entry:
        """Return the entry of a key, read from the store if it was not followed so far.

        Raises:
            UnavailableError: it was not, and the store does not answer.
        """
        entry = self._entries.get(key)
        if entry is not None:
            self.count.hits += 1
        else:
            self.count.misses += 1
            entry = Entry()
            await self._read({key: entry})
            entry = self._entries.setdefault(key, entry)
        entry.wanted_s = time.monotonic()
        return entry

    async def run(self) -> None:
        """Follow the keys until cancelled; a lost store is tried again for ever."""
        while True:
            try:
                await self._follow()
            except (*STORE_ERRORS, GexError):
                self.connected = False
                await asyncio.sleep(_BACK_OFF_S[min(self.failures, len(_BACK_OFF_S) - 1)])
                self.failures += 1

    async def _follow(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            self._subscribed = {self._idle_channel}
            await channel.subscribe(self._idle_channel)
            await self._read(self._entries)
            turn_s = 0.0
            while True:
                await self._match_subscriptions(channel)
                if time.monotonic() - turn_s >= POLL_S:
                    turn_s = time.monotonic()
                    await self._turn()
                await self._take(channel)

    async def _turn(self) -> None:
        """Do what is due each second: let go, read the quiet keys, and what the owner asks."""
        now_s = time.monotonic()
        for key in [k for k, e in self._entries.items() if now_s - e.wanted_s > FORGET_S]:
            del self._entries[key]
            self.count.evictions += 1
        quiet = {k: e for k, e in self._entries.items() if now_s - e.checked_s >= POLL_S}
        await self._read(quiet)
        await self._on_turn()
        self.connected, self.failures = True, 0

    async def _match_subscriptions(self, channel: PubSub) -> None:
        wanted = {self._idle_channel, *self._entries}
        await _each(channel.subscribe, wanted - self._subscribed)
        await _each(channel.unsubscribe, self._subscribed - wanted)
        self._subscribed = wanted

    async def _take(self, channel: PubSub) -> None:
        """Take one published value, or find that there is none."""
        message = await channel.get_message(timeout=_LISTEN_S)
        entry = self._entries.get(message["channel"].decode()) if message else None
        if entry is not None:
            self.count.fills += entry.put(message["data"] or None, time.monotonic())

    async def _read(self, entries: dict[str, Entry]) -> None:
        if not entries:
            return
        keys = list(entries)
        several = self._redis.pipeline(transaction=False)  # not MGET: the keys may lie on shards
        try:
            for key in keys:
                several.get(key)
            values = await several.execute()
        except STORE_ERRORS as error:
            raise store_away(error) from error
        now_s = time.monotonic()
        for key, value in zip(keys, values, strict=True):
            self.count.fills += entries[key].put(value, now_s)


async def _each(verb: Callable[..., Awaitable[None]], channels: Iterable[str]) -> None:
    names = sorted(channels)
    if names:
        await verb(*names)


def store_away(error: Exception) -> UnavailableError:
    """Return the error that says that the hot store does not answer, and why."""
    return UnavailableError(
        "hot_store",
        f"The hot store does not answer ({type(error).__name__}).",
        "Start it: gex up; or correct GEX_REDIS_URL.",
    )
