"""The archive's source: the tape in the hot store, and the spool where the tape has a hole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis

from gex_pipeline.archive.rows import RawFrame
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.hot.frame import read_header
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.hot.tape import FIELD, tape_end

ENTRIES: Final = 200
"""Of the tape in one reply."""


class SpoolSource:
    """The spools of one root, whoever owns them."""

    def __init__(self, spools: Path) -> None:
        self._spools = spools

    def spooled(self, tape: str, seq: int) -> Iterator[RawFrame]:
        """Give the frames of the spool after a seq, in order; none where there is no spool."""
        folder = self._spools / tape
        for data in spool_frames(folder, seq) if folder.is_dir() else ():
            frame = _raw(tape, data)
            if frame is not None:
                yield frame


class HotSource(SpoolSource):
    """The frames of one namespace, with the spools of one root."""

    def __init__(self, store: redis.Redis, keys: Keys, spools: Path) -> None:
        super().__init__(spools)
        self._store, self._keys = store, keys

    def tapes(self) -> tuple[str, ...]:
        """Return the tapes that the hot store or the spool folder holds, sorted."""
        pattern = self._keys.tape("*").replace("{*}", "{?*}")
        streams = (key.decode() for key in self._store.scan_iter(match=pattern, count=1000))
        found = {stream.partition("{")[2].rstrip("}") for stream in streams}
        if self._spools.is_dir():
            found |= {folder.name for folder in self._spools.iterdir() if any(folder.glob("*.seg"))}
        return tuple(sorted(found))

    def after(self, tape: str, epoch: int, seq: int) -> Iterator[RawFrame]:
        """Give the frames of the tape after a position, in order; holes are left as they are.

        An entry that is no whole frame of this tape is a hole too: the spool may have it.
        """
        position = f"{epoch}-{seq}"
        while entries := self._entries(tape, position):
            for entry_id, fields in entries:
                position = entry_id.decode()
                frame = _raw(tape, fields.get(FIELD, b""))
                if frame is not None and str(frame.header.position) == position:
                    yield frame

    def sent(self, tape: str) -> int | None:
        """Return the last seq that the tape ever took; None: there is no tape."""
        end = tape_end(self._store, self._keys.tape(tape))
        return None if end is None else end.seq

    def is_archived(self, tape: str, cursor: int) -> bool:
        """Return whether tape and spool hold nothing behind a seq."""
        if (self.sent(tape) or 0) > cursor:
            return False
        return next(self.spooled(tape, cursor), None) is None

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Forget the tape up to a committed seq, but nothing that the engine has not folded."""
        for position in self._folded(tape):
            if position < (epoch, seq):
                epoch, seq = position
        self._store.xtrim(self._keys.tape(tape), minid=f"{epoch}-{seq + 1}", approximate=False)

    def _entries(self, tape: str, position: str) -> list[Any]:
        found: Any = self._store.xrange(self._keys.tape(tape), min=f"({position}", count=ENTRIES)
        return list(found)

    def _folded(self, tape: str) -> Iterator[tuple[int, int]]:
        for key in self._store.scan_iter(match=self._keys.chain("*").replace("{*}", "{?*}")):
            image: Any = self._store.get(key)
            positions = decode_image(image).positions if image else {}
            if tape in positions:
                yield positions[tape]


def _raw(tape: str, data: bytes) -> RawFrame | None:
    """Return the frame of its bytes; None: they are damaged, or another tape's."""
    header = read_header(data)
    if header is None or header.size != len(data) or header.tape != tape:
        return None
    return RawFrame(header, data)
