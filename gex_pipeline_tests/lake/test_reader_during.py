"""Row 6 of the fault matrix: who reads while parts are committed, days finished and parts removed.

No row twice, none missing, none taken back, no file error, nothing called damaged that is whole.
"""

import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Final

import polars as pl

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.durable import locked
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline.market.sessions import next_trading_day
from gex_pipeline_tests.archive.builders import FRIDAY, ORIGIN, TAPE, MemorySource, frame

DAYS: Final = 4
STEPS: Final = 5
"""Archive steps a day, of 50 events each."""
TABLES: Final = ("trades", "quotes", "option_quotes", "gaps", "heartbeats")
EVERY: Final = " UNION ALL ".join(f"SELECT seq FROM {table}" for table in TABLES)  # noqa: S608 # ours
SEQS: Final = f"SELECT count(*), count(DISTINCT seq), coalesce(max(seq), 0) FROM ({EVERY})"  # noqa: S608 # ours


def read_on(root: Path, started: Flag, stop: Flag, told: Connection) -> None:
    """Read until told to stop; tell how often, and what was wrong."""
    paths, newest, reads, wrong = LakePaths(root), 0, 0, []
    while not stop.is_set():
        answer = query(paths, SEQS)
        ((rows, distinct, last),) = answer.rows
        if not rows == distinct == last >= newest or answer.damaged:
            wrong.append(f"SQL: {rows} rows, {distinct} seqs to {last} after {newest}, {answer}")
        newest = max(newest, last)
        trades = trades_of(Lake(root))
        whole = [seq for seq in range(1, max(trades, default=0) + 1) if seq % 10 in (2, 3)]
        if trades != whole:
            wrong.append(f"frame: {len(trades)} trades where {len(whole)} are")
        reads += 1
        started.set()
    told.send((reads, wrong))


def trades_of(lake: Lake) -> list[int]:
    """Return the seqs of the trades; a frame that was overtaken is made anew, as its page says."""
    for _ in range(5):
        frame = lake.scan("trades").select(pl.col("seq").sort())
        try:
            return frame.collect()["seq"].to_list()
        except FileNotFoundError:
            continue
    return []


def test_a_reader_sees_each_event_once_whatever_is_done_to_the_files(tmp_path: Path) -> None:
    """Days are finished and their parts removed under a reader that never pauses."""
    paths, context = LakePaths(tmp_path), get_context("spawn")
    archive_tape(MemorySource([frame(1, 10)]), paths, ORIGIN)
    started, stop = context.Event(), context.Event()
    ours, theirs = context.Pipe(duplex=False)
    reader = context.Process(target=read_on, args=(tmp_path, started, stop, theirs))
    reader.start()
    try:
        assert started.wait(60)
        last, day = 10, FRIDAY
        for _ in range(DAYS):
            for _ in range(STEPS):
                last = step(paths, last, day)
            finish(paths, day)
            day = next_trading_day(day)
    finally:
        stop.set()
    reads, wrong = ours.recv() if ours.poll(60) else (0, ["the reader did not end"])
    reader.join(60)

    assert wrong == []
    assert reads > DAYS
    assert query(paths, SEQS).rows == ((last, last, last),)


def step(paths: LakePaths, last: int, day: datetime.date) -> int:
    """Archive the next 50 events of a day, and return the last seq."""
    following = [frame(first, first + 9, day) for first in range(last + 1, last + 51, 10)]
    archive_tape(MemorySource(following), paths, ORIGIN, part_events=20)
    return last + 50


def finish(paths: LakePaths, day: datetime.date) -> None:
    """Compact the older days and remove what a pass before has marked, without any grace."""
    for each in days_of(read_chain(paths, TAPE)):
        if not each.finished and each.date < day:
            with locked(paths.days_lock):
                compact(paths, each)
    clean(paths, 10.0**10, grace_s=0.0)
