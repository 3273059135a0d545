"""Gaps under a figure: stretches that a feed lost and that nothing has made up for yet.

A gap opens for every underlying that its tape feeds. It closes for one of them once each window of
its chain, and its spot, have been received again after the gap's end. It changes no figure: it says
what the figure stands on.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

KEPT: Final = 64
"""Open gaps of one underlying; more than that, and the oldest two become one."""


class Lost(msgspec.Struct, frozen=True, order=True):
    """A stretch of market time in which events may be missing."""

    from_ns: int
    to_ns: int
    cause: str
    """disconnect, restart, silence, damaged, lost and so on: of the Gap event; a hole is lost."""


def opened(gaps: tuple[Lost, ...], new: Lost) -> tuple[Lost, ...]:
    """Return the open gaps with another one, oldest first."""
    found = sorted({*gaps, new})
    if len(found) > KEPT:
        first, second, *rest = found
        joined = Lost(first.from_ns, max(first.to_ns, second.to_ns), second.cause)
        found = [joined, *rest]
    return tuple(found)


def still_open(gaps: tuple[Lost, ...], whole_since_ns: int) -> tuple[Lost, ...]:
    """Return the gaps that have not ended when all of the chain was received again since then."""
    return tuple(gap for gap in gaps if gap.to_ns > whole_since_ns)


def lost_s(gaps: tuple[Lost, ...], until_ns: int) -> float:
    """Return how many seconds up to a moment lie in one of the gaps."""
    return sum(to_ns - from_ns for from_ns, to_ns in _apart(gaps, until_ns)) / 1e9


def _apart(gaps: tuple[Lost, ...], until_ns: int) -> Iterator[tuple[int, int]]:
    """Yield what they cover, nothing twice."""
    covered_ns = 0
    for gap in sorted(gaps):
        from_ns, to_ns = max(gap.from_ns, covered_ns), min(gap.to_ns, until_ns)
        if to_ns > from_ns:
            yield from_ns, to_ns
            covered_ns = to_ns
