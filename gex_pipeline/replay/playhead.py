"""The playhead: what market time a replay is at, and how far it may be fed."""

from typing import Final

from gex_pipeline.hot.session import State
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.sessions import SECOND_NS

FASTEST: Final = 1_000.0
"""Faster than this is as fast as it goes."""


class Playhead:
    """State, speed and clock of a replay; monotonic time is handed in.

    At a speed the clock runs and the tape follows it; where the tape cannot, the clock is held.
    Without a speed the tape runs and the clock stands at how far it came. While it seeks, the clock
    stands where it is going.
    """

    def __init__(self, start_ns: int, end_ns: int, speed: float | None) -> None:
        self.state: State = "seeking"
        self.speed = speed
        self.end_ns = end_ns
        self.until_ns: int | None = None
        """The moment to pause at."""
        self.clock = MarketClock(start_ns, 0, 0.0)
        self._after: State = "running"

    @property
    def market_ns(self) -> int:
        """Market time at the clock's anchor."""
        return self.clock.anchor_event_ns

    def now_ns(self, mono_ns: int) -> int:
        """Return the market time."""
        return min(self.clock.now_ns(mono_ns), self._limit_ns)

    def horizon_ns(self, mono_ns: int) -> int:
        """Return up to where events are due."""
        if self.state == "running" and self.speed is None:
            return self._limit_ns
        return self.now_ns(mono_ns)

    def came_to(self, fed_ns: int, mono_ns: int) -> None:
        """Take note of up to where all is fed: a clock that ran ahead of it goes back there."""
        if self.state != "running":
            return
        if self.speed is None:
            self.clock = MarketClock(max(fed_ns, self.market_ns), mono_ns, 0.0)
        elif fed_ns < self.now_ns(mono_ns):
            self.clock = MarketClock(max(fed_ns, self.market_ns), mono_ns, self.speed)

    def arrive(self, mono_ns: int) -> None:
        """Go on from where the seeking led to, as before it."""
        self.state = self._after
        self._restart(self.market_ns, mono_ns)

    def reached_limit(self, mono_ns: int) -> bool:
        """Whether it stands where it was to pause; it pauses there."""
        if self.until_ns is None or self.now_ns(mono_ns) < self.until_ns:
            return False
        self.pause(mono_ns)
        self.until_ns = None
        return True

    def pause(self, mono_ns: int) -> None:
        """Stand still; while it seeks, once it has arrived."""
        if self.state == "seeking":
            self._after = "paused"
            return
        self.state = "paused"
        self.clock = MarketClock(self.now_ns(mono_ns), mono_ns, 0.0)

    def resume(self, mono_ns: int) -> None:
        """Go on at the speed that is set."""
        if self.state == "seeking":
            self._after = "running"
            return
        self.state = "running"
        self._restart(self.now_ns(mono_ns), mono_ns)

    def step(self, seconds: int, mono_ns: int) -> None:
        """Pause at the end of the market second so many ahead."""
        self.pause(mono_ns)
        target_ns = (self.market_ns // SECOND_NS + seconds) * SECOND_NS
        self.clock = MarketClock(min(target_ns, self.end_ns), mono_ns, 0.0)

    def set_speed(self, speed: float | None, mono_ns: int) -> None:
        """Go on at another speed, or as fast as it goes."""
        self.speed = None if speed is None or speed > FASTEST else speed
        if self.state == "running":
            self._restart(self.now_ns(mono_ns), mono_ns)

    def seek(self, to_ns: int, mono_ns: int) -> None:
        """Be on the way to a moment."""
        if self.state != "seeking":
            self._after = "paused" if self.state == "paused" else "running"
        self.state = "seeking"
        self.clock = MarketClock(to_ns, mono_ns, 0.0)
        if self.until_ns is not None and to_ns >= self.until_ns:
            self.until_ns = None

    def end(self, state: State, mono_ns: int) -> None:
        """Stand still for good."""
        self.clock = MarketClock(self.now_ns(mono_ns), mono_ns, 0.0)
        self.state = state

    @property
    def _limit_ns(self) -> int:
        return self.end_ns if self.until_ns is None else min(self.until_ns, self.end_ns)

    def _restart(self, market_ns: int, mono_ns: int) -> None:
        runs = self.state == "running" and self.speed is not None
        self.clock = MarketClock(market_ns, mono_ns, (self.speed or 0.0) if runs else 0.0)
