"""The wall clock of the simulator's process: the life of tokens, and which day is today."""

import time


def wall_ns() -> int:
    """Return the wall clock, UTC nanoseconds; the one place of this process that reads it."""
    return time.time_ns()  # noqa: TID251 # tokens live in wall time; the market's time is a value
