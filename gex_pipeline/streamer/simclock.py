"""The simulator's market clock, asked for at the start and followed through its rolls."""

import asyncio
import logging

from gex_pipeline.errors import FeedError, InputError
from gex_pipeline.feeds.schwab.client import told
from gex_pipeline.feeds.schwab.library import http
from gex_pipeline.market.clock import MarketClock, clock_from_mapping
from gex_pipeline.streamer.markettime import MarketTime

_EACH_S = 1.0
_FIRST_S = 0.25
_TIMEOUT_S = 5.0
_OK = 200

log = logging.getLogger(__name__)


class SimulatedTime:
    """Asks the simulator what time it is."""

    def __init__(self, base_url: str, time: MarketTime) -> None:
        self._url = f"{base_url.rstrip('/')}/control/clock"
        self._time = time

    async def first(self, stop: asyncio.Event) -> None:
        """Wait until the simulator has told its time; give up when `stop` is set."""
        said = False
        while not stop.is_set():
            try:
                self._time.follow(await self._ask())
            except FeedError as error:
                if not said:
                    log.warning("waiting for the simulator: %s", error)
                said = True
                await asyncio.sleep(_FIRST_S)
            else:
                return

    async def keep_following(self) -> None:
        """Follow the clock when it is paused, sped up or set; while nobody answers, it goes on."""
        while True:
            await asyncio.sleep(_EACH_S)
            try:
                self._time.follow(await self._ask())
            except FeedError:
                continue

    async def _ask(self) -> MarketClock:
        async with told(), http.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
            response = await client.get(self._url)
            if response.status_code != _OK:
                raise FeedError(f"The simulator answers its clock with {response.status_code}")
            fields = response.json()
        try:
            return clock_from_mapping(fields)
        except (InputError, TypeError) as error:
            raise FeedError("The simulator's clock cannot be read") from error
