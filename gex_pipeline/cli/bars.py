"""Net exposure by strike as bars in the terminal, with spot and the levels in their places."""

from collections.abc import Iterator

import click

from gex_pipeline.exposure.snapshot import GexSnapshot, StrikeRow

_ROWS = 36
_HALF = 22
_SPAN = 0.10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bars(snapshot: GexSnapshot) -> Iterator[str]:
    """Return a line per strike, highest first: puts' surplus to the left, calls' to the right.

    Shown are the strikes within 10% of spot that carry most exposure, the walls always.
    """
    spot = snapshot.spot or 0.0
    rows = _chosen(snapshot, spot)
    if not rows:
        return
    largest = max(abs(row.net_gex) for row in rows) or 1.0
    yield f"net GEX by strike, {len(rows)} of {len(snapshot.strikes)} strikes, mn per 1%"
    marks = sorted(_marks(snapshot, spot), reverse=True)
    for row in sorted(rows, key=lambda row: -row.strike):
        while marks and marks[0][0] > row.strike:
            yield _mark(*marks.pop(0))
        yield (
            f"{row.strike:>9,g} {_bar(row.net_gex / largest)} {row.net_gex / 1e6:>10,.1f}"
            + _named(snapshot, row.strike)
        )
    yield from (_mark(*mark) for mark in marks)


def _chosen(snapshot: GexSnapshot, spot: float) -> list[StrikeRow]:
    near = [row for row in snapshot.strikes if abs(row.strike / spot - 1) <= _SPAN]
    walls = {snapshot.call_wall, snapshot.put_wall}
    near.sort(key=lambda row: (row.strike not in walls, row.put_gex - row.call_gex))
    return near[:_ROWS]


def _marks(snapshot: GexSnapshot, spot: float) -> Iterator[tuple[float, str, str]]:
    yield spot, "spot", "cyan"
    if snapshot.zero_gamma is not None and abs(snapshot.zero_gamma / spot - 1) <= _SPAN:
        yield snapshot.zero_gamma, "zero gamma", "yellow"


def _mark(level: float, name: str, colour: str) -> str:
    return click.style(f"{level:>9,.2f} {f' {name} ':─^{2 * _HALF + 1}}", fg=colour)


def _named(snapshot: GexSnapshot, strike: float) -> str:
    names = [
        name
        for name, level in (("call wall", snapshot.call_wall), ("put wall", snapshot.put_wall))
        if level == strike
    ]
    return f"  {', '.join(names)}" if names else ""


def _bar(share: float) -> str:
    """Return a bar of -1 to 1 around a middle line, in eighths of a character to the right."""
    eighths = round(abs(share) * _HALF * 8)
    full, part = divmod(eighths, 8)
    if share < 0:
        left = "█" * (full + (part >= 4))
        return click.style(f"{left[:_HALF]:>{_HALF}}", fg="red") + "│" + " " * _HALF
    right = "█" * full + (_EIGHTHS[part] if part else "")
    return " " * _HALF + "│" + click.style(f"{right:<{_HALF}}", fg="green")
