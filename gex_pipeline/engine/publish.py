"""Publishing: snapshots, chains and ring into the hot store.

A snapshot that cannot go is dropped and counted, because the next one says more.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import redis

from gex_pipeline.engine import ring
from gex_pipeline.engine.figures import PUBLISHED, LiveSnapshot
from gex_pipeline.exposure.live import Image
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import MARKET_TTL_S, SNAPSHOT_TTL_S, Keys

_encoder: Final = msgspec.json.Encoder()


class Publisher:
    """Writes what the API and the page read."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self.published = 0
        """Snapshots of a symbol, all scopes counted as one."""
        self.dropped = 0
        self.chains = 0
        self._store, self._keys = store, keys
        self._newest_ns: dict[str, tuple[int, int]] = {}

    def snapshots(self, image: Image, snapshots: Mapping[str, LiveSnapshot]) -> None:
        """Set and publish the scopes of one image, unless a newer one is there."""
        moment = (image.asof_ns, image.ts_recv_ns)
        if moment < self._newest_ns.get(image.symbol, (0, 0)):
            return
        commands = self._store.pipeline(transaction=False)
        for scope in PUBLISHED:
            key, data = self._keys.gex(image.symbol, scope), _encoder.encode(snapshots[scope])
            commands.set(key, data, ex=SNAPSHOT_TTL_S)
            commands.publish(key, data)
        if self._sent(commands):
            self._newest_ns[image.symbol] = moment
            self.published += 1

    def second(self, ts_ns: int, image: Image, snapshots: Mapping[str, LiveSnapshot]) -> None:
        """Append a complete second to the ring."""
        key = self._keys.gexring(image.symbol)
        commands = self._store.pipeline(transaction=False)
        ring.append(commands, key, ts_ns, ring.encode_entry(ts_ns, snapshots), MARKET_TTL_S)
        self._sent(commands)

    def chain(self, image: Image) -> None:
        """Store the chain: from it and the tape behind it the engine starts again."""
        commands = self._store.pipeline(transaction=False)
        commands.set(self._keys.chain(image.symbol), encode_image(image), ex=SNAPSHOT_TTL_S)
        if self._sent(commands):
            self.chains += 1

    def _sent(self, commands: redis.client.Pipeline) -> bool:
        try:
            commands.execute()
        except (*UNREACHABLE, redis.ResponseError):
            self.dropped += 1
            return False
        return True
