"""What the archive's processes do, over a spool and nothing else: a child that tests may kill.

The tape is the spool itself. What a trim would delete is noted, and that it was in the lake.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from gex_pipeline.archive import derive, step
from gex_pipeline.archive.day import end_of_day, pending_days
from gex_pipeline.archive.derive import derive_days
from gex_pipeline.archive.rows import Origin, RawFrame
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.hot.frame import read_header
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.lake import catalog, clean, days
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.parts import Part, part_starts, read_chain, sweep
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded

TAPE: Final = "schwab.index"
POINTS: Final = (
    *step.POINTS,
    *days.POINTS,
    *derive.POINTS,
    *catalog.POINTS,
    *clean.POINTS,
)
"""Every named moment of what runs here."""
GRACE_S: Final = 0.1
PART_EVENTS: Final = 60


class SpoolTape:
    """The spool as the tape, all of it at once or so many events a second: never trimmed."""

    def __init__(self, root: Path, trims: Path, per_s: int) -> None:
        self._root, self._paths, self._trims = root, LakePaths(root), trims
        self._per_s, self._began_s = per_s, time.monotonic()
        self._folder = root / "spool" / TAPE

    def after(self, tape: str, epoch: int, seq: int) -> Iterator[RawFrame]:
        """Give the frames behind a seq."""
        for data in spool_frames(self._folder, seq):
            header = read_header(data)
            if header is None or (header.epoch, header.last_seq) <= (epoch, seq):
                continue
            if self._per_s and header.last_seq > self._per_s * (time.monotonic() - self._began_s):
                return
            yield RawFrame(header, data)

    def spooled(self, tape: str, seq: int) -> Iterator[RawFrame]:
        """Give the same."""
        return self.after(tape, 0, seq)

    def sent(self, tape: str) -> int | None:
        """Everything was sent."""
        return 0

    def is_archived(self, tape: str, cursor: int) -> bool:
        """Return whether nothing is behind a seq."""
        return next(self.after(tape, 0, cursor), None) is None

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Note what would be gone now, and whether the lake has it."""
        if read_chain(self._paths, tape).cursor < seq:
            (self._root / "trimmed-too-far").write_text(str(seq))
        self._trims.write_text(str(seq))


def work(order: "Order") -> None:
    """Do the duties until the lake holds all: "a" archive, "d" end of day, "c" catalog, clean-up.

    With end of day among them, until all days but the last are finished too.
    """
    root, duties = Path(order.root), order.duties
    trims = Path(order.trims) if order.trims else root / "trimmed"
    paths, tape = LakePaths(root), SpoolTape(root, trims, order.per_s)
    origin = Origin(source="simulator", mode="simulated", tape=TAPE)
    while True:
        now_s = time.time()  # noqa: TID251 # age of marks
        if "a" in duties:
            sweep(paths, TAPE, now_s)
            archive_tape(tape, paths, origin, part_events=PART_EVENTS)
        if "d" in duties:
            end_of_day(tape, paths, 0)
            derive_days(paths)
        if "c" in duties:
            build_catalog(paths)
            clean.clean(paths, now_s, grace_s=GRACE_S)
        chain = read_chain(paths, TAPE)
        done = chain.cursor >= order.until_seq
        if "d" in duties:
            done = done and not pending_days(tape, paths, 0)
        if "c" in duties and done:
            parts = sum(isinstance(node, Part) for node in chain.nodes)
            done = len(part_starts(paths, TAPE)) == parts
        if done:
            return
        time.sleep(0.01)


def reading(root: Path, seconds: float) -> str:
    """Read the lake again and again for a while; return what was ever wrong with it."""
    paths, before, until = LakePaths(root), 0, time.monotonic() + seconds
    reads = 0
    while time.monotonic() < until:
        try:
            chain = read_chain(paths, TAPE)
            seqs = [seq for part in recorded(paths, chain) for seq in part.seqs]
        except FileNotFoundError:  # end of day replaced it: the list is taken again, once
            chain = read_chain(paths, TAPE)
            seqs = [seq for part in recorded(paths, chain) for seq in part.seqs]
        if seqs != list(range(1, chain.cursor + 1)):
            return f"read {len(seqs)} rows, {len(set(seqs))} seqs, cursor {chain.cursor}"
        if chain.cursor < before:
            return f"cursor {chain.cursor} after {before}"
        before, reads = chain.cursor, reads + 1
    return f"ok {reads}"


def at_point(name: str, nth: int, act: Callable[[], None]) -> None:
    """Do something at the nth hit of a named moment of this process."""
    hits = [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "gex.point" and args[0] == name:
            hits[0] += 1
            if hits[0] == nth:
                act()

    sys.addaudithook(hook)


def kill_me() -> None:
    """End this process as a power switch would."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop_me() -> None:
    """Stand still until SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def count_points(root: Path, act: Callable[[], None]) -> None:
    """Do something and note in the root how often each named moment was passed."""
    hits: Counter[str] = Counter()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "gex.point":
            hits[args[0]] += 1

    sys.addaudithook(hook)
    act()
    (root / "points").write_text(json.dumps(hits))


class Order(msgspec.Struct, frozen=True):
    """What a forked child is to do."""

    root: str
    duties: str = "adc"
    until_seq: int = 0
    kill_at: str = ""
    stop_at: str = ""
    nth: int = 1
    read_s: float = 0.0
    count: bool = False
    per_s: int = 0
    """Events of the spool that are on the tape, a second; 0: all at once."""
    trims: str = ""
    """File that remembers how far the tape was trimmed; it may stand on another disk."""


def obey(order: Order) -> None:
    """Do it, in this process."""
    if order.kill_at:
        at_point(order.kill_at, order.nth, kill_me)
    if order.stop_at:
        at_point(order.stop_at, order.nth, stop_me)
    root = Path(order.root)
    if order.read_s:
        said = reading(root, order.read_s)
        (root / f"read-{os.getpid()}").write_text(said)
    elif order.count:
        count_points(root, partial(work, order))
    else:
        work(order)


def serve() -> None:
    """Fork a child for each order read from standard input; print its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for line in sys.stdin:
        words = json.loads(line)
        if "wait" in words:
            _, status = os.waitpid(words["wait"], os.WUNTRACED)
            print(status, flush=True)  # noqa: T201 # the answer
            continue
        pid = os.fork()
        if pid == 0:
            try:
                obey(msgspec.convert(words, Order))
            except BaseException as error:
                (Path(words["root"]) / f"error-{os.getpid()}").write_text(repr(error))
                raise
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        print(pid, flush=True)  # noqa: T201 # the answer


if __name__ == "__main__":
    if len(sys.argv) > 1:
        obey(msgspec.json.decode(sys.argv[1], type=Order))
    else:
        serve()
