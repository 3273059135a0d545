"""Where what is played comes from: the lake's tapes, or a raw capture."""

from collections.abc import Mapping
from typing import Protocol

from gex_pipeline.hot.frame import Position
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.replay.plan import Plan, Start, Track, find_start, tracks
from gex_pipeline.replay.tape import Batch, RecordedTape


class Played(Protocol):
    """A tape that is handed out by market time."""

    track: Track
    position: Position | None
    """Of the newest event handed out."""

    def stamp_at(self, ahead: int) -> int | None:
        """Return the receipt of the event so many places ahead, or of the last one known there.

        None: no event is left that may be handed out.
        """
        ...

    def take(self, until_ns: int) -> list[Batch]:
        """Return the events received up to a moment, as far as they are read already."""
        ...

    def release(self) -> list[Batch]:
        """Return the one event behind the end, if there is one."""
        ...

    def close(self) -> None:
        """End the reading ahead."""
        ...


class Source(Protocol):
    """What was recorded of a session date."""

    def tracks(self, plan: Plan) -> tuple[Track, ...]:
        """Return the tapes that there are and that the replay needs.

        Raises:
            ReplayError: there are none.
        """
        ...

    def start(self, tracks: tuple[Track, ...], at_ns: int) -> Start:
        """Return where to start for the state at a moment."""
        ...

    def open(self, tracks: tuple[Track, ...], start: Start, end_ns: int) -> Mapping[str, Played]:
        """Return the tapes, by name, from the start on."""
        ...


class LakeSource:
    """The tapes of one root's lake."""

    def __init__(self, paths: LakePaths) -> None:
        self._paths = paths

    def tracks(self, plan: Plan) -> tuple[Track, ...]:
        """Return the tapes that the lake holds of the date and the replay needs."""
        return tracks(self._paths, plan)

    def start(self, tracks: tuple[Track, ...], at_ns: int) -> Start:
        """Return the newest images at or before a moment, and where the tapes go on from them."""
        return find_start(self._paths, tracks, at_ns)

    def open(self, tracks: tuple[Track, ...], start: Start, end_ns: int) -> Mapping[str, Played]:
        """Return the tapes, by name, from the start on."""
        return {
            track.tape: RecordedTape(self._paths, track, start.after[track.tape], end_ns)
            for track in tracks
        }
