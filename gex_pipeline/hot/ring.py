"""The ring: exposure by strike of each second, small, so that change over time can be told."""

import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.exposure.moment import RING, LiveSnapshot
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import SECOND_NS

SECONDS_KEPT: Final = 35 * 60
"""Older than this, one entry a minute stays."""
_MS: Final = 1_000_000


class Vector(msgspec.Struct, frozen=True, eq=False):
    """Net GEX by strike of one scope; NaN where a strike has none: absent is not 0."""

    strikes: Floats
    open_interest: Floats
    volume: Floats


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the ring: float32 numbers, little-endian, by scope."""

    ts_ns: int
    spot: float | None
    convention: str
    scopes: dict[str, tuple[bytes, bytes, bytes]]
    """Strikes, net GEX by open interest, net GEX by volume."""

    def vector(self, scope: str) -> Vector:
        """Return a scope's numbers."""
        parts = (np.frombuffer(part, "<f4") for part in self.scopes[scope])
        return Vector(*(part.astype(np.float64) for part in parts))


def encode_entry(ts_ns: int, snapshots: Mapping[str, LiveSnapshot]) -> bytes:
    """Return the entry of a complete second."""
    some = snapshots[RING[0]]
    entry = Entry(
        ts_ns=ts_ns,
        spot=some.spot,
        convention=some.convention,
        scopes={scope: _parts(snapshots[scope]) for scope in RING},
    )
    return zlib.compress(msgspec.msgpack.encode(entry), 1)


def decode_entry(data: bytes) -> Entry:
    """Return the entry of its bytes."""
    return msgspec.msgpack.decode(zlib.decompress(data), type=Entry)


def append(commands: Any, key: str, ts_ns: int, entry: bytes, ttl_s: int) -> None:
    """Queue an entry, and the removal of the one that is now too old unless it opens a minute."""
    commands.xadd(key, {"v": entry}, id=f"{ts_ns // _MS}-0")
    old_s = ts_ns // SECOND_NS - SECONDS_KEPT
    if old_s % 60:
        commands.xdel(key, f"{old_s * 1000}-0")
    commands.xtrim(key, minid=f"{(ts_ns - 86_400 * SECOND_NS) // _MS}-0", approximate=True)
    commands.expire(key, ttl_s)


def _parts(snapshot: LiveSnapshot) -> tuple[bytes, bytes, bytes]:
    rows = snapshot.strikes
    table = np.array(
        [(row.strike, row.net_gex, row.net_gex_volume) for row in rows], dtype=np.float64
    ).reshape(-1, 3)
    strikes, by_oi, by_volume = (table[:, at].astype("<f4").tobytes() for at in range(3))
    return strikes, by_oi, by_volume
