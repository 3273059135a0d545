"""As of: an underlying at the end of a second, out of what its tape says between then and before.

Quotes come as columns, a minute of them at once; the rest is little and is taken one by one. It is
the fold of exposure/lane.py to the bit, for one underlying and one second.
"""

import datetime
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.exposure.gaps import Lost
from gex_pipeline.exposure.live import Image, trading_date
from gex_pipeline.exposure.quotes import QuoteBatch
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.market.arrays import Ints
from gex_pipeline.market.events import Event, Gap

_LOSE, _ROLL, _TAKE = range(3)
"""Before an event its hole shows and its date begins."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a tape says of an underlying behind what is known of it, up to the end of a second."""

    positions: dict[str, tuple[int, int]]
    """At its end."""
    heard_ns: int
    """The newest heartbeat with a connection."""
    newest_ns: int
    """Receipt of the underlying's newest event; 0: it has none here."""
    quotes: QuoteBatch
    quote_seq: Ints
    events: tuple[Event, ...]
    """All others that count, by seq; gaps of the whole tape too."""
    days: tuple[tuple[int, datetime.date], ...] = ()
    """Dates that begin before the event of a number."""
    holes: tuple[tuple[int, Lost], ...] = ()
    """What is lost before the event of a number."""


def image_at(underlying: Underlying, stretch: Stretch, ts_ns: int) -> Image:
    """Take the stretch in, and return the underlying at the end of the second `ts_ns`."""
    taken = 0
    for seq, kind, item in _steps(stretch):
        if kind == _ROLL:
            end = int(np.searchsorted(stretch.quote_seq, seq))
            underlying.take_quotes(stretch.quotes.part(taken, end))
            taken = end
        _STEPS[kind](underlying, item)
    underlying.take_quotes(stretch.quotes.part(taken, len(stretch.quotes)))
    _begin(underlying, trading_date(ts_ns))
    underlying.ts_recv_ns = stretch.newest_ns or underlying.ts_recv_ns
    return underlying.image(ts_ns, ts_ns, stretch.heard_ns, stretch.positions)


def _steps(stretch: Stretch) -> list[tuple[int, int, Any]]:
    """Return what is to be done one by one, in order."""
    steps: list[tuple[int, int, Any]] = [
        *((seq, _LOSE, gap) for seq, gap in stretch.holes),
        *((seq, _ROLL, day) for seq, day in stretch.days),
        *((event.seq, _TAKE, event) for event in stretch.events),
    ]
    return sorted(steps, key=lambda step: step[:2])


def _begin(underlying: Underlying, day: datetime.date) -> None:
    if underlying.day is None or day > underlying.day:
        underlying.roll(day)


def _take(underlying: Underlying, event: Event) -> None:
    if isinstance(event, Gap) and not event.symbol:
        underlying.take_gap(event)
    else:
        underlying.take(event)


_STEPS: Final[dict[int, Callable[[Underlying, Any], None]]] = {
    _LOSE: Underlying.lose,
    _ROLL: _begin,
    _TAKE: _take,
}
