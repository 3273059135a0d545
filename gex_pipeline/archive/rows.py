"""Events of one part as columns of the lake's tables, gathered frame by frame."""

import datetime
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gex_pipeline.archive.msgpack import UnfitError
from gex_pipeline.archive.wire import Batches, columns_of, columns_of_events
from gex_pipeline.hot.batch import plain_batch
from gex_pipeline.hot.frame import FrameHeader, decode_frame
from gex_pipeline.market.events import Event, tag_of
from gex_pipeline.market.tables import EVENT_TABLES

TOGETHER: Final = 16
"""Frames that are read at once: about what a processor's cache holds."""


class Origin(msgspec.Struct, frozen=True):
    """Columns that the rows of one part share."""

    source: str
    mode: str
    tape: str


class RawFrame(NamedTuple):
    """A frame as the tape has it, its checksum verified, its events not yet decoded."""

    header: FrameHeader
    data: bytes

    @property
    def batch(self) -> bytes:
        """Its events, decompressed."""
        return plain_batch(self.data[self.header.payload_start :])


class Rows:
    """The rows of a part that is being gathered, by table."""

    def __init__(self, origin: Origin, date: datetime.date) -> None:
        self.events = 0
        self.bytes = 0
        """Of the frames, as they are on the tape."""
        self.shared: dict[str, Any] = {"session_date": date}
        self.shared |= {name: getattr(origin, name) for name in origin.__struct_fields__}
        """Columns that have one value in all rows."""
        self._frames: list[RawFrame] = []
        self._tables: dict[type[Event], list[pa.Table]] = {}

    def add(self, frame: RawFrame, after_seq: int) -> None:
        """Take the events of a frame behind a seq."""
        new = frame.header.last_seq - max(frame.header.first_seq - 1, after_seq)
        overlaps = frame.header.first_seq <= after_seq
        if overlaps or (self._frames and self._frames[0].header.epoch != frame.header.epoch):
            self._read()
        self._frames.append(frame)
        self.events += new
        self.bytes += len(frame.data)
        if overlaps:
            self._read(after_seq)
        elif len(self._frames) >= TOGETHER:
            self._read()

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of each table, without what they share."""
        self._read()
        found = {}
        for kind, pieces in self._tables.items():
            table = EVENT_TABLES[tag_of(kind)]
            found[table.name] = pa.concat_tables(pieces)
        return found

    def _read(self, after_seq: int = 0) -> None:
        """Read the frames that wait, all of one epoch; of the first one what is behind a seq."""
        frames, self._frames = self._frames, []
        if not frames:
            return
        for kind, found in _columns(frames).items():
            new = found.filter(pc.greater(found["seq"], after_seq)) if after_seq else found
            if new.num_rows:
                epoch = np.full(new.num_rows, frames[0].header.epoch, dtype=np.int64)
                columns = new.append_column("epoch", pa.array(epoch))
                self._tables.setdefault(kind, []).append(columns)


def _columns(frames: Sequence[RawFrame]) -> dict[type[Event], pa.Table]:
    """Return the events of frames by kind; what the fast way does not know goes the slow one."""
    pieces = [frame.batch for frame in frames]
    headers = [frame.header for frame in frames]
    batches = Batches(
        data=b"".join(pieces),
        ends=np.cumsum([len(piece) for piece in pieces]),
        first_seqs=np.array([header.first_seq for header in headers]),
        counts=np.array([header.last_seq - header.first_seq + 1 for header in headers]),
    )
    try:
        return columns_of(batches)
    except UnfitError:
        events = [event for frame in frames for event in decode_frame(frame.data).events]
        return columns_of_events(events)
