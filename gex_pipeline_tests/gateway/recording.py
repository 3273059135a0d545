"""A recorded stretch: a tape's events and what the engine records of them, as parts of a lake."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from gex_pipeline.archive.rows import Origin, RawFrame
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.engine.record import chain_images
from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.moment import PUBLISHED, figures, second_events
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.hot.frame import Frame
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Event, GexSecond
from gex_pipeline.market.sessions import session_date
from gex_pipeline_tests.archive.builders import raw

FEED, OWN = "schwab.index", "gex.index"
FRAME_EVENTS = 40


class OneTape:
    """A tape's frames as the archive reads them; there is no spool."""

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames

    def after(self, tape: str, epoch: int, seq: int) -> Iterator[RawFrame]:
        """Give what the tape has after a position."""
        yield from (raw(f) for f in self._frames if (f.epoch, f.last_seq) > (epoch, seq))

    def spooled(self, tape: str, seq: int) -> Iterable[RawFrame]:
        """Give nothing."""
        return ()

    def sent(self, tape: str) -> int:
        """Return the end of the tape."""
        return self._frames[-1].last_seq if self._frames else 0

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Trim nothing."""


def framed(tape: str, events: Sequence[Event]) -> list[Frame]:
    """Return numbered events in frames of one session date each, cut where numbers are missing."""
    frames: list[Frame] = []
    start = 0
    for at in range(1, len(events) + 1):
        same = at < len(events) and events[at].seq == events[at - 1].seq + 1
        same = same and at - start < FRAME_EVENTS
        day = session_date(events[start].ts_recv_ns, "index")
        if same and session_date(events[at].ts_recv_ns, "index") == day:
            continue
        part = tuple(events[start:at])
        frames.append(Frame(tape, 1, part[0].seq, part[-1].seq, day, part))
        start = at
    return frames


def archive(root: Path, tape: str, events: Sequence[Event], *, part_events: int = 150) -> None:
    """Commit a tape's events to the lake below a root."""
    source = OneTape(framed(tape, events))
    of = "gex" if tape == OWN else "simulator"
    origin = Origin(source=of, mode="simulated", tape=tape)
    archive_tape(source, LakePaths(root), origin, part_events=part_events)


def live_seconds(events: Sequence[Event], *symbols: str) -> list[Second]:
    """Return the seconds that live makes of a tape."""
    lane = Lane(FEED, {symbol: Underlying(symbol, "simulator", "simulated") for symbol in symbols})
    return list(lane.take(1, tuple(events)))


def recorded_rows(seconds: Iterable[Second]) -> list[GexSecond]:
    """Return the rows that live records of seconds, without their place on its tape."""
    return [row for row in engine_events(seconds) if isinstance(row, GexSecond)]


def engine_events(seconds: Iterable[Second]) -> list[Event]:
    """Return all that live records of seconds."""
    found: list[Event] = []
    levels = Levels()
    for second in seconds:
        folded = [(image, figures(image, PUBLISHED, final=True)) for image in second.images]
        found += [*second_events(second.ts_ns, folded, levels), *chain_images(second)]
    return found


def archive_engine(root: Path, events: Sequence[Event]) -> None:
    """Commit what the engine recorded, but no row of the table `gex`."""
    kept = [event for event in events if not isinstance(event, GexSecond)]
    numbered = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(kept, 1)]
    archive(root, OWN, numbered)
