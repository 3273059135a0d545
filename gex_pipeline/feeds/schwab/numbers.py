"""Schwab's numbers into ours: what is none becomes None, and never a number."""

from msgspec import UnsetType

from gex_pipeline.feeds.schwab.fields import Given

NS_PER_MS = 1_000_000
ABSENT = -999.0
"""Schwab's number for none."""
BIGGEST = 1e15
"""No field holds as much."""
LAST_MS = (2**63 - 1) // NS_PER_MS


def number_of(value: Given) -> float | None:
    """Return a number, or None for what is none: null, "NaN", -999, what no field can hold."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if value is None or isinstance(value, UnsetType) or value == ABSENT:
        return None
    return value if abs(value) < BIGGEST else None  # NaN compares as False


def count_of(value: float | None) -> int | None:
    """Return a whole number of 0 or more, else None."""
    return None if value is None or value < 0 else int(value)


def size_of(value: float | None) -> float | None:
    """Return a size of 0 or more, else None."""
    return None if value is None or value < 0 else value


def newest_ns(*milliseconds: float | None) -> int:
    """Return the latest of these times in nanoseconds, 0 where none is one."""
    newest = 0
    for each in milliseconds:
        if each and newest < each <= LAST_MS:
            newest = int(each)
    return newest * NS_PER_MS


def time_of(value: Given) -> int:
    """Return a time in nanoseconds, 0 where it is none."""
    return newest_ns(number_of(value))
