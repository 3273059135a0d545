"""The writing side of the raw capture: frames wait in memory, a thread of its own writes them.

The capture is a witness and never in the way of the tape: taking a frame does not block. Where the
disk takes nothing or too slowly, or free space falls below its limit, the capture stops, says so
and stays stopped until the next start; the tape goes on.
"""

import contextlib
import datetime
import logging
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zstandard

from gex_pipeline.feeds.capture import (
    ZSTD_LEVEL,
    Kind,
    WireFrame,
    capture_files,
    capture_path,
    encode_block,
)
from gex_pipeline.market.sessions import et_datetime

BLOCK_BYTES = 512 * 1024
"""Of frames, uncompressed, that make a block at once."""
BLOCK_S = 1.0
"""Longest time that a frame waits for its block."""
FILE_BYTES = 64 * 1024 * 1024
QUEUE_BYTES = 128 * 1024 * 1024
"""Of frames in memory; more than that, and the disk is too slow for the source."""
GB = 1_000_000_000

log = logging.getLogger(__name__)


class RecorderState(msgspec.Struct, frozen=True):
    """Counters of a capture, for the status of its service."""

    frames: int
    """Taken."""
    bytes_in: int
    bytes_out: int
    problem: str | None
    """Why it stopped; None: it has not."""


class Recorder:
    """Takes frames from one thread and writes them in another; close it."""

    def __init__(
        self,
        folder: Path,
        run: int,
        *,
        keep_bytes: int = 20 * GB,
        free_percent: float = 5.0,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self.folder = folder
        self.run = run
        self._files = _Files(folder, keep_bytes, free_percent, file_bytes)
        self._waiting: list[WireFrame] = []
        self._waiting_bytes = 0
        self._frames = self._bytes_in = 0
        self._problem: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._write, name="capture", daemon=True)
        self._writer.start()

    def take(  # one argument per fact of the frame
        self,
        ts_recv_ns: int,
        connection: int,
        kind: Kind,
        data: str | bytes,
        *,
        symbol: str = "",
        window: Sequence[datetime.date] = (),
    ) -> None:
        """Take a frame; `window` is the expirations that a chain was asked for, in order."""
        if self._problem is not None:
            return
        raw = data.encode() if isinstance(data, str) else data
        ends = (window[0], window[-1]) if window else (None, None)
        with self._changed:
            if self._waiting_bytes + len(raw) > QUEUE_BYTES:
                self._stop(f"{self._waiting_bytes:,} bytes wait for the disk")
                return
            self._frames += 1
            self._bytes_in += len(raw)
            self._waiting_bytes += len(raw)
            self._waiting.append(
                WireFrame(self.run, self._frames, ts_recv_ns, connection, kind, raw, symbol, *ends)
            )
            if self._waiting_bytes >= BLOCK_BYTES:
                self._changed.notify()

    def state(self) -> RecorderState:
        """Return the counters."""
        return RecorderState(self._frames, self._bytes_in, self._files.written, self._problem)

    def close(self, ts_ns: int) -> None:
        """Say that the capture ends here, and write all that waits."""
        self.take(ts_ns, 0, "end", b"")
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._writer.join()
        self._files.close()

    def _write(self) -> None:
        """Write block after block until closed and empty."""
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        while (frames := self._next()) is not None:
            if not frames or self._problem is not None:
                continue
            try:
                self._files.write(encode_block(frames, compressor), frames[0].ts_recv_ns)
            except OSError as error:
                with self._changed:
                    self._stop(error.strerror or str(error))

    def _next(self) -> list[WireFrame] | None:
        """Wait for a block's frames, a second at most; None: closed, and nothing waits."""
        until_s = time.monotonic() + BLOCK_S
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._waiting_bytes >= BLOCK_BYTES,
                max(0.0, until_s - time.monotonic()),
            )
            if self._closed and not self._waiting:
                return None
            frames, self._waiting = self._waiting, []
            self._waiting_bytes = 0
            return frames

    def _stop(self, problem: str) -> None:
        self._problem = problem
        self._waiting, self._waiting_bytes = [], 0
        log.error("the raw capture stopped and the tape goes on: %s", problem)


class _Files:
    """The files of a capture: appended to, rolled by size and date, the oldest removed."""

    def __init__(self, folder: Path, keep_bytes: int, free_percent: float, file_bytes: int) -> None:
        self.written = 0
        self._folder = folder
        self._keep_bytes = keep_bytes
        self._free_share = free_percent / 100
        self._file_bytes = min(file_bytes, keep_bytes // 4)
        self._number = max((_number(path) for path in capture_files(folder)), default=0)
        self._path = Path()
        self._file = -1
        self._size = 0

    def write(self, block: bytes, ts_ns: int) -> None:
        """Append a block, whole or not at all.

        Raises:
            OSError: the disk takes it not, or is nearly full.
        """
        date = str(et_datetime(ts_ns).date())
        if self._file < 0 or self._size >= self._file_bytes or self._path.parent.name != date:
            self._roll(ts_ns)
        try:
            done = 0
            while done < len(block):
                done += os.write(self._file, memoryview(block)[done:])
        except OSError:
            with contextlib.suppress(OSError):  # the reader ends at a torn block in any case
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(block)
        self.written += len(block)

    def close(self) -> None:
        """Bring the file to disk and leave it."""
        if self._file >= 0:
            with contextlib.suppress(OSError):  # what is not on disk, the reader does not find
                os.fdatasync(self._file)
            os.close(self._file)
        self._file = -1

    def _roll(self, ts_ns: int) -> None:
        self.close()
        self._make_room()
        self._number += 1
        self._path = capture_path(self._folder, ts_ns, self._number)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._size = 0

    def _make_room(self) -> None:
        """Remove the oldest files until the capture fits its size and the disk has space left."""
        files = capture_files(self._folder)
        sizes = [path.stat().st_size for path in files]
        while files and (sum(sizes) + self._file_bytes > self._keep_bytes or self._full()):
            files[0].unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files of that date
                files[0].parent.rmdir()
            del files[0], sizes[0]
        if self._full():
            raise OSError("free space is below GEX_DISK_STOP_PERCENT")

    def _full(self) -> bool:
        existing = next(each for each in (self._folder, *self._folder.parents) if each.is_dir())
        usage = shutil.disk_usage(existing)
        return usage.free < self._free_share * usage.total


def _number(path: Path) -> int:
    return int(path.stem.partition("-")[2])
