"""The wall clock of the feeds: tokens live in wall time, and nothing else here does."""

import time


def wall_s() -> float:
    """Return the wall clock in seconds since 1970, UTC."""
    return time.time()  # noqa: TID251 # the one edge of the feeds; callers take it as an argument
