"""Recording: each complete second of a lane on a tape of our own, exactly once.

A second is spooled before anything is published of it and before any chain that includes it is
stored. So after a restart, which goes on from the stored chains, the newest second on the tape says
which ones are there already. A second that takes several frames may have been cut short: it is made
once more, always the same, and what the tape lacks of it is written.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from math import isnan
from pathlib import Path
from typing import Any, Final, Protocol

import redis

from gex_pipeline.errors import LakeError
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.live import Image, spot_price
from gex_pipeline.exposure.moment import CHAIN_EVERY_S, positions_text
from gex_pipeline.hot.chains import decode_image, encode_image
from gex_pipeline.hot.frame import MAX_EVENTS, decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import FIELD, floor_of
from gex_pipeline.hot.telling import tell_holes
from gex_pipeline.lake.parts import Chain, read_chain, sync_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market import sessions
from gex_pipeline.market.events import Basis, ChainImage, Event, Gap, GexSecond
from gex_pipeline.market.tables import CHAIN_1M, GEX

TAPE_SOURCE: Final = "gex"
IMAGE_BYTES: Final = 8 * 1024 * 1024
"""Of images in one frame, half of what it may hold."""
_TAIL: Final = 1024
"""Events at a tape's end that are looked at: more than any second has."""
_IMAGE_TAIL: Final = 8192
"""So many hold the images of some minutes."""
_ROW_TAIL: Final = 65_536
"""So many hold the quarter of an hour in which indexes and some funds quote on."""
_EVENTS_PER_FRAME: Final = 5
"""A second of one underlying at least."""


class Recording(Protocol):
    """Where the seconds of one calendar's lanes go, each once and in order."""

    tape: str
    recorded_ns: int
    """The newest second that is there; 0: none."""

    def write(self, ts_ns: int, events: Sequence[Event], /) -> None:
        """Keep a second, or what is missing of it."""
        ...

    def newest_rows(self, symbols: Set[str], /) -> list[GexSecond]:
        """Return the rows of the newest seconds of each symbol, oldest first; two at least."""
        ...

    def newest_images(self, symbols: Set[str], /) -> list[Image]:
        """Return the newest whole chain that was kept of each symbol, where one was."""
        ...

    def newest_basis(self) -> list[Basis]:
        """Return the rows of the basis of the newest minute and more that was kept, in order."""
        ...

    def run(self, stop: threading.Event, /) -> None:
        """Do what keeping takes beside the engine until told to stop."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class Recorder:
    """The one owner of the tape gex.<calendar>; `run` sends what is spooled until it stops."""

    def __init__(
        self, store: redis.Redis, keys: Keys, root: Path, calendar: sessions.Calendar
    ) -> None:
        self.tape = f"{TAPE_SOURCE}.{calendar}"
        self._calendar = calendar
        self._store, self._keys = store, keys
        newest = floor_of(store, keys, self.tape)
        self._paths = LakePaths(root)
        archived = read_chain(self._paths, self.tape)
        self._spool = Spool.open(
            root / "spool" / self.tape,
            self.tape,
            floor_seq=max(newest.seq, archived.cursor),
            floor_epoch=max(newest.epoch, archived.epoch),
            archived_seq=archived.cursor,
        )
        newest_of = (
            _newest(_spooled(self._spool, _TAIL)),
            _newest(_sent(store, keys, self.tape, _TAIL)),
            _newest(_archived(self._paths, archived, _TAIL)),
        )
        self.recorded_ns, self._written = max(newest_of)
        """The newest second on the tape, 0: none; and how many of its events are there."""
        self._sender = Sender(
            store,
            keys,
            self._spool,
            publish=False,
            cursor=self._archived,
            folded=lambda: self._sender.position,  # nobody folds it
        )

    def write(self, ts_ns: int, events: Sequence[Event]) -> None:
        """Spool a second, or what the tape lacks of it."""
        if ts_ns < self.recorded_ns:
            return
        if ts_ns > self.recorded_ns:
            self.recorded_ns, self._written = ts_ns, 0
            tell_holes(self._spool, ts_ns, sessions.session_date(ts_ns, self._calendar))
        day = sessions.session_date(ts_ns, self._calendar)
        for batch in _batches(events[self._written :]):
            self._spool.append(batch, day)
            self._written += len(batch)

    def newest_rows(self, symbols: Set[str]) -> list[GexSecond]:
        """Return the rows of the newest seconds of each symbol on the tape, oldest first.

        Some underlyings stop before others: where one has no row at the very end, it is further up,
        and only the lake can tell of rows alone.
        """
        for archived, hot in ((_TAIL, _TAIL), (_ROW_TAIL, _IMAGE_TAIL)):
            rows = self._rows(archived, hot)
            if {row.symbol for row in rows} >= symbols:
                break
        return rows

    def _rows(self, archived: int, hot: int) -> list[GexSecond]:
        chain = read_chain(self._paths, self.tape)
        found = itertools.chain(
            _archived(self._paths, chain, archived, {GEX.name}),
            _sent(self._store, self._keys, self.tape, hot),
            _spooled(self._spool, hot),
        )
        rows = {event.seq: event for event in found if isinstance(event, GexSecond)}
        return [rows[seq] for seq in sorted(rows)]

    def newest_images(self, symbols: Set[str]) -> list[Image]:
        """Return the newest whole chain on the tape of each symbol, where there is one."""
        newest: dict[str, ChainImage] = {}
        chain = read_chain(self._paths, self.tape)
        for events in (
            _archived(self._paths, chain, _IMAGE_TAIL, {CHAIN_1M.name}),
            _sent(self._store, self._keys, self.tape, _IMAGE_TAIL),
            _spooled(self._spool, _IMAGE_TAIL),
        ):
            for event in events:
                if isinstance(event, ChainImage) and event.symbol in symbols:
                    known = newest.get(event.symbol)
                    if known is None or known.ts_recv_ns <= event.ts_recv_ns:
                        newest[event.symbol] = event
        return [decode_image(event.image) for event in newest.values()]

    def newest_basis(self) -> list[Basis]:
        """Return the basis rows at the tape's end, in order."""
        archived = read_chain(self._paths, self.tape)
        found = {
            (event.ts_recv_ns, event.symbol): event
            for events in (
                _archived(self._paths, archived, _TAIL),
                _sent(self._store, self._keys, self.tape, _TAIL),
                _spooled(self._spool, _TAIL),
            )
            for event in events
            if isinstance(event, Basis)
        }
        return [found[key] for key in sorted(found)]

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        self._sender.run(stop)

    def _archived(self) -> int:
        """Return the last seq that is in the lake for good; 0 while the lake cannot say."""
        try:
            cursor = read_chain(self._paths, self.tape).cursor
            sync_chain(self._paths, self.tape)  # segments go on the strength of it
        except LakeError:
            return 0
        return cursor

    def close(self) -> None:
        """Bring everything to disk and give the spool back."""
        self._spool.close()


