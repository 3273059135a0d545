"""Net exposure by strike as bars in the terminal, with spot and the levels in their places."""

from collections.abc import Iterator

import click

from gex_pipeline.exposure.snapshot import GexSnapshot

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
    largest = max(abs(net) for _, net in rows) or 1.0
    yield f"net GEX by strike, {len(rows)} of {len(snapshot.strikes)} strikes, mn per 1%"
    marks = sorted(_marks(snapshot, spot), reverse=True)
    for strike, net in sorted(rows, reverse=True):
        while marks and marks[0][0] > strike:
            yield _mark(*marks.pop(0))
        bar = f"{strike:>9,g} {_bar(net / largest)} {net / 1e6 or 0.0:>10,.1f}"
        yield bar + _named(snapshot, strike)
    yield from (_mark(*mark) for mark in marks)


def _chosen(snapshot: GexSnapshot, spot: float) -> list[tuple[float, float]]:
    """Return strike and net GEX of the rows to show."""
    walls = {snapshot.call_wall, snapshot.put_wall}
    near = [
        (row.strike not in walls, (row.put_gex or 0) - (row.call_gex or 0), row.strike, row.net_gex)
        for row in snapshot.strikes
        if row.net_gex is not None and (row.strike in walls or abs(row.strike / spot - 1) <= _SPAN)
    ]
    return [(strike, net) for _, _, strike, net in sorted(near)[:_ROWS]]


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
