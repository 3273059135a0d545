"""Stretches of time and of seqs: what covers what, and what is left."""

from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""From, to; the start is in, the end is out."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same ground as disjoint spans in order."""
    out: list[Span] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out


def without(span: Span, others: Iterable[Span]) -> list[Span]:
    """Return what of a span none of the others covers."""
    left: list[Span] = []
    at, end = span
    for start, stop in merged(others):
        if stop <= at or start >= end:
            continue
        if start > at:
            left.append((at, start))
        at = max(at, stop)
    return [*left, (at, end)] if at < end else left


def length(spans: Iterable[Span]) -> int:
    """Return how much the spans cover together."""
    return sum(stop - start for start, stop in merged(spans))


def holes(ranges: Sequence[Span], first: int, last: int) -> list[Span]:
    """Return the seqs of first to last that no range has; here both ends of a range are in it."""
    found = without((first, last + 1), ((start, stop + 1) for start, stop in ranges))
    return [(start, stop - 1) for start, stop in found]
