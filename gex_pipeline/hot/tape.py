"""Reading a tape: frames in order, no event twice, and every hole named."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec
import redis

from gex_pipeline.errors import FrameError
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import (
    MAX_EVENTS,
    Frame,
    Position,
    decode_frame,
    position_of,
    read_header,
)
from gex_pipeline.hot.holes import SpoolHole
from gex_pipeline.hot.keys import Keys

FIELD = b"f"
"""Of a tape's entries: the frame's bytes."""
START = Position(0, 0)
BLOCK_MS = 500
_LOOK = 200
RETRY_S = (0.05, 2.0)
"""First and longest pause after a lost connection."""


class Hole(msgspec.Struct, frozen=True):
    """Events first_seq to last_seq are not on the tape."""

    tape: str
    first_seq: int
    last_seq: int


class TapeReader:
    """Frames of one tape behind a position; the caller keeps the position.

    A position is an owner's epoch and the last seq read (`Frame.position`). None is the start of
    what the tape still holds.
    """

    def __init__(self, client: redis.Redis, keys: Keys, tape: str) -> None:
        self.tape = tape
        self._client = client
        self._key = keys.tape(tape)

    def read(self, after: Position | None = None, count: int = 100) -> list[Frame]:
        """Return up to `count` next frames, without the events that the reader has already.

        Where a frame's first seq is not the one after the last, events are missing: `checked`
        says which.

        Raises:
            FrameError: an entry that is no frame of this tape.
        """
        start = "-" if after is None else f"({after}"
        entries = _rows(self._client.xrange(self._key, min=start, max="+", count=count))
        return [item for item in self._frames(entries, after) if isinstance(item, Frame)]

    def read_checked(self, after: Position | None = None, count: int = 100) -> list[Frame | Hole]:
        """Return the same, each hole before the frame that follows it."""
        return list(checked(self.tape, self.read(after, count), after))

    def follow(
        self, after: Position | None, stop: threading.Event, count: int = 100
    ) -> Iterator[Frame | Hole]:
        """Yield frames and holes as they come until `stop` is set; a lost server is waited for."""
        pause_s = RETRY_S[0]
        while not stop.is_set():
            try:
                items = self._await(after, count)
            except UNREACHABLE:
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, RETRY_S[1])
                continue
            pause_s = RETRY_S[0]
            for item in items:
                if isinstance(item, Frame):
                    after = item.position
                yield item

    def end(self) -> Position | None:
        """Return the position of the newest entry that the server ever took, None without one."""
        return tape_end(self._client, self._key)

    def _await(self, after: Position | None, count: int) -> list[Frame | Hole]:
        reply = self._client.xread({self._key: str(after or START)}, count=count, block=BLOCK_MS)
        streams = cast("Any", reply)
        if not streams:
            return []
        ((_, entries),) = streams.items() if isinstance(streams, dict) else streams
        if entries and isinstance(entries[0], list):  # RESP3 wraps them once more
            entries = entries[0]
        frames = [f for f in self._frames(entries, after) if isinstance(f, Frame)]
        return list(checked(self.tape, frames, after))

    def _frames(
        self, entries: Sequence[tuple[bytes, dict[bytes, bytes]]], after: Position | None
    ) -> Iterator[Frame]:
        seen = after.seq if after else 0
        for entry_id, fields in entries:
            frame = decode_entry(self.tape, entry_id, fields)
            if frame.last_seq <= seen:
                continue
            yield _without_seen(frame, seen)
            seen = frame.last_seq


def decode_entry(tape: str, entry_id: bytes, fields: dict[bytes, bytes]) -> Frame:
    """Return the frame of a tape's entry.

    Raises:
        FrameError: no frame, or one of another tape or place.
    """
    data = fields.get(FIELD)
    if data is None:
        raise FrameError(f"entry {entry_id!r} of tape {tape} has no field f")
    frame = decode_frame(data)
    if frame.tape != tape or frame.position != position_of(entry_id):
        raise FrameError(f"entry {entry_id!r} of tape {tape} holds {frame.tape} {frame.position}")
    return frame


def checked(tape: str, frames: Iterable[Frame], after: Position | None) -> Iterator[Frame | Hole]:
    """Yield the frames, and before each that does not go on from the last, the hole."""
    expected = after.seq + 1 if after else None
    for frame in frames:
        if expected is not None and frame.first_seq > expected:
            yield Hole(tape, expected, frame.first_seq - 1)
        yield frame
        expected = frame.last_seq + 1


def tape_end(client: redis.Redis, key: str) -> Position | None:
    """Return the id of the newest entry that a stream ever took, None where there is no stream."""
    try:
        info = client.xinfo_stream(key)
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    return position_of(info["last-generated-id"])


def floor_of(client: redis.Redis, keys: Keys, tape: str) -> Position:
    """Return what `Spool.open` must start above by what the server knows: epoch and seq."""
    return tape_end(client, keys.tape(tape)) or START


def trim(client: redis.Redis, keys: Keys, tape: str, through: Position) -> int:
    """Delete the entries up to a position, none behind it; return how many.

    The position is the smaller of what the archive has committed for good and what the engine has
    saved.
    """
    minid = f"{through.epoch}-{through.seq + 1}"
    return client.xtrim(keys.tape(tape), minid=minid, approximate=False)


def held_ranges(client: redis.Redis, key: str, hole: SpoolHole) -> list[tuple[int, int]]:
    """Return the ranges of seqs, in or about a hole of the spool, that the tape holds."""
    found, newest = [], str(Position(hole.epoch, hole.last_seq + MAX_EVENTS))
    while entries := _rows(client.xrevrange(key, max=newest, count=_LOOK)):
        for _, fields in entries:
            header = read_header(fields.get(FIELD, b""))
            if header is not None:
                found.append((header.first_seq, header.last_seq))
        if found and found[-1][0] <= hole.first_seq:
            break
        newest = f"({entries[-1][0].decode()}"
    return found


def _without_seen(frame: Frame, seen: int) -> Frame:
    """Return the frame from the seq after `seen` on."""
    if frame.first_seq > seen:
        return frame
    kept = frame.events[seen - frame.first_seq + 1 :]
    return msgspec.structs.replace(frame, first_seq=seen + 1, events=kept)


def _rows(reply: object) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", reply or [])
