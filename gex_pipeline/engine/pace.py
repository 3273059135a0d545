"""Pace: how often previews may be published so that the engine keeps to its share of a core.

The share counts all that the process does. Complete seconds are folded and published whatever they
take; previews have what is left of it, and stand between the seconds: where there is room for one a
second, it comes half a second after the complete one's figures.
"""

import math
from typing import Final

_AIM: Final = 0.96
"""Of the share that may be used: it swings about what is aimed at."""
_NEW: Final = 0.2
"""Weight of the newest measurement."""
_SAVED: Final = 1.0
"""Previews of an underlying that may be made up for: more would be a burst after a pause."""
_LENT: Final = 0.5
"""Of one preview, so that it need not wait beyond its place between two seconds."""
_GO_OUT: Final = 0.5
"""Complete seconds each second from which on previews stand between them."""
_WIDE_PER_S: Final = 3.0
"""Figures that go out each second from which on a preview is of every scope."""
_APART: Final = 1.1
"""Of the even distance: the last preview of a second then comes before the next second's end."""


class Pace:
    """Measures the engine's work and spreads previews over what its share of a core leaves."""

    def __init__(self, duty: float, most_per_s: float) -> None:
        self.duty = duty
        self.share = 0.0
        """Share of a core that the process used lately."""
        self._most_per_s = most_per_s
        self._previews_per_s = most_per_s
        """Of each underlying, as far as there is room."""
        self._rest: float | None = None
        """Share of a core that all but previews took lately."""
        self._seconds_per_s = 0.0
        self._cost_s: dict[str, float] = {}
        self._spent_s = 0.0
        self._left: dict[str, tuple[float, float]] = {}
        """Of an underlying, previews that may be made, as of a time."""

    @property
    def publish_per_s(self) -> float:
        """Figures of an underlying that go out, of complete seconds and previews."""
        return min(self._seconds_per_s + self._previews_per_s, self._most_per_s)

    @property
    def slowed(self) -> bool:
        """Whether the share of a core, and not the most that was asked for, sets the pace."""
        return self.publish_per_s < 0.95 * self._most_per_s

    @property
    def narrow(self) -> bool:
        """Whether there is room for so few previews that each has to be a small one."""
        return self._seconds_per_s > _GO_OUT and self.publish_per_s < _WIDE_PER_S

    def due(self, symbol: str, now_s: float, figures_s: float) -> bool:
        """Whether a preview may be made; `figures_s` is when the last figures were."""
        left, at_s = self._left.get(symbol, (1.0, now_s))
        left = min(left + (now_s - at_s) * self._previews_per_s, _SAVED)
        self._left[symbol] = left, now_s
        often = self._previews_per_s
        if self._seconds_per_s > _GO_OUT:  # between two of them only whole previews have a place
            often = self._seconds_per_s + max(math.floor(often), 1)
        apart_s = now_s - figures_s
        return left >= 1 - _LENT and apart_s * min(often, self._most_per_s) >= _APART

    def begun(self, symbol: str) -> None:
        """Take note that a preview is made."""
        left, at_s = self._left.get(symbol, (1.0, 0.0))
        self._left[symbol] = left - 1, at_s

    def spent(self, symbol: str, cpu_s: float) -> None:
        """Take note of what one preview of a symbol cost."""
        known_s = self._cost_s.get(symbol, cpu_s)
        self._cost_s[symbol] = known_s + _NEW * (cpu_s - known_s)
        self._spent_s += cpu_s

    def measured(self, cpu_s: float, wall_s: float, seconds: float = 0.0) -> None:
        """Take note of the process's CPU time in a stretch of time, and set the pace by it.

        `seconds` is how many complete ones of each underlying had their figures published.
        """
        spent_s, self._spent_s = self._spent_s, 0.0
        rest = max(cpu_s - spent_s, 0.0) / wall_s
        new = 1.0 if self._rest is None else _NEW
        self._rest = (self._rest or 0.0) * (1 - new) + new * rest
        self.share += new * (cpu_s / wall_s - self.share)
        self._seconds_per_s += new * (seconds / wall_s - self._seconds_per_s)
        once_s, room = sum(self._cost_s.values()), max(_AIM * self.duty - self._rest, 0.0)
        self._previews_per_s = min(room / once_s, self._most_per_s) if once_s else self._most_per_s
