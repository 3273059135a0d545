"""The market time of this process: never back, and past every heartbeat once it is written."""

import time

from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.market.clock import MarketClock

SECOND_NS = 1_000_000_000


class MarketTime:
    """Wall time, or the simulator's time once its clock is followed."""

    def __init__(self) -> None:
        self._simulated: MarketClock | None = None
        self._floor_ns = 0

    @property
    def clock(self) -> MarketClock:
        """The clock as a value, for the namespace; a live one is anchored now."""
        return self._simulated or live_clock()

    def follow(self, clock: MarketClock) -> None:
        """Go by a simulator's clock from now on."""
        self._simulated = clock

    def not_before(self, ts_ns: int) -> None:
        """Give no stamp before this one: it stands on the tape."""
        self._floor_ns = max(self._floor_ns, ts_ns)

    def stamp_ns(self) -> int:
        """Return the time of receipt of what comes now."""
        self._floor_ns = max(self._floor_ns, self.clock.now_ns(time.monotonic_ns()))
        return self._floor_ns

    def close_second_ns(self) -> int:
        """Return the stamp of a heartbeat; every later stamp is later than it."""
        stamp_ns = self.stamp_ns()
        self._floor_ns = stamp_ns + 1
        return stamp_ns

    def to_next_second_s(self) -> float | None:
        """Return the real time until the next whole market second; None while time stands."""
        clock, mono_ns = self.clock, time.monotonic_ns()
        now_ns = clock.now_ns(mono_ns)
        due_ns = clock.mono_ns(now_ns - now_ns % SECOND_NS + SECOND_NS)
        return None if due_ns is None else max(0, due_ns - mono_ns) / SECOND_NS
