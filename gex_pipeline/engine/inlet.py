"""The inlet of a lane: its tape from the hot store, what that no longer has from the backlog."""

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

from gex_pipeline.engine.backlog import Backlog
from gex_pipeline.hot.frame import Frame, Position
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.events import Event

_FRAMES: Final = 64
"""Read at a time; between two reads previews have their turn."""

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Reading(Protocol[Made_co]):
    """What a tape's events go to: a lane of underlyings, or futures and their indexes."""

    tape: str

    @property
    def position(self) -> tuple[int, int] | None:
        """After this event reading goes on."""
        ...

    def take(self, epoch: int, events: tuple[Event, ...], /) -> Iterator[Made_co]:
        """Take in a frame's events; yield what they complete."""
        ...


class Inlet(Generic[Made]):
    """Brings one tape's events to its lane, each once and in order."""

    def __init__(
        self, lane: Reading[Made], tape: TapeReader, backlog: Backlog | None, *, whole: bool
    ) -> None:
        """Prepare an inlet.

        `whole`: a lane without a position begins with the tape's very first event, wherever it
        lies, and not with the first that the hot store has. It is so where no chain of any of its
        underlyings is known; of a symbol that is new nothing lies further back.
        """
        self.lane = lane
        self.holes = 0
        """Times that events were missing which nobody holds."""
        self.more = False
        """Whether the last read left off before the tape's end."""
        self._tape, self._backlog = tape, backlog
        self._whole = whole

    def read(self, stop: threading.Event) -> Iterator[Iterator[Made]]:
        """Yield the seconds that each of the next frames completes; nothing: all is read."""
        position = self.lane.position
        after = Position(*position) if position else None
        frames = self._tape.read(after, _FRAMES)
        self.more = len(frames) >= _FRAMES
        for run in _runs(frames):
            yield from self._missing(run[0].first_seq, stop)
            if stop.is_set():
                return
            events = tuple(chain.from_iterable(frame.events for frame in run))
            yield self.lane.take(run[0].epoch, events)

    def _missing(self, before_seq: int, stop: threading.Event) -> Iterator[Iterator[Made]]:
        last = self._last_seq(before_seq)
        if last + 1 == before_seq:
            return
        for epoch, events in self._backlog.between(last, before_seq) if self._backlog else ():
            if stop.is_set():
                return
            yield self.lane.take(epoch, events)
        self.holes += self._last_seq(before_seq) + 1 < before_seq

    def _last_seq(self, before_seq: int) -> int:
        """Return the number after which reading goes on, where that is before another one."""
        if self.lane.position:
            return self.lane.position[1]
        return 0 if self._whole and self._backlog else before_seq - 1


def _runs(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """Yield the frames that follow one another as one: what is done per frame is done once."""
    run: list[Frame] = []
    for frame in frames:
        if run and (frame.epoch, frame.first_seq) != (run[-1].epoch, run[-1].last_seq + 1):
            yield run
            run = []
        run.append(frame)
    if run:
        yield run
