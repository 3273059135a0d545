"""A spool gives back what it took, whatever happened to its end, its disk or its owner."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gex_pipeline.errors import CodecError, FrameError, SpoolError, SpoolFullError, SpoolHeldError
from gex_pipeline.hot import spool as spool_module
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.hot.spool import Spool
from gex_pipeline_tests.hot.builders import (
    MONDAY,
    TAPE,
    TUESDAY,
    eventually,
    fill,
    newest_segment,
    seqs,
    trade,
    trades,
)

APPEND_FOR_EVER = """
import datetime, sys
from pathlib import Path
from gex_pipeline.hot.spool import Spool
from gex_pipeline.market.events import Trade
spool = Spool.open(Path(sys.argv[1]), "schwab.index", segment_bytes=20_000)
while True:
    spool.append([Trade("SPX", 1, 1, price=5.0)] * 7, datetime.date(2026, 1, 5))
    print(spool.last_seq, flush=True)
"""


def test_numbers_are_dense_over_segments_and_restarts(tmp_path: Path) -> None:
    """1, 2, 3, … in order, across small segments and three owners of one epoch."""
    for _ in range(3):
        with Spool.open(tmp_path, TAPE, segment_bytes=1_000) as spool:
            for _ in range(10):
                spool.append(trades(7), MONDAY)

    assert spool.state().segments > 3
    with Spool.open(tmp_path, TAPE) as spool:
        assert seqs(spool) == list(range(1, 211))
        assert spool.position == (1, 210)


def test_reading_starts_behind_a_seq(tmp_path: Path) -> None:
    """The frame with the seq after it comes first, whole."""
    fill(tmp_path)

    with Spool.open(tmp_path, TAPE) as spool:
        assert seqs(spool, 10) == list(range(11, 31))
        assert seqs(spool, 12) == list(range(11, 31))
        assert seqs(spool, 30) == []


def test_one_owner(tmp_path: Path) -> None:
    """A second open is refused while the first lasts, and not after."""
    with Spool.open(tmp_path, TAPE), pytest.raises(SpoolHeldError, match="Stop that process"):
        Spool.open(tmp_path, TAPE)

    Spool.open(tmp_path, TAPE).close()


def test_a_torn_end_is_cut_at_any_byte(tmp_path: Path) -> None:
    """A cut at every offset of the last two frames leaves the frames before it, and numbers on."""
    fill(tmp_path)
    path = newest_segment(tmp_path)
    data, frame = path.read_bytes(), path.stat().st_size // 6

    for size in range(4 * frame, len(data)):
        path.write_bytes(data[:size])
        with Spool.open(tmp_path, TAPE) as spool:
            whole = size // frame * 5
            assert (spool.last_seq, spool.state().cut_bytes) == (whole, size % frame)
            spool.append(trades(1), MONDAY)
            assert seqs(spool) == list(range(1, whole + 2))
        newest_segment(tmp_path).unlink()


@pytest.mark.parametrize("tail", [bytes(1), bytes(40), bytes(4096), b"\xf7GX1", b"noise" * 30])
def test_a_tail_that_is_no_frame_is_cut(tmp_path: Path, tail: bytes) -> None:
    """Zeros from a power cut, half a magic, noise: the seqs go on from the last frame."""
    last = fill(tmp_path)
    with newest_segment(tmp_path).open("ab") as file:
        file.write(tail)

    with Spool.open(tmp_path, TAPE) as spool:
        assert (spool.last_seq, spool.state().cut_bytes) == (last, len(tail))
        assert seqs(spool) == list(range(1, last + 1))


def test_damage_in_the_middle_is_a_hole_and_no_end(tmp_path: Path) -> None:
    """A flipped byte costs its frame alone; no number is given twice."""
    fill(tmp_path)
    path = newest_segment(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 + 60] ^= 1
    path.write_bytes(data)

    with Spool.open(tmp_path, TAPE) as spool:
        assert spool.state().damaged_bytes == len(data) // 6
        assert seqs(spool) == [*range(1, 11), *range(16, 31)]
        assert spool.append(trades(1), MONDAY).first_seq == 31


def test_floors_of_the_server_and_the_archive(tmp_path: Path) -> None:
    """Numbers start above what others know; a spool that was overtaken takes an epoch above."""
    with Spool.open(tmp_path / "new", TAPE, floor_seq=500, floor_epoch=4) as spool:
        assert spool.append(trades(2), MONDAY).position == (5, 502)
    with Spool.open(tmp_path / "new", TAPE, floor_seq=502, floor_epoch=5) as spool:
        assert spool.append(trades(1), MONDAY).position == (5, 503)
    with Spool.open(tmp_path / "new", TAPE, floor_seq=900, floor_epoch=6) as spool:
        assert spool.append(trades(1), MONDAY).position == (7, 901)
        assert seqs(spool) == [501, 502, 503, 901]
        assert [decode_frame(data).epoch for data in spool.read_after(0)] == [5, 5, 7]


def test_a_folder_of_another_tape_is_refused(tmp_path: Path) -> None:
    """Before anything is written to it; the folder is free afterwards."""
    fill(tmp_path)

    for _ in range(2):
        with pytest.raises(SpoolError, match=r"holds the tape schwab\.index"):
            Spool.open(tmp_path, "schwab.cme")


def test_session_dates_never_go_back(tmp_path: Path) -> None:
    """An event that comes after its tape has rolled lies under the tape's date, restarts too."""
    with Spool.open(tmp_path, TAPE) as spool:
        spool.append(trades(1), TUESDAY)
        assert spool.append(trades(1), MONDAY).session_date == TUESDAY
    with Spool.open(tmp_path, TAPE) as spool:
        assert spool.append(trades(1), MONDAY).session_date == TUESDAY


