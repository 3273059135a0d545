"""Any moment of a tape in the lake: which events were there by the end of a second.

A second stands on the events before the tape's first one that was received later (it is the rule of
exposure/lane.py). Where that is, the heartbeats around it tell roughly, the rows between exactly.
"""

import datetime
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.groups import groups_of, within
from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.arrays import Bools, Ints
from gex_pipeline.market.tables import EVENT_TABLES, HEARTBEATS

_EVENT_FILES: Final = frozenset(table.name for table in EVENT_TABLES.values())
_LOOKED_AT: Final = ("seq", "ts_recv_ns", "epoch")


class Prefix(msgspec.Struct, frozen=True):
    """A tape as far as a second stands on it."""

    position: tuple[int, int]
    """Epoch and seq of its last event."""
    next_seq: int
    """The first event that was received later."""
    next_ns: int


class Beats(msgspec.Struct, frozen=True, eq=False):
    """Heartbeats of one part or day, by seq."""

    seq: Ints
    recv_ns: Ints
    connected: Bools


class Places(msgspec.Struct, frozen=True, eq=False):
    """Where events are and when they came, by seq."""

    seq: Ints
    recv_ns: Ints
    epoch: Ints


class Moments:
    """One tape of the lake, to be asked about many moments."""

    def __init__(self, paths: LakePaths, chain: Chain) -> None:
        self.chain = chain
        self._paths = paths

    def prefix(self, ts_ns: int) -> Prefix | None:
        """Return the tape up to the end of a second; None: it does not begin before, or not end.

        A second has not ended while no event is known that was received later.
        """
        before, after = self._beats_around(ts_ns)
        places = self.places(before, after)
        later = np.flatnonzero(places.recv_ns > ts_ns)
        if not later.size or not later[0]:
            return None
        last, following = int(later[0]) - 1, int(later[0])
        return Prefix(
            (int(places.epoch[last]), int(places.seq[last])),
            int(places.seq[following]),
            int(places.recv_ns[following]),
        )

    def heard_ns(self, after_seq: int, through_seq: int) -> int:
        """Return the newest heartbeat with a connection between two numbers; 0: there is none."""
        for node in reversed(self._nodes(after_seq + 1, through_seq)):
            beats = self._beats(node)
            known = beats.connected & (beats.seq > after_seq) & (beats.seq <= through_seq)
            if known.any():
                return int(beats.recv_ns[np.flatnonzero(known)[-1]])
        return 0

    def holes(self, after_seq: int, through_seq: int) -> list[tuple[int, int]]:
        """Return the numbers that are lost between two others, both ends of each in it."""
        return [
            (gap.first, gap.last)
            for node in self._nodes(after_seq + 1, through_seq)
            for gap in node.gaps
            if gap.first > after_seq and gap.last <= through_seq
        ]

    def retired(self, first_seq: int, last_seq: int) -> list[datetime.date]:
        """Return the dates between two numbers whose rows were let go."""
        nodes = self._nodes(first_seq, last_seq)
        return [node.date for node in nodes if isinstance(node, Manifest) and node.retired]

    def next_place(self, seq: int) -> tuple[int, int] | None:
        """Return number and receipt of the first event at or behind a number."""
        for end in (seq + 1000, self.chain.cursor):
            places = self.places(seq, min(end, self.chain.cursor))
            if places.seq.size:
                return int(places.seq[0]), int(places.recv_ns[0])
        return None

    def places(self, first_seq: int, last_seq: int) -> Places:
        """Return where the events of all tables are between two numbers, both ends in it."""
        span = (first_seq, last_seq)
        found = [
            within(groups_of(path).read([group], _LOOKED_AT), span)
            for path in self._files(*span)
            for group in groups_of(path).where(seq=span)
        ]
        columns = [
            np.concatenate([np.zeros(0, np.int64), *(table[name].to_numpy() for table in found)])
            for name in _LOOKED_AT
        ]
        order = np.argsort(columns[0])
        seq, recv_ns, epoch = (column[order] for column in columns)
        return Places(seq, recv_ns, epoch)

    def files(self, table: str, first_seq: int, last_seq: int) -> Iterator[Path]:
        """Yield the files of a table that lie between two numbers, in the order of the tape."""
        for node in self._nodes(first_seq, last_seq):
            files = files_of_node(self._paths, node)
            yield from (file.path for file in files if file.table == table)

    def seen_ns(self, seq: int) -> int:
        """Return the newest receipt of the events up to a number, of the last thousand."""
        return int(self.places(max(seq - 1000, 1), seq).recv_ns.max(initial=0))

    def span(self) -> tuple[int, int] | None:
        """Return the receipt of the first and the last heartbeat; None: the tape has none."""
        told = [self._beats(node) for node in self._ends()]
        stamps = [stamp for beats in told for stamp in beats.recv_ns[[0, -1]].tolist()]
        return (min(stamps), max(stamps)) if stamps else None

    def _ends(self) -> list[Part | Manifest]:
        with_beats = [node for node in self.chain.nodes if self._beats_file(node)]
        return [*with_beats[:1], *with_beats[-1:]]

    def _beats_around(self, ts_ns: int) -> tuple[int, int]:
        """Return the numbers between which the second's last event is, from beat to beat."""
        nodes = [node for node in self.chain.nodes if self._beats_file(node)]
        low, high = 0, len(nodes)
        while low < high:  # the first with a heartbeat that came later
            middle = (low + high) // 2
            if self._beats(nodes[middle]).recv_ns[-1] > ts_ns:
                high = middle
            else:
                low = middle + 1
        before, after = 1, self.chain.cursor
        if low:
            before = int(self._beats(nodes[low - 1]).seq[-1])
        if low < len(nodes):
            beats = self._beats(nodes[low])
            at = int(np.flatnonzero(beats.recv_ns > ts_ns)[0])
            after = int(beats.seq[at])
            before = int(beats.seq[at - 1]) if at else before
        return before, after

    def _beats(self, node: Part | Manifest) -> Beats:
        path = self._beats_file(node)
        return _read_beats(path) if path else _read_nothing()

    def _beats_file(self, node: Part | Manifest) -> Path | None:
        files = files_of_node(self._paths, node)
        return next((file.path for file in files if file.table == HEARTBEATS.name), None)

    def _files(self, first_seq: int, last_seq: int) -> Iterator[Path]:
        for node in self._nodes(first_seq, last_seq):
            for file in files_of_node(self._paths, node):
                if file.table in _EVENT_FILES:
                    yield file.path

    def _nodes(self, first_seq: int, last_seq: int) -> list[Part | Manifest]:
        nodes = self.chain.nodes
        return [node for node in nodes if node.last >= first_seq and node.first <= last_seq]


@lru_cache(maxsize=64)
def _read_beats(path: Path) -> Beats:
    groups = groups_of(path)
    table = groups.read(groups.where(), ("seq", "ts_recv_ns", "connected"))
    seq = table["seq"].to_numpy()
    order = np.argsort(seq, kind="stable")
    connected = table["connected"].to_numpy().astype(bool)
    return Beats(seq[order], table["ts_recv_ns"].to_numpy()[order], connected[order])


def _read_nothing() -> Beats:
    nothing = np.zeros(0, dtype=np.int64)
    return Beats(nothing, nothing, nothing.astype(bool))
