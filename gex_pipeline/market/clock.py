"""Market time as a value: the wall clock itself when live, a moved and paced one when simulated.

Everything that the market decides (calendar, expiry, ages, per-second cuts) reads this clock;
sockets, back-off and leases read monotonic time.
"""

import math
from collections.abc import Mapping

import msgspec

from gex_pipeline.errors import InputError


class MarketClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Market time `anchor_event_ns` was at monotonic time `anchor_mono_ns`, and runs at `speed`.

    Live, anchor it at the wall clock with speed 1, and again whenever the wall clock is set. Speed
    0 is a paused clock: it stands at its anchor. Both directions are exact integer arithmetic on
    the fraction that the float `speed` stands for, so nothing drifts over any time span.

    Monotonic time belongs to one machine since its boot: the clock is no value for another one.
    """

    anchor_event_ns: int
    """Market time at the anchor, UTC nanoseconds."""
    anchor_mono_ns: int
    """Monotonic time at the anchor, nanoseconds."""
    speed: float = 1.0
    """Market seconds in a second; 0 is paused."""

    def __post_init__(self) -> None:
        """Refuse a speed that no clock can have."""
        if not (math.isfinite(self.speed) and self.speed >= 0):
            raise InputError(f"A market clock's speed is 0 (paused) or more; found {self.speed}.")

    def now_ns(self, mono_ns: int) -> int:
        """Return the market time at a monotonic time, cut to the nanosecond."""
        market, real = self.speed.as_integer_ratio()
        return self.anchor_event_ns + (mono_ns - self.anchor_mono_ns) * market // real

    def mono_ns(self, event_ns: int) -> int | None:
        """Return the first monotonic time at which the market time is `event_ns` or later.

        None: never, while the clock is paused before it. Paused at or after it, the anchor.
        """
        market, real = self.speed.as_integer_ratio()
        ahead_ns = event_ns - self.anchor_event_ns
        if market == 0:
            return self.anchor_mono_ns if ahead_ns <= 0 else None
        return self.anchor_mono_ns - (-ahead_ns * real // market)

    def at_speed(self, speed: float, mono_ns: int) -> "MarketClock":
        """Return the clock that goes on from this moment at another speed, without a jump."""
        return MarketClock(self.now_ns(mono_ns), mono_ns, speed)


def clock_to_mapping(clock: MarketClock) -> dict[str, int | float]:
    """Return the plain mapping that stands in the key `clock:<namespace>`."""
    return {
        "anchor_event_ns": clock.anchor_event_ns,
        "anchor_mono_ns": clock.anchor_mono_ns,
        "speed": clock.speed,
    }


def clock_from_mapping(fields: Mapping[str, object]) -> MarketClock:
    """Return the clock of such a mapping; numbers may be text, as a store gives them back.

    Raises:
        InputError: a field is missing, unknown or no number, or the speed is below 0.
    """
    try:
        return msgspec.convert(dict(fields), MarketClock, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"This is no market clock: {error}.") from error
