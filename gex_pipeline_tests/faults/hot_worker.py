"""The process that is killed: a spool, its sender, and an archive that is a file of identities.

    hot_worker ROOT URL BATCHES [POINT N]

Prints the last seq of each batch when it is spooled. The archive takes frames from the tape, writes
who is in them and trims: its file is its cursor. Every 4th fsync fails.
"""

import datetime
import errno
import itertools
import os
import sys
from pathlib import Path
from typing import Any, cast

import redis

from gex_pipeline.hot import sender as sender_module
from gex_pipeline.hot import spool as spool_module
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import Frame, Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import TapeReader, floor_of
from gex_pipeline.hot.telling import tell_holes
from gex_pipeline.market.events import Event, Quote, Trade
from gex_pipeline_tests.faults.history import Identity
from gex_pipeline_tests.faults.points import die_at

TAPE = "schwab.index"
KEYS = Keys("sim:")
DAY = datetime.date(2026, 1, 5)
NOW_NS = 1_767_625_200_000_000_000


class Archive:
    """Who is committed for good, in order; read anew by each process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def identities(self) -> list[Identity]:
        """Return who is committed; a torn last line is nobody."""
        text = self._path.read_text() if self._path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [(tape, int(epoch), int(seq)) for tape, epoch, seq in map(str.split, lines)]

    def cursor(self) -> Position:
        """Return where the archive goes on."""
        found = self.identities()
        return Position(found[-1][1], found[-1][2]) if found else Position(0, 0)

    def take(self, frames: list[Frame]) -> None:
        """Commit the events of frames that are not yet."""
        cursor = self.cursor()
        with self._path.open("a") as file:
            for frame in frames:
                for event in frame.events:
                    if event.seq > cursor.seq:
                        file.write(f"{frame.tape} {frame.epoch} {event.seq}\n")
            file.flush()
            os.fsync(file.fileno())


def work(root: Path, url: str, batches: int) -> None:
    """Spool batches, send them, archive what was sent."""
    archive = Archive(root / "archive")
    sender_module.TIDY_S = spool_module.RETRY_S = 0.0
    with connect(url) as client:
        floor, cursor = floor_of(client, KEYS, TAPE), archive.cursor()
        spool = Spool.open(
            root / "spool",
            TAPE,
            fsync_ms=1,
            floor_seq=max(floor.seq, cursor.seq),
            floor_epoch=max(floor.epoch, cursor.epoch),
            archived_seq=cursor.seq,
            segment_bytes=1_500,
            reserve_bytes=4_096,
        )
        with spool:
            sender = Sender(client, KEYS, spool, cursor=lambda: archive.cursor().seq)
            reader = TapeReader(client, KEYS, TAPE)
            _fail_some_fsyncs()
            for number in range(batches):
                batch: list[Event] = [
                    Trade("SPX", NOW_NS + number, NOW_NS + number, price=5000.0 + number),
                    Quote("SPY", NOW_NS + number, NOW_NS + number, bid=500.0, ask=500.1),
                ]
                print(spool.append(batch * 3, DAY).last_seq, flush=True)  # noqa: T201 # to the parent
                if number % 3 == 0:
                    _pump(sender)
                    tell_holes(spool, NOW_NS + number, DAY)
                if number % 25 == 24:
                    client.connection_pool.disconnect()
                if number % 12 == 11:
                    archive.take(reader.read(archive.cursor(), 7))
                    sender.trim(archive.cursor())
            _pump(sender)


def _pump(sender: Sender) -> None:
    """Send all; the first attempt may find its connection closed."""
    try:
        sender.pump()
    except redis.ConnectionError:
        sender.pump()


def _fail_some_fsyncs() -> None:
    sync, calls = os.fdatasync, itertools.count(1)

    def fdatasync(file: int) -> None:
        if next(calls) % 4 == 0:
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    os.fdatasync = cast("Any", fdatasync)


def main() -> None:
    """Do as the command line says."""
    root, url, batches, *point = sys.argv[1:]
    if point:
        die_at(point[0], int(point[1]))
    work(Path(root), url, int(batches))


if __name__ == "__main__":
    main()
