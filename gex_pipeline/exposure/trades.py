"""Which side a day's volume was traded on, by the quote rule: as far as quotes can say it.

What the day's volume grew by was bought where the last price is at or above the ask that stood
before, sold where it is at or below the bid. In between, without a quote of the day, or where bid
and ask are not apart, nobody knows. One by one and many at once give the same numbers.
"""

from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.quotes import Last, QuoteBatch
from gex_pipeline.market.arrays import Bools, Floats, Ints

ANEW: Final = 0.5
"""A volume that falls to less than this part was reset by the vendor; a smaller fall is that of an
answer that is older than what a stream has said."""


class Standing(msgspec.Struct, frozen=True, eq=False):
    """What rows held before a batch."""

    bid: Floats
    ask: Floats
    volume: Floats
    seen_ns: Ints


class Trades(msgspec.Struct, frozen=True, eq=False):
    """What a batch adds to rows, 0 and on, as far as any trades."""

    anew: Ints
    """Rows that count from zero first."""
    bought: Floats
    sold: Floats


def trades_of(batch: QuoteBatch, last: Last, before: Standing, since_ns: int) -> Trades | None:
    """Return what a batch says was bought and sold; None: no volume changed.

    `last` is what `last_of` found in it.
    """
    volume = batch.volume[last.order]
    stood = np.empty_like(volume)
    stood[1:] = volume[:-1]
    stood[last.start] = before.volume[last.row]
    at = np.flatnonzero(volume != stood)
    if not at.size:
        return None
    first = np.zeros(volume.size, dtype=bool)
    first[last.start] = True
    place = _Place(last.order[at], last.order[at - 1], last.of[at], first[at])
    more, anew = (volume - stood)[at], volume[at] < ANEW * stood[at]
    counts = more > 0
    if anew.any():
        counts &= _behind(anew, place.row)
    bought, sold = (
        np.bincount(place.row[side], weights=more[side]).astype(np.float64, copy=False)
        for side in _sides(batch, place, counts, before, since_ns)
    )
    return Trades(place.row[anew], bought, sold)


class _Place(msgspec.Struct, frozen=True, eq=False):
    """Of some events: where they and those before them stand in the batch, and their rows."""

    own: Ints
    previous: Ints
    row: Ints
    first: Bools
    """The row's first event of the batch: the row itself holds what stood before."""


def _sides(
    batch: QuoteBatch, place: _Place, counts: Bools, before: Standing, since_ns: int
) -> tuple[Ints, Ints]:
    """Return which of the events that count were bought and which sold."""
    first, row = np.flatnonzero(place.first), place.row[place.first]
    bid, ask = batch.bid[place.previous], batch.ask[place.previous]
    seen_ns, last = batch.ts_recv_ns[place.previous], batch.last[place.own]
    bid[first], ask[first], seen_ns[first] = before.bid[row], before.ask[row], before.seen_ns[row]
    known = counts & (last > 0) & (bid >= 0) & (bid < ask) & (seen_ns >= since_ns)
    return np.flatnonzero(known & (last >= ask)), np.flatnonzero(known & (last <= bid))


def _behind(anew: Bools, row: Ints) -> Bools:
    """Return which events are behind the last one with which their row counts anew."""
    reset = np.full(int(row.max()) + 1, -1)
    np.maximum.at(reset, row[anew], np.flatnonzero(anew))
    return np.arange(row.size) > reset[row]
