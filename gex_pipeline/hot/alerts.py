"""What a person should know: a short stream of alerts, newest last; each begins and may end."""

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
import redis

from gex_pipeline.hot.keys import MARKET_TTL_S, Keys

ALERTS_KEPT: Final = 1000
_FIELD: Final = "v"

Level = Literal["warning", "critical"]
"""warning: look at it today. critical: data have stopped, or soon will."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know, or that it is over."""

    name: str
    """What it is, one word for programs: auth_required, consent_ends, stream_taken, …"""
    service: str
    """Who says so."""
    level: Level
    text: str
    """Fact and cure, as an error says them; never a secret."""
    ts_ns: int
    """Wall clock, UTC nanoseconds."""
    active: bool = True
    """False: it is over."""


def tell_alert(client: redis.Redis, keys: Keys, alert: Alert) -> None:
    """Put an alert on the stream; the oldest go.

    Raises:
        redis.RedisError: the hot store does not take it.
    """
    name = keys.alerts()
    with client.pipeline() as pipe:
        pipe.xadd(name, {_FIELD: msgspec.json.encode(alert)}, maxlen=ALERTS_KEPT, approximate=True)
        pipe.expire(name, MARKET_TTL_S)
        pipe.execute()


def read_alerts(entries: Iterable[tuple[Any, dict[bytes, bytes]]]) -> list[Alert]:
    """Return the alerts of a stream's entries; what another version wrote is left out."""
    found = []
    for _, fields in entries:
        try:
            found.append(msgspec.json.decode(fields.get(_FIELD.encode(), b""), type=Alert))
        except msgspec.DecodeError:
            continue
    return found


def active_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts that are not over, newest last: of each name and service the last word."""
    last: dict[tuple[str, str], Alert] = {}
    for alert in alerts:
        last.pop((alert.service, alert.name), None)
        last[alert.service, alert.name] = alert
    return [alert for alert in last.values() if alert.active]
