"""How fast the lake is written: tape frames to parts, and parts to a day file read back.

Rows are the simulator's option quotes, streamed greeks of eight decimals and all. End of day runs
in a process of its own, so that its peak of memory is nobody else's: `python -m …lake_writing`.
"""

import datetime
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from gex_pipeline.archive.rows import Origin, RawFrame
from gex_pipeline.archive.step import PART_EVENTS, archive_tape
from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, encode_frame, read_header
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.parquet import write_part
from gex_pipeline.lake.parts import Part, commit_part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.codec import encode_json
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, OPTION_QUOTES
from gex_pipeline_tests.bench.frame import best_half
from gex_pipeline_tests.bench.option_flow import BLOCK, OptionFlow

TAPE: Final = "schwab.index"
ORIGIN: Final = Origin(source="schwab", mode="live", tape=TAPE)
DAY: Final = datetime.date(2026, 11, 20)
TAPE_EVENTS: Final = 400_000
ARCHIVE_RUNS: Final = 6
DAY_ROWS: Final = 20_000_000


class Ended(msgspec.Struct, frozen=True):
    """What one end of day took."""

    seconds: float
    cpu_s: float
    peak_gb: float
    bytes: int


def measure(share: float) -> dict[str, float]:
    """Return the figures; a share of 1 is 20 million rows."""
    return {**archive_rate(), **end_of_day(max(round(DAY_ROWS * share), PART_EVENTS))}


def archive_rate(events: int = TAPE_EVENTS, runs: int = ARCHIVE_RUNS) -> dict[str, float]:
    """Return rows a CPU second from frames to committed parts, and what a row takes."""
    frames, json_bytes = _frames(events)
    gc.collect()
    gc.freeze()  # the frames are the tape's, not the archive's
    taken = []
    try:
        for _ in range(runs + 1):
            with tempfile.TemporaryDirectory(prefix="gex-bench-") as root:
                start = time.process_time()
                done = archive_tape(_Frames(frames), LakePaths(Path(root)), ORIGIN)
                taken.append(time.process_time() - start)
                size = sum(path.stat().st_size for path in Path(root).rglob("*.parquet"))
    finally:
        gc.unfreeze()
    if done.events != events:
        raise BenchInvalidError(f"{done.events} of {events} events came into the lake")
    return {
        "archive_rows_per_s": events / best_half(np.sort(taken[1:])),
        "frame_bytes_per_row": sum(len(each.data) for each in frames) / events,
        "part_bytes_per_row": size / events,
        "json_bytes_per_row": json_bytes,
    }


def end_of_day(rows: int = DAY_ROWS) -> dict[str, float]:
    """Return what the end of a day of so many option quotes takes, reading back and all."""
    with tempfile.TemporaryDirectory(prefix="gex-bench-") as root:
        _write_parts(LakePaths(Path(root)), rows)
        command = [sys.executable, "-m", __name__, root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
        if done.returncode:
            raise BenchInvalidError(f"end of day failed: {done.stderr[-500:]}")
        ended = msgspec.json.decode(done.stdout, type=Ended)
    return {
        "end_of_day_rows": rows,
        "end_of_day_s": ended.seconds,
        "end_of_day_cpu_s": ended.cpu_s,
        "end_of_day_peak_gb": ended.peak_gb,
        "day_bytes_per_row": ended.bytes / rows,
    }


class _Frames:
    """A tape in memory, as the hot store gives it."""

    def __init__(self, frames: Sequence[RawFrame]) -> None:
        self._frames = frames

    def after(self, tape: str, epoch: int, seq: int) -> Iterator[RawFrame]:
        """Give the frames behind a seq, their checksums looked at."""
        for each in self._frames[seq // MAX_EVENTS :]:
            header = read_header(each.data)
            if header is not None and header.last_seq > seq:
                yield RawFrame(header, each.data)

    def spooled(self, tape: str, seq: int) -> Sequence[RawFrame]:
        """Give nothing."""
        return ()

    def sent(self, tape: str) -> int | None:
        """Return the end of the tape."""
        return self._frames[-1].header.last_seq

    def trim(self, tape: str, epoch: int, seq: int) -> None:
        """Leave the tape for the next run."""


def _frames(events: int) -> tuple[list[RawFrame], float]:
    """Return a tape of full frames, and the bytes of an event as a JSON object."""
    found: list[RawFrame] = []
    waiting = []
    json_bytes, flow = [], OptionFlow()
    for event in flow.events(events):
        waiting.append(event)
        if len(waiting) == MAX_EVENTS or event.seq == events:
            first = waiting[0].seq
            data = encode_frame(Frame(TAPE, 1, first, event.seq, DAY, tuple(waiting)))
            json_bytes.append(len(encode_json(event)) + 1)
            header = read_header(data)
            assert header is not None  # it was just made
            found.append(RawFrame(header, data))
            waiting = []
    return found, sum(json_bytes) / len(json_bytes)


def _write_parts(paths: LakePaths, rows: int) -> None:
    """Commit a day of option quotes as the archive's parts."""
    flow, schema = OptionFlow(), schema_of(OPTION_QUOTES)
    shared: dict[str, Any] = {"source": "schwab", "mode": "live", "tape": TAPE, "session_date": DAY}
    for first in range(1, rows + 1, PART_EVENTS):
        size = min(PART_EVENTS, rows + 1 - first)
        blocks = [flow.block(min(BLOCK, size - at)) for at in range(0, size, BLOCK)]
        columns: dict[str, Any] = {n: np.concatenate([b[n] for b in blocks]) for n in blocks[0]}
        columns |= {
            "seq": np.arange(first, first + size),
            "epoch": np.ones(size, dtype=np.int64),
            "source_seq": pa.nulls(size),
            "settlement": ["P"] * size,
            "streamed": np.ones(size, dtype=bool),
        }
        data = pa.table(
            {
                name: pa.array(values, type=schema.field(name).type, from_pandas=False)
                for name, values in columns.items()
            }
        )
        part = Part(
            tape=TAPE,
            epoch=1,
            date=DAY,
            first=first,
            last=first + size - 1,
            rows={OPTION_QUOTES.name: size},
            schema=LAKE_SCHEMA_VERSION,
        )
        commit_part(
            paths, part, {OPTION_QUOTES.name: partial(write_part, OPTION_QUOTES, data, shared)}
        )


def _end(root: Path) -> Ended:
    paths = LakePaths(root)
    start, cpu = time.perf_counter(), time.process_time()
    (day,) = days_of(read_chain(paths, TAPE))
    manifest = compact(paths, day)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    return Ended(seconds, cpu_s, _peak_gb(), sum(each.bytes for each in manifest.files))


def _peak_gb() -> float:
    """Return the most memory that this process had; it counts from its own start."""
    status = Path("/proc/self/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(_end(Path(sys.argv[1]))).decode())
