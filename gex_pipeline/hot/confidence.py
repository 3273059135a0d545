"""Changes of an underlying's confidence level as readers saw them: a short stream, newest last."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from gex_pipeline.hot.keys import MARKET_TTL_S

LEVELS_KEPT: Final = 1000
_FIELD: Final = "v"


class LevelSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A published scope came to another level of confidence."""

    scope: str
    level: str | None
    """high, low, unusable; null: there are no figures."""
    level_before: str | None
    confidence: float | None
    reasons: tuple[str, ...]
    """What lowers confidence now; without figures, why there are none."""
    ts_event_ns: int
    """The moment of the figures."""
    ts_recv_ns: int
    """Receipt of the newest event in them."""
    final: bool
    """False: a preview showed it first."""


def append_levels(commands: Any, key: str, seen: Iterable[LevelSeen]) -> None:
    """Queue changes; the oldest go."""
    found = list(seen)
    for one in found:
        entry = {_FIELD: msgspec.json.encode(one)}
        commands.xadd(key, entry, maxlen=LEVELS_KEPT, approximate=True)
    if found:
        commands.expire(key, MARKET_TTL_S)


def read_levels(entries: Iterable[tuple[Any, dict[bytes, bytes]]]) -> list[LevelSeen]:
    """Return the changes of a stream's entries; what another version wrote is left out."""
    found = []
    for _, fields in entries:
        try:
            found.append(msgspec.json.decode(fields.get(_FIELD.encode(), b""), type=LevelSeen))
        except msgspec.DecodeError:
            continue
    return found
