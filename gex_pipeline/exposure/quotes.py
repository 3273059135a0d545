"""Many option quotes at once, as columns: what a stretch of a tape says of one underlying."""

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints, Texts


class QuoteBatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Events of one underlying's contracts in the order of the tape; N rows.

    A number that the source did not give is NaN; of volume, 0.
    """

    names: tuple[str, ...]
    """OCC symbols, each once, in any order; more than occur does no harm."""
    name: Ints
    """(N,) index into `names`."""
    ts_event_ns: Ints
    ts_recv_ns: Ints
    bid: Floats
    ask: Floats
    iv: Floats
    gamma: Floats
    last: Floats
    open_interest: Floats
    volume: Floats
    settlement: Texts
    """"A", "P" or ""."""
    streamed: Bools

    def __len__(self) -> int:
        return int(self.name.size)

    def part(self, start: int, end: int) -> "QuoteBatch":
        """Return the rows from one place up to another."""
        columns = {
            column: getattr(self, column)[start:end]
            for column in self.__struct_fields__
            if column != "names"
        }
        return QuoteBatch(names=self.names, **columns)


class Last(msgspec.Struct, frozen=True, eq=False):
    """Of each contract that occurs in a batch: its row, and which events of it count."""

    row: Ints
    """(R,) ascending."""
    newest: Ints
    """(R,) place of its last event."""
    changed: Ints
    """(R,) place of its last event whose bid or ask was another one; -1: none."""
    order: Ints
    """(N,) places of all events, by row and then as they came."""
    of: Ints
    """(N,) the row of each of these."""
    start: Ints
    """(R,) where in `order` each row's events begin."""


def last_of(row: Ints, bid: Floats, ask: Floats, known_bid: Floats, known_ask: Floats) -> Last:
    """Return the events that count; `row` is each one's, `known_*` what the rows held before.

    A price that is missing counts as another one, whatever was before: NaN equals nothing.
    """
    bits = row.size.bit_length()  # one number of row and place sorts many times faster than stably
    keys = np.sort(row << bits | np.arange(row.size))
    sorted_row, order = keys >> bits, keys & (1 << bits) - 1
    first = np.ones(row.size, dtype=bool)
    first[1:] = sorted_row[1:] != sorted_row[:-1]
    starts = np.flatnonzero(first)
    rows = sorted_row[starts]
    bid, ask = bid[order], ask[order]
    before_bid, before_ask = np.empty_like(bid), np.empty_like(ask)
    before_bid[1:], before_ask[1:] = bid[:-1], ask[:-1]
    before_bid[starts], before_ask[starts] = known_bid[rows], known_ask[rows]
    differs = (bid != before_bid) | (ask != before_ask)
    places = np.maximum.reduceat(np.where(differs, np.arange(row.size), -1), starts)
    ends = np.append(starts[1:], row.size) - 1
    changed = np.where(places < 0, -1, order[places])
    return Last(rows, order[ends], changed, order, sorted_row, starts)
