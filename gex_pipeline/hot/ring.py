"""The ring: exposure by strike of each second, small, so that change over time can be told.

A stream with an entry a second for 35 minutes and one a minute for the day. An entry has all that
is said of the change of a scope and of its levels: who reads it needs no fold and no other key.
"""

import datetime
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.errors import CodecError
from gex_pipeline.exposure.moment import RING, LiveSnapshot
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.exposure.trace import Figures, Trace, dates_of, figures_of
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import SECOND_NS

FIELD: Final = b"v"
SECONDS_KEPT: Final = 35 * 60
"""Older than this, one entry a minute stays."""
_DAY_S: Final = 86_400
_MINUTE_S: Final = 60
_MS: Final = 1_000_000
SINGLES: Final = 1
"""Form of an entry whose strikes are float32."""
STEPS: Final = 2
"""Whose strikes are exact: thousandths of a point, each less the one before it."""
_LEVEL: Final = 1
Packed = tuple[bytes, bytes, bytes]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the ring. What is new in it has a default: older entries still decode."""

    ts_ns: int
    spot: float | None
    convention: str
    scopes: dict[str, Packed]
    """Strikes, net GEX by open interest and by volume: little-endian, the latter two float32."""
    form: int = SINGLES
    """How strikes are written."""
    same: dict[str, str] = {}
    """A scope that now covers the expiries of another one, and which: they are kept once."""
    figures: dict[str, Figures] = {}
    """By scope, in full precision."""
    source: str = ""
    dates: tuple[datetime.date, ...] = ()
    """The first settlement dates that are unexpired."""
    gap_s: float | None = None
    """Seconds of the feed that are missing under the figures; null: it was never heard."""
    gap_causes: tuple[str, ...] = ()

    def trace(self, scope: str) -> Trace:
        """Return what the second left of a scope."""
        steps, by_oi, by_volume = self.scopes[self.same.get(scope, scope)]
        return Trace(
            ts_ns=self.ts_ns,
            spot=self.spot,
            convention=self.convention,
            strikes=_strikes(steps) if self.form == STEPS else _singles(steps),
            open_interest=_singles(by_oi),
            volume=_singles(by_volume),
            figures=self.figures.get(scope, Figures()),
        )


_decoder: Final = msgspec.msgpack.Decoder(Entry)


def entry_of(ts_ns: int, snapshots: Mapping[str, LiveSnapshot]) -> Entry:
    """Return the entry of a complete second; `snapshots` has at least the ring's scopes."""
    scopes, same = _kept(snapshots)
    whole = snapshots[RING[0]]
    return Entry(
        ts_ns=ts_ns,
        spot=whole.spot,
        convention=whole.convention,
        scopes=scopes,
        form=STEPS,
        same=same,
        figures={scope: figures_of(snapshots[scope]) for scope in RING},
        source=whole.source,
        dates=dates_of(whole),
        gap_s=whole.gap_s,
        gap_causes=whole.gap_causes,
    )


def encode_entry(entry: Entry) -> bytes:
    """Return the bytes of an entry."""
    return zlib.compress(msgspec.msgpack.encode(entry), _LEVEL)


def decode_entry(data: bytes) -> Entry:
    """Return the entry of its bytes.

    Raises:
        CodecError: they are none.
    """
    try:
        return _decoder.decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as error:
        raise CodecError(f"no entry of the ring: {error}") from error


def pack_rows(strikes: Sequence[float], *net_gex: Sequence[float | None]) -> Packed:
    """Return strikes and net GEX by open interest and by volume as an entry keeps them."""
    thousandths = np.rint(np.array(strikes, dtype=np.float64) * 1000).astype("<i4")
    steps = np.diff(thousandths, prepend=np.int32(0)).astype("<i4")
    by_oi, by_volume = (  # None becomes NaN
        np.array(column, dtype=np.float64).astype("<f4").tobytes() for column in net_gex
    )
    return steps.tobytes(), by_oi, by_volume


def entry_id(ts_ns: int) -> str:
    """Return the id of the entry of a second: market milliseconds."""
    return f"{ts_ns // _MS}-0"


def entry_ns(name: str | bytes) -> int:
    """Return the second of an entry's id."""
    text = name.decode() if isinstance(name, bytes) else name
    return int(text.partition("-")[0]) * _MS


def append(commands: Any, key: str, entry: Entry, ttl_s: int, newest_ns: int) -> None:
    """Queue an entry and the removal of those that are too old now, but for one a minute.

    `newest_ns` is the newest entry that is there, 0: none. After a pause several grow too old at
    once.
    """
    ts_ns = entry.ts_ns
    commands.xadd(key, {FIELD: encode_entry(entry)}, id=entry_id(ts_ns))
    old = _too_old(ts_ns // SECOND_NS, newest_ns // SECOND_NS)
    if old:
        commands.xdel(key, *(entry_id(second * SECOND_NS) for second in old))
    commands.xtrim(key, minid=entry_id(ts_ns - _DAY_S * SECOND_NS), approximate=True)
    commands.expire(key, ttl_s)


def _too_old(now_s: int, newest_s: int) -> list[int]:
    """Return the seconds between two entries' horizons at which no minute begins."""
    last = min(now_s - SECONDS_KEPT, newest_s)
    first = max(newest_s - SECONDS_KEPT, now_s - _DAY_S)
    return [second for second in range(first + 1, last + 1) if second % _MINUTE_S]


def _kept(snapshots: Mapping[str, GexSnapshot]) -> tuple[dict[str, Packed], dict[str, str]]:
    """Return the numbers by scope, each once, and which scopes are the same as another."""
    scopes: dict[str, Packed] = {}
    same: dict[str, str] = {}
    known: dict[int, str] = {}
    for scope in RING:
        rows = snapshots[scope].strikes
        first = known.setdefault(id(rows), scope)  # the fold folds the same expiries once
        if first == scope:
            scopes[scope] = pack_rows(
                [row.strike for row in rows],
                [row.net_gex for row in rows],
                [row.net_gex_volume for row in rows],
            )
        else:
            same[scope] = first
    return scopes, same


def _strikes(steps: bytes) -> Floats:
    return np.cumsum(np.frombuffer(steps, "<i4"), dtype=np.int64) / 1000


def _singles(part: bytes) -> Floats:
    return np.frombuffer(part, "<f4").astype(np.float64)
