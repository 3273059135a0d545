"""What the services want a person to know: what holds now, and what was told lately."""

from typing import Any, Final

import msgspec

from gex_pipeline.gateway.answer import Mode
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.hot.alerts import ALERTS_KEPT, Alert, active_alerts, read_alerts

MOST_ALERTS: Final = ALERTS_KEPT


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of all services; in each list the newest stands first."""

    mode: Mode
    active: list[Alert]
    """Those that are not over: of each service and name the last word."""
    recent: list[Alert]
    """What was told, ends too (`active` false)."""
    count: int
    """Of `recent`."""


async def newest_alerts(gateway: Gateway, limit: int) -> Alerts:
    """Return the active alerts and the newest of what was told.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    name = gateway.place.keys.alerts()
    try:
        entries: Any = await gateway.store.xrevrange(name, count=MOST_ALERTS)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    told = read_alerts(reversed(entries))
    recent = told[::-1][:limit]
    return Alerts(
        mode=gateway.place.mode,
        active=active_alerts(told)[::-1],
        recent=recent,
        count=len(recent),
    )
