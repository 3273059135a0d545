"""The reader at the end of the tapes that the ingest bench fills: what came, in which order, when.

It is a process of its own and trims behind itself, as an archive and an engine would let it.
"""

import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.batch import unpack_parts
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import position_of, read_header
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.market.arrays import Floats
from gex_pipeline.simulator.wall import wall_ns
from gex_pipeline_tests.bench.ingest_wire import Wire

KINDS: Final = frozenset({"option_quote", "quote", "trade"})
_TRIM_S: Final = 1.0


class Read(msgspec.Struct, frozen=True):
    """What was read since the start, and how old the events were since the last look."""

    events: int
    """Of the feed: quotes, trades, option quotes."""
    missing: int
    """Seqs that were not there."""
    strange: int
    """Events that are not the next one of the feed."""
    newest_ns: int
    """When the newest was read, wall time."""
    ages_ms: Floats


class _Tape:
    """One tape against what the feed has for it."""

    def __init__(self, key: str, images: list[str], deltas: list[str]) -> None:
        self.key = key
        self.after = "0-0"
        self.seq = 0
        self.events = self.missing = self.strange = 0
        self._images, self._deltas = images, deltas

    def take(self, entry_id: bytes, data: bytes) -> list[int]:
        """Return the vendor's times of the feed's events in a frame."""
        header = read_header(data)
        if header is None:
            raise BenchInvalidError(f"entry {entry_id!r} is damaged")
        self.missing += header.first_seq - self.seq - 1
        self.seq = position_of(entry_id).seq
        self.after = entry_id.decode()
        times = []
        for head in unpack_parts(data[header.payload_start :])[0]:
            if head.kind in KINDS:
                self.strange += head.symbol != self._expected()
                self.events += 1
                times.append(head.ts_event_ns)
        return times

    def _expected(self) -> str:
        at = self.events
        if at < len(self._images):
            return self._images[at]
        return self._deltas[(at - len(self._images)) % len(self._deltas)]


def watch(link: Connection, url: str, wire: Wire) -> None:
    """Read both tapes to their ends; answer whatever comes over the link with a `Read`."""
    tapes = [
        _Tape(Keys().tape(f"schwab.{calendar}"), images, wire.of_deltas[calendar])
        for calendar, images in wire.of_images.items()
    ]
    ages: list[np.ndarray] = []
    newest_ns, trim_at = 0, time.monotonic()
    with connect(url) as store:
        while True:
            found: Any = store.xread({tape.key: tape.after for tape in tapes}, count=50, block=20)
            for tape, entry_id, data in _entries(found, {tape.key: tape for tape in tapes}):
                now_ns = wall_ns()
                if times := tape.take(entry_id, data):
                    newest_ns = now_ns
                    ages.append((now_ns - np.array(times)) / 1e6)
            if time.monotonic() > trim_at:
                trim_at = time.monotonic() + _TRIM_S
                for tape in tapes:
                    store.xtrim(tape.key, minid=tape.after, approximate=True)
            if link.poll():
                if link.recv() is None:
                    return
                link.send(_told(tapes, newest_ns, ages))
                ages.clear()


def _told(tapes: list[_Tape], newest_ns: int, ages: list[np.ndarray]) -> Read:
    total: Counter[str] = Counter()
    for tape in tapes:
        total.update(events=tape.events, missing=tape.missing, strange=tape.strange)
    return Read(
        total["events"],
        total["missing"],
        total["strange"],
        newest_ns,
        np.concatenate([np.zeros(0), *ages]),
    )


def _entries(reply: Any, tapes: dict[str, _Tape]) -> Iterator[tuple[_Tape, bytes, bytes]]:
    streams = reply.items() if isinstance(reply, dict) else reply or ()
    for key, entries in streams:
        rows = entries[0] if entries and isinstance(entries[0], list) else entries
        for entry_id, fields in rows:
            yield tapes[key.decode()], entry_id, fields[FIELD]
