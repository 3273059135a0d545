"""Pace: how often previews may be published so that the engine keeps to its share of a core."""

from typing import Final

SLOWEST_S: Final = 1.0
"""Slower than this previews stop: each complete second is published anyway."""
_NEW: Final = 0.2
"""Weight of the newest measurement."""


class Pace:
    """Measures the engine's work and spreads previews over what its share of a core leaves."""

    def __init__(self, duty: float, most_per_s: float) -> None:
        self.duty = duty
        self.share = 0.0
        """Share of a core that the process used lately."""
        self.interval_s = 1 / most_per_s
        self._shortest_s = 1 / most_per_s
        self._cost_s: dict[str, float] = {}
        self._spent_s = 0.0

    @property
    def slowed(self) -> bool:
        """Whether the share of a core, and not the most that was asked for, sets the pace."""
        return self.interval_s > 1.05 * self._shortest_s

    @property
    def previews(self) -> bool:
        """Whether there is room for previews at all."""
        return self.interval_s < SLOWEST_S

    def spent(self, symbol: str, cpu_s: float) -> None:
        """Take note of what one preview of a symbol cost."""
        known_s = self._cost_s.get(symbol, cpu_s)
        self._cost_s[symbol] = known_s + _NEW * (cpu_s - known_s)
        self._spent_s += cpu_s

    def measured(self, cpu_s: float, wall_s: float) -> None:
        """Take note of the process's CPU time in a stretch of time, and set the interval by it."""
        spent_s, self._spent_s = self._spent_s, 0.0
        self.share += _NEW * (cpu_s / wall_s - self.share)
        rest = max(cpu_s - spent_s, 0.0) / wall_s
        room = self.duty - rest
        once_s = sum(self._cost_s.values())
        wanted_s = once_s / room if room > 0 else SLOWEST_S
        wanted_s = min(max(wanted_s, self._shortest_s), SLOWEST_S)
        slower = wanted_s > self.interval_s  # at once; faster little by little
        self.interval_s += (1.0 if slower else _NEW) * (wanted_s - self.interval_s)
