"""What the streamer wants a person to know: each said once when it begins and once when it ends."""

import asyncio
import contextlib
import logging
from typing import Any

import msgspec
import redis

from gex_pipeline.hot.alerts import Alert, Level, active_alerts, read_alerts, tell_alert
from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import Keys

_LOOK_S = 0.5

log = logging.getLogger(__name__)


class Bell:
    """Alerts of one service; while the hot store is away the newest word of each name waits."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.active: dict[str, Alert] = {}
        """Alerts that are not over, by name."""
        self._untold: dict[str, Alert] = {}
        """Of each name the newest word that has not reached the hot store: one a name."""
        self._over: set[str] | None = set()
        """Names that ended before the process before us was asked what it left; then None."""

    def ring(self, name: str, level: Level, text: str) -> None:
        """Begin an alert, or say it in other words; the same words are said once."""
        known = self.active.get(name)
        if known is not None and (known.text, known.level) == (text, level):
            return
        log.log(logging.ERROR if level == "critical" else logging.WARNING, "%s: %s", name, text)
        alert = Alert(name=name, service=self.service, level=level, text=text, ts_ns=_wall_ns())
        self.active[name] = self._untold[name] = alert
        if self._over is not None:
            self._over.discard(name)

    def still(self, name: str) -> None:
        """End an alert, if there is one."""
        known = self.active.pop(name, None)
        if known is None and self._over is not None:
            self._over.add(name)
        if known is not None:
            log.info("%s: over", name)
            self._untold[name] = msgspec.structs.replace(known, active=False, ts_ns=_wall_ns())

    async def run(self, client: redis.Redis, keys: Keys) -> None:
        """Put what is told onto the stream of alerts, until cancelled."""
        while True:
            if self._over is not None:
                with contextlib.suppress(*UNREACHABLE):
                    self._adopt(await asyncio.to_thread(_left, client, keys, self.service))
            for name, alert in list(self._untold.items()):
                try:
                    await asyncio.to_thread(tell_alert, client, keys, alert)
                except UNREACHABLE:
                    break
                if self._untold.get(name) is alert:
                    del self._untold[name]
            await asyncio.sleep(_LOOK_S)

    def _adopt(self, left: list[Alert]) -> None:
        """Take over the alerts of the process before us: they end when their reason is over."""
        over, self._over = self._over or set(), None
        for alert in left:
            if alert.name in self.active:
                continue
            self.active[alert.name] = alert
            if alert.name in over:
                self.still(alert.name)


def _left(client: redis.Redis, keys: Keys, service: str) -> list[Alert]:
    entries: Any = client.xrange(keys.alerts())
    return [alert for alert in active_alerts(read_alerts(entries)) if alert.service == service]


def _wall_ns() -> int:
    return live_clock().anchor_event_ns
