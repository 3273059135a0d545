"""The futures' basis of a date computed anew beside its index's figures, held against the lake.

It goes through the join that live goes through: the futures' tape from a minute before the first
second, and what the rows recorded before the date say of each future.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import LiveSnapshot
from gex_pipeline.exposure.pairing import BasisSecond, IndexSecond, Pairing
from gex_pipeline.exposure.quoted import LOOK_BACK_NS
from gex_pipeline.lake.basis import TAPE, newest_rows
from gex_pipeline.lake.moments import Moments
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import Stretch, recorded
from gex_pipeline.market.events import Basis
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.market.tables import BASIS

FUTURES: Final = "cme"
_WINDOW: Final = 20_000
_BACK_NS: Final = LOOK_BACK_NS + 2 * SECOND_NS

_Key = tuple[str, int]


class Rebased(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the basis of one date."""

    rows: int = 0
    equal: int = 0
    """Rows that the lake has, every field alike."""
    different: int = 0
    """That it has otherwise."""
    unrecorded: int = 0
    """That it does not have."""
    first_different: str = ""


NO_BASIS: Final = Rebased()


class Rebasis:
    """Is told a date's seconds of an index tape, in order; `result` says what became of them."""

    def __init__(self, paths: LakePaths, index_tape: str, date: datetime.date) -> None:
        self._paths = paths
        self._tape = f"{index_tape.partition('.')[0]}.{FUTURES}"
        self._known = dict(_recorded(paths, date))
        self._pairing = Pairing(self._tape)
        self._events: Iterator[Stretch] | None = None
        self._rows = self._equal = self._different = self._unrecorded = 0
        self._first = ""

    def take(
        self, second: Second, folded: Iterable[tuple[Image, Mapping[str, LiveSnapshot]]]
    ) -> None:
        """Take in a second and what it folds to."""
        indexes = tuple(
            index_at(image, snapshots["all"], second.ts_ns)
            for image, snapshots in folded
            if roots_of(image.symbol)
        )
        if not indexes:
            return
        if self._events is None:
            self._events = self._begun(second.ts_ns)
        positions = second.images[0].positions
        self._count(self._pairing.put(IndexSecond(second.ts_ns, indexes, positions)))
        while self._pairing.waiting and (stretch := next(self._events, None)) is not None:
            self._count(self._pairing.take(stretch.epoch, tuple(stretch.events)))

    def result(self) -> Rebased:
        """Return what became of the rows so far."""
        return Rebased(
            rows=self._rows,
            equal=self._equal,
            different=self._different,
            unrecorded=self._unrecorded,
            first_different=self._first,
        )

    def _begun(self, first_ns: int) -> Iterator[Stretch]:
        """Return the futures' tape from where the first second needs it."""
        self._pairing.resume(newest_rows(self._paths, first_ns - 1, _BACK_NS), None)
        chain = read_chain(self._paths, self._tape)
        if not chain.nodes:
            return iter(())
        before = Moments(self._paths, chain).prefix(first_ns - _BACK_NS)
        after = before.position[1] if before else 0
        return recorded(self._paths, chain, after_seq=after, window=_WINDOW)

    def _count(self, seconds: Iterable[BasisSecond]) -> None:
        for second in seconds:
            for row in second.rows:
                self._rows += 1
                theirs = self._known.get((row.symbol, row.ts_recv_ns))
                self._equal += theirs == row
                self._unrecorded += theirs is None
                if theirs is not None and theirs != row:
                    self._different += 1
                    self._first = self._first or _difference(row, theirs)


def _recorded(paths: LakePaths, date: datetime.date) -> Iterator[tuple[_Key, Basis]]:
    """Yield the rows that the lake has of a date, without their place on the tape."""
    chain = read_chain(paths, TAPE)
    nodes = [node for node in chain.nodes if node.date == date]
    if not nodes:
        return
    first, last = nodes[0].first, nodes[-1].last
    for stretch in recorded(
        paths, chain, after_seq=first - 1, through_seq=last, tables={BASIS.name}, window=_WINDOW
    ):
        for event in stretch.events:
            if isinstance(event, Basis):
                yield (event.symbol, event.ts_recv_ns), msgspec.structs.replace(event, seq=0)


def _difference(ours: Basis, theirs: Basis) -> str:
    names = ours.__struct_fields__
    found = [name for name in names if getattr(ours, name) != getattr(theirs, name)]
    return f"{ours.symbol} {ours.ts_recv_ns}: {', '.join(found)}"