def test_what_cannot_be_written_takes_no_number(tmp_path: Path) -> None:
    """Neither an impossible event nor too many of them."""
    with Spool.open(tmp_path, TAPE) as spool:
        with pytest.raises(CodecError):
            spool.append([trade(float("nan"))], MONDAY)
        with pytest.raises(FrameError):
            spool.append(trades(257), MONDAY)
        assert spool.append(trades(1), MONDAY).first_seq == 1


def test_archived_segments_go(tmp_path: Path) -> None:
    """Whole ones up to the seq, never the newest; a reader goes on behind them."""
    with Spool.open(tmp_path, TAPE, segment_bytes=400) as spool:
        for _ in range(12):
            spool.append(trades(5), MONDAY)
        spool.drop_through(33)

        assert seqs(spool)[0] <= 34
        assert seqs(spool)[-1] == 60
        spool.drop_through(60)
        assert spool.state().segments == 1
        assert spool.append(trades(1), MONDAY).first_seq == 61


def test_a_killed_owner_loses_nothing(tmp_path: Path) -> None:
    """Each event whose append returned is there, dense, after kill -9 at any moment."""
    promised = 0
    for _ in range(3):
        owner = subprocess.Popen(  # noqa: S603 # our own interpreter
            [sys.executable, "-c", APPEND_FOR_EVER, tmp_path], stdout=subprocess.PIPE
        )
        assert owner.stdout is not None
        with owner.stdout as lines:
            for _ in range(200):
                promised = int(lines.readline())
            owner.send_signal(signal.SIGKILL)
            owner.wait()

        with Spool.open(tmp_path, TAPE) as spool:
            assert spool.last_seq >= promised
            assert seqs(spool) == list(range(1, spool.last_seq + 1))


def append_many(spool: Spool) -> None:
    """Ten frames."""
    for _ in range(10):
        spool.append(trades(3), MONDAY)


class _Disk:
    """A disk that refuses writes to a spool's file, or its fsyncs, while `broken`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = False
        self._write, self._fdatasync = os.write, os.fdatasync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)

    def write(self, file: int, data: bytes) -> int:
        """Half a write, then none: what a full disk does."""
        if not self.broken:
            return self._write(file, data)
        if len(data) > 40:
            return self._write(file, bytes(data)[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    def fdatasync(self, file: int) -> None:
        """Nothing more comes to disk."""
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        self._fdatasync(file)


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames go on to the sender from memory, in order, and to disk when it has room again."""
    disk = _Disk(monkeypatch)
    monkeypatch.setattr(spool_module, "RETRY_S", 0.0)
    with Spool.open(tmp_path, TAPE) as spool:
        reader = spool.reader(0)
        spool.append(trades(3), MONDAY)
        disk.broken = True
        for _ in range(4):
            spool.append(trades(3), MONDAY)
        state = spool.state()
        read = reader.read() + reader.read()
        disk.broken = False
        spool.append(trades(3), MONDAY)
        read += reader.read()
        reader.close()

        assert (state.reserve_frames, state.problem is None) == (4, False)
        assert [decode_frame(data).first_seq for data in read] == [1, 4, 7, 10, 13, 16]
        assert (spool.state().reserve_frames, spool.state().problem) == (0, None)

    with Spool.open(tmp_path, TAPE) as spool:
        assert seqs(spool) == list(range(1, 19))


def test_a_full_reserve_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: the caller hears of it, and what it has is not lost."""
    disk = _Disk(monkeypatch)
    monkeypatch.setattr(spool_module, "RESERVE_BYTES", 300)
    with Spool.open(tmp_path, TAPE) as spool:
        disk.broken = True
        spool.append(trades(3), MONDAY)
        with pytest.raises(SpoolFullError, match="No space left"):
            append_many(spool)
        last = spool.last_seq
        assert seqs(spool) == list(range(1, last + 1))
        disk.broken = False

    with Spool.open(tmp_path, TAPE) as spool:
        assert spool.last_seq == last


def test_after_a_failed_fsync_the_spool_goes_on_in_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may have forgotten what it could not write: that file is not trusted again."""
    disk = _Disk(monkeypatch)
    with Spool.open(tmp_path, TAPE, fsync_ms=1) as spool:
        spool.append(trades(3), MONDAY)
        first = newest_segment(tmp_path)
        assert eventually(lambda: not spool._journal.dirty)
        monkeypatch.setattr(disk, "write", disk._write)
        disk.broken = True
        monkeypatch.setattr(os, "write", disk._write)
        spool.append(trades(3), MONDAY)
        assert eventually(lambda: spool.state().fsync_failures == 1)
        disk.broken = False
        spool.append(trades(3), MONDAY)

        assert eventually(lambda: newest_segment(tmp_path) != first)
        assert seqs(spool) == list(range(1, 10))


def test_others_read_without_the_lock(tmp_path: Path) -> None:
    """The archive reads the frames of a live spool; of a half-written one it sees nothing."""
    with Spool.open(tmp_path, TAPE, segment_bytes=400) as spool:
        for _ in range(6):
            spool.append(trades(5), MONDAY)
        with newest_segment(tmp_path).open("ab") as file:
            file.write(next(iter(spool.read_after(0)))[:50])

        found = [decode_frame(data).last_seq for data in spool_frames(tmp_path, 7)]

    assert found == [10, 15, 20, 25, 30]