def chain_images(second: Second) -> list[Event]:
    """Return the whole chains at a second that ends a minute; of others none."""
    if second.ts_ns % (CHAIN_EVERY_S * sessions.SECOND_NS):
        return []
    return [_chain_image(second.ts_ns, image) for image in second.images]


def _chain_image(ts_ns: int, image: Image) -> ChainImage:
    spot = spot_price(image.spot, image.symbol, image.asof_ns)
    return ChainImage(
        image.symbol,
        image.asof_ns,
        ts_ns,
        positions=positions_text(image),
        contracts=len(image.contracts),
        image=encode_image(image),
        spot=None if isnan(spot) else spot,
    )


def _batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Yield the events as frames can hold them: images are large."""
    start = size = 0
    for at, event in enumerate(events):
        size += len(event.image) if isinstance(event, ChainImage) else 0
        if at > start and (size > IMAGE_BYTES or at - start >= MAX_EVENTS):
            yield events[start:at]
            start, size = at, len(event.image) if isinstance(event, ChainImage) else 0
    if events[start:]:
        yield events[start:]


def _newest(events: Iterable[Event]) -> tuple[int, int]:
    """Return the newest second of some events at a tape's end, and how many of them are its."""
    stamps = [event.ts_recv_ns for event in events if not isinstance(event, Gap)]
    return (stamps[-1], stamps.count(stamps[-1])) if stamps else (0, 0)


def _spooled(spool: Spool, events: int) -> Iterator[Event]:
    for data in spool.read_after(max(spool.last_seq - events, 0)):
        yield from decode_frame(data).events


def _sent(store: redis.Redis, keys: Keys, tape: str, events: int) -> Iterator[Event]:
    """Yield the events at the tape's end, of as many frames as may hold so many."""
    entries: Any = store.xrevrange(keys.tape(tape), count=events // _EVENTS_PER_FRAME)
    for _, entry in reversed(entries):
        yield from decode_frame(entry[FIELD]).events


def _archived(
    paths: LakePaths, chain: Chain, events: int, tables: Set[str] | None = None
) -> Iterator[Event]:
    after = max(chain.cursor - events, 0)
    for stretch in recorded(paths, chain, after_seq=after, tables=tables):
        yield from stretch.events
