"""Who stands behind a key: the key file first, then the hot store, each looked at once a second."""

import time
from typing import Any, Final

import msgspec
import redis.asyncio

from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.keys import ApiKey, KeyStore, key_from_hash, split_key
from gex_pipeline.hot.keys import Keys

_TRUST_S: Final = 1.0
_MOST: Final = 1000


class _Known(msgspec.Struct, frozen=True):
    key: ApiKey | None
    until_s: float


class Keyring:
    """Looks keys up; a revoked key is refused within a second or two."""

    def __init__(self, store: redis.asyncio.Redis, keys: Keys, file: KeyStore) -> None:
        self._store = store
        self._keys = keys
        self._file = file
        self._file_until_s = 0.0
        self._of_file: dict[str, ApiKey] = {}
        self._of_store: dict[str, _Known] = {}

    async def holder(self, text: str) -> ApiKey | None:
        """Return the key that this text proves, or None.

        Raises:
            UnavailableError: only the hot store can know it, and it does not answer.
        """
        parts = split_key(text)
        if parts is None:
            return None
        key = self._from_file(parts[0]) or await self._from_store(parts[0])
        return key if key is not None and key.fits(parts[1]) else None

    async def mirror(self) -> None:
        """Write the file's keys to the hot store and take out its revoked ones."""
        several = self._store.pipeline(transaction=False)
        queue_mirror(several, self._keys, self._file)
        await several.execute()

    def _from_file(self, key_id: str) -> ApiKey | None:
        now_s = time.monotonic()
        if now_s >= self._file_until_s:
            self._of_file = self._file.keys()
            self._file_until_s = now_s + _TRUST_S
        return self._of_file.get(key_id)

    async def _from_store(self, key_id: str) -> ApiKey | None:
        known = self._of_store.get(key_id)
        if known is not None and time.monotonic() < known.until_s:
            return known.key
        try:
            fields: Any = await self._store.hgetall(self._keys.apikey(key_id))
        except STORE_ERRORS as error:
            if known is not None and known.key is not None:
                return known.key  # a session outlives a restart of the store
            raise store_away(error) from error
        if len(self._of_store) >= _MOST:
            self._of_store.clear()
        found = _Known(key_from_hash(key_id, fields), time.monotonic() + _TRUST_S)
        self._of_store[key_id] = found
        return found.key


def queue_mirror(pipe: Any, keys: Keys, file: KeyStore) -> None:
    """Queue the commands that bring the hot store's keys up to the file's."""
    for key in file.keys().values():
        if key.revoked:
            pipe.delete(keys.apikey(key.id))
        else:
            pipe.hset(keys.apikey(key.id), mapping=key.to_hash())
