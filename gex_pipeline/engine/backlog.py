"""The backlog: events that the hot store has trimmed, out of the spool, else out of the lake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Event

_WINDOW: Final = 100_000
"""Events of the lake in memory at a time."""
_ATTEMPTS: Final = 3

Batch = tuple[int, tuple[Event, ...]]
"""The epoch of their owner, and events that follow one another."""


class Backlog:
    """Of one tape, whose spool another process owns."""

    def __init__(self, root: Path, tape: str) -> None:
        self._paths, self._tape = LakePaths(root), tape
        self._spool = root / "spool" / tape

    def between(self, after_seq: int, before_seq: int) -> Iterator[Batch]:
        """Yield the events between two numbers, in order; what nobody holds is left out."""
        last = after_seq
        for epoch, events in self._spooled(after_seq):
            first = min(events[0].seq, before_seq)
            if first > last + 1:
                yield from self._archived(last, first)
                last = first - 1
            new = tuple(event for event in events if last < event.seq < before_seq)
            if not new:
                break
            yield epoch, new
            last = new[-1].seq
        if last + 1 < before_seq:
            yield from self._archived(last, before_seq)

    def _spooled(self, after_seq: int) -> Iterator[Batch]:
        if not self._spool.is_dir():
            return
        for data in spool_frames(self._spool, after_seq):
            frame = decode_frame(data)
            yield frame.epoch, frame.events

    def _archived(self, after_seq: int, before_seq: int) -> Iterator[Batch]:
        for attempt in range(_ATTEMPTS):
            try:
                for epoch, events in self._archived_now(after_seq, before_seq):
                    yield epoch, events
                    after_seq = events[-1].seq
            except FileNotFoundError:  # end of day has just put day files in the parts' place
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _archived_now(self, after_seq: int, before_seq: int) -> Iterator[Batch]:
        chain = read_chain(self._paths, self._tape)
        for stretch in recorded(
            self._paths, chain, after_seq=after_seq, through_seq=before_seq - 1, window=_WINDOW
        ):
            yield stretch.epoch, tuple(stretch.events)
