"""Frames kept as they came: written in blocks, read back to the last whole one."""

import datetime
import errno
import os
from pathlib import Path

import pytest
import zstandard

from gex_pipeline.feeds.capture import (
    WireFrame,
    capture_files,
    encode_block,
    read_capture,
    read_file,
)
from gex_pipeline.feeds.recorder import Recorder
from gex_pipeline.market.sessions import et_ns

DAY = datetime.date(2026, 11, 20)
NOON_NS = et_ns(DAY, 12)


def frame(number: int, data: bytes = b'{"data":[]}') -> WireFrame:
    """A frame of a run that began at noon."""
    return WireFrame(NOON_NS, number, NOON_NS + number, 1, "stream", data)


def block(*numbers: int) -> bytes:
    """A block of frames."""
    compressor = zstandard.ZstdCompressor(level=3)
    return encode_block([frame(number) for number in numbers], compressor)


def numbers(path: Path) -> list[int]:
    """The frames that a file still holds."""
    return [frame.number for frame in read_file(path)]


def test_what_is_taken_is_read_back(tmp_path: Path) -> None:
    """Text, bytes, a chain with its window, the end; nobody else may read the file."""
    recorder = Recorder(tmp_path, NOON_NS, free_percent=0)
    days = (DAY, DAY + datetime.timedelta(7), DAY + datetime.timedelta(14))
    recorder.take(NOON_NS + 1, 1, "stream", '{"notify":[{"heartbeat":"1"}]} ü')
    recorder.take(NOON_NS + 2, 0, "chain", b"{}", symbol="SPX", window=days)
    recorder.close(NOON_NS + 3)

    first, chain, end = read_capture(tmp_path)
    assert first == WireFrame(
        NOON_NS, 1, NOON_NS + 1, 1, "stream", '{"notify":[{"heartbeat":"1"}]} ü'.encode()
    )
    assert (chain.symbol, chain.first, chain.last) == ("SPX", days[0], days[-1])
    assert (end.kind, end.number) == ("end", 3)
    (path,) = capture_files(tmp_path)
    assert path.parent.name == "2026-11-20"
    assert path.stat().st_mode & 0o777 == 0o600
    assert tmp_path.joinpath("2026-11-20").stat().st_mode & 0o777 == 0o700
    assert [f.number for f in read_capture(tmp_path, from_ns=NOON_NS + 2, to_ns=NOON_NS + 2)] == [2]


def test_a_torn_tail_is_cut_at_every_byte(tmp_path: Path) -> None:
    """Whatever of the last block a kill left, the ones before it are whole; zeros are no block."""
    path = tmp_path / "x.cap"
    whole, torn = block(1, 2), block(3)

    for cut in range(len(torn)):
        path.write_bytes(whole + torn[:cut])
        assert numbers(path) == [1, 2]
    for zeros in (1, 16, 64):
        path.write_bytes(whole + torn + bytes(zeros))
        assert numbers(path) == [1, 2, 3]


def test_a_flipped_byte_costs_its_block_and_shows_in_the_numbers(tmp_path: Path) -> None:
    """The blocks behind it are found again."""
    path = tmp_path / "x.cap"
    first, second, third = block(1), block(2, 3), block(4)

    for at in range(len(second)):
        damaged = bytearray(second)
        damaged[at] ^= 0x40
        path.write_bytes(first + bytes(damaged) + third)
        assert numbers(path) == [1, 4]


def test_the_oldest_go_when_the_capture_has_its_size(tmp_path: Path) -> None:
    """The newest frames stay, and the size is kept."""
    keep = 400_000
    recorder = Recorder(tmp_path, NOON_NS, keep_bytes=keep, free_percent=0, file_bytes=50_000)
    for number in range(1, 121):
        recorder.take(NOON_NS + number, 1, "stream", os.urandom(10_000))
        if number % 4 == 0:
            _written(recorder, number)
    recorder.close(NOON_NS + 1_000)

    kept = [frame.number for frame in read_capture(tmp_path)]
    assert kept == list(range(kept[0], 122))
    assert kept[0] > 60
    assert sum(path.stat().st_size for path in capture_files(tmp_path)) <= keep + 50_000


def _written(recorder: Recorder, taken: int) -> None:
    """Have what was taken written as a block of its own."""
    with recorder._changed:
        recorder._waiting_bytes += 1 << 20
        recorder._changed.notify()
    while recorder._waiting:
        os.sched_yield()
    assert recorder.state().frames == taken


def test_a_full_disk_stops_the_capture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, keeps what it has, and takes no more; the caller never notices."""
    recorder = Recorder(tmp_path, NOON_NS, free_percent=0)
    recorder.take(NOON_NS + 1, 1, "stream", b"{}")
    _written(recorder, 1)
    while recorder.state().bytes_out == 0:
        os.sched_yield()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        recorder.take(NOON_NS + 2, 1, "stream", b"{}")
        _written(recorder, 2)
        while recorder.state().problem is None:
            os.sched_yield()
    recorder.take(NOON_NS + 3, 1, "stream", b"{}")
    recorder.close(NOON_NS + 4)

    assert recorder.state().problem == "No space left on device"
    assert [frame.number for frame in read_capture(tmp_path)] == [1]


def test_little_free_space_is_left_to_the_tape(tmp_path: Path) -> None:
    """Below its limit the capture removes its own files, then does not begin another."""
    old = tmp_path / "2026-11-19" / f"{NOON_NS - 1:020d}-000001.cap"
    old.parent.mkdir()
    old.write_bytes(block(1))

    recorder = Recorder(tmp_path, NOON_NS, free_percent=100)
    recorder.take(NOON_NS + 1, 1, "stream", b"{}")
    recorder.close(NOON_NS + 2)

    assert "GEX_DISK_STOP_PERCENT" in str(recorder.state().problem)
    assert capture_files(tmp_path) == []


def test_a_source_that_is_faster_than_the_disk_stops_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: what waits never passes the limit."""
    monkeypatch.setattr("gex_pipeline.feeds.recorder.QUEUE_BYTES", 1_000)
    recorder = Recorder(tmp_path, NOON_NS, free_percent=0)

    for number in range(20):
        recorder.take(NOON_NS + number, 1, "stream", bytes(600))
    recorder.close(NOON_NS + 30)

    assert "wait for the disk" in str(recorder.state().problem)


def test_a_file_begins_with_each_new_york_date(tmp_path: Path) -> None:
    """So that a date's frames can be moved away together."""
    recorder = Recorder(tmp_path, NOON_NS, free_percent=0)
    recorder.take(NOON_NS, 1, "stream", b"{}")
    _written(recorder, 1)
    recorder.close(et_ns(DAY, 12) + 86_400 * 10**9)

    assert [path.parent.name for path in capture_files(tmp_path)] == ["2026-11-20", "2026-11-21"]
