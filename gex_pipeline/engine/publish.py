"""Publishing: snapshots, chains and ring into the hot store.

While the store is away the newest snapshot of each symbol waits, in place of older ones; chains and
entries of the ring do not. Each attempt that failed is counted.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import redis

from gex_pipeline.exposure.futures import FutureBasis, of_row
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import PUBLISHED, LiveSnapshot
from gex_pipeline.hot import ring
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.hot.confidence import LevelSeen, append_levels
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.keys import MARKET_TTL_S, SNAPSHOT_TTL_S, Keys
from gex_pipeline.market.events import Basis

_encoder: Final = msgspec.json.Encoder()
_UNKNOWN: Final = "unknown"
"""Of a scope that nobody has published: its first level is no change."""


class _Moment(msgspec.Struct, frozen=True):
    """Of a snapshot, what says how new it is."""

    ts_event_ns: int = 0
    ts_recv_ns: int = 0
    final: bool = False
    confidence_level: str | None = None


class Publisher:
    """Writes what the API and the page read."""

    def __init__(self, store: redis.Redis, keys: Keys) -> None:
        self.published = 0
        """Snapshots of a symbol, the scopes of one image counted as one."""
        self.first_s: float | None = None
        """When the first of them were sent, monotonic time; None: none yet."""
        self.failed = 0
        self.chains = 0
        self._store, self._keys = store, keys
        self._resumes_s = 0.0
        self._newest_ns: dict[tuple[str, str], tuple[int, int]] = {}
        """Moment of what readers have, by symbol and scope."""
        self._ring_ns: dict[str, int] = {}
        """Newest second of each symbol's ring."""
        self._waiting: dict[str, dict[str, LiveSnapshot]] = {}
        self._levels: dict[tuple[str, str], str | None] = {}
        """The confidence level that readers know, by symbol and scope."""

    def resume(self, symbol: str, now_ns: int) -> int:
        """Take note of what another engine published, so that nobody sees an older figure again.

        Return its moment if its second was complete, else 0. A moment ahead of the market's time is
        of another market, and does not count.
        """
        entries: Any = self._store.xrevrange(self._keys.gexring(symbol), count=1)
        self._ring_ns[symbol] = ring.entry_ns(entries[0][0]) if entries else 0
        stored: Any = self._store.mget([self._keys.gex(symbol, scope) for scope in PUBLISHED])
        try:
            found = {
                scope: msgspec.json.decode(data, type=_Moment)
                for scope, data in zip(PUBLISHED, stored, strict=True)
                if data
            }
        except msgspec.DecodeError:
            return 0
        newest = found.get(PUBLISHED[0], _Moment())
        if newest.ts_recv_ns > now_ns:
            return 0
        self._newest_ns |= {
            (symbol, scope): (one.ts_event_ns, one.ts_recv_ns) for scope, one in found.items()
        }
        self._levels |= {(symbol, scope): one.confidence_level for scope, one in found.items()}
        return newest.ts_event_ns if newest.final else 0

    def snapshots(self, image: Image, snapshots: Mapping[str, LiveSnapshot]) -> None:
        """Set and publish the scopes of one image, each unless a newer one is there."""
        moment, symbol = (image.asof_ns, image.ts_recv_ns), image.symbol
        newer = {
            scope: snapshots[scope]
            for scope in PUBLISHED
            if scope in snapshots and moment >= self._newest_ns.get((symbol, scope), (0, 0))
        }
        if not newer:
            return
        self._newest_ns |= {(symbol, scope): moment for scope in newer}
        self._waiting[symbol] = self._waiting.get(symbol, {}) | newer
        self.flush()

    def flush(self) -> None:
        """Send the snapshots that wait; those of a store that is away wait on."""
        for symbol, scopes in list(self._waiting.items()):
            commands = self._store.pipeline(transaction=False)
            for scope, snapshot in scopes.items():
                key, data = self._keys.gex(symbol, scope), _encoder.encode(snapshot)
                commands.set(key, data, ex=SNAPSHOT_TTL_S)
                commands.publish(key, data)
            append_levels(commands, self._keys.confidence(symbol), self._seen(symbol, scopes))
            if not self._sent(commands):
                return
            self._levels |= {(symbol, scope): s.confidence_level for scope, s in scopes.items()}
            del self._waiting[symbol]
            self.published += 1
            self.first_s = self.first_s or time.monotonic()

    def _seen(self, symbol: str, scopes: Mapping[str, LiveSnapshot]) -> Iterator[LevelSeen]:
        """Yield what of the levels that readers know changes."""
        for scope, snapshot in scopes.items():
            known = self._levels.get((symbol, scope), _UNKNOWN)
            if known in (_UNKNOWN, snapshot.confidence_level):
                continue
            yield LevelSeen(
                scope=scope,
                level=snapshot.confidence_level,
                level_before=known,
                confidence=snapshot.confidence,
                reasons=_reasons(snapshot),
                ts_event_ns=snapshot.ts_event_ns,
                ts_recv_ns=snapshot.ts_recv_ns,
                final=snapshot.final,
            )

    def second(self, ts_ns: int, image: Image, snapshots: Mapping[str, LiveSnapshot]) -> None:
        """Append a complete second to the ring."""
        key, newest_ns = self._keys.gexring(image.symbol), self._ring_ns.get(image.symbol, 0)
        commands = self._store.pipeline(transaction=False)
        entry = ring.entry_of(ts_ns, snapshots)
        ring.append(commands, key, entry, MARKET_TTL_S, newest_ns)
        if self._sent(commands):
            self._ring_ns[image.symbol] = ts_ns

    def chain(self, image: Image) -> None:
        """Store the chain: from it and the tape behind it the engine starts again."""
        commands = self._store.pipeline(transaction=False)
        commands.set(self._keys.chain(image.symbol), encode_image(image), ex=SNAPSHOT_TTL_S)
        if self._sent(commands):
            self.chains += 1

    def basis(self, rows: Sequence[Basis]) -> None:
        """Set and publish the futures' basis of one second, by index."""
        boards: dict[str, dict[str, FutureBasis]] = {}
        for row in rows:
            boards.setdefault(row.index, {})[row.symbol] = of_row(row)
        commands = self._store.pipeline(transaction=False)
        for index, futures in boards.items():
            key, data = self._keys.basis(index), _encoder.encode(futures)
            commands.set(key, data, ex=SNAPSHOT_TTL_S)
            commands.publish(key, data)
        self._sent(commands)

    def resumes(self, tape: str, position: Position) -> None:
        """Tell, once a second, from where a tape that no chain includes is read again."""
        now_s = time.monotonic()
        if now_s - self._resumes_s < 1.0:
            return
        self._resumes_s = now_s
        commands = self._store.pipeline(transaction=False)
        commands.set(self._keys.resume(tape), str(position), ex=SNAPSHOT_TTL_S)
        self._sent(commands)

    def _sent(self, commands: redis.client.Pipeline) -> bool:
        try:
            commands.execute()
        except (*UNREACHABLE, redis.ResponseError):
            self.failed += 1
            return False
        return True


def _reasons(snapshot: LiveSnapshot) -> tuple[str, ...]:
    if snapshot.coverage is not None:
        return snapshot.coverage.reasons
    return tuple(filter(None, (snapshot.null_reasons.get("confidence"),)))
