"""What a cache did, for whoever wants to know whether it is of any use."""

import msgspec


class CacheCount(msgspec.Struct):
    """Counters of one cache since its start."""

    hits: int = 0
    """Answered from it."""
    misses: int = 0
    """Asked for, and not in it or too old."""
    fills: int = 0
    """Put into it, anew or in the place of an older value."""
    evictions: int = 0
    """Let go: too old, or no room."""
