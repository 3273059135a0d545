"""Power cuts: what had not come to disk is gone, what had is whole, numbers are never given twice.

A cut is a copy of a loop device's image, taken while its writers are stopped (needs root).
"""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline_tests.faults.disks import CutDisk, cut_disk, unmount
from gex_pipeline_tests.faults.history import exactly_once, in_spool, on_tape
from gex_pipeline_tests.faults.points import child
from gex_pipeline_tests.hot.builders import MONDAY, TAPE, eventually, trades

CUTS = 4
PER_S = 20_000
FSYNC_MS = 50
PORT = 20_790


def feed(folder: Path) -> None:
    """Spool events at a steady rate for ever; prints the last seq of each frame."""
    batch = trades(100)
    with Spool.open(folder, TAPE, fsync_ms=FSYNC_MS, segment_bytes=300_000) as spool:
        start_s, number = time.monotonic(), 0
        while True:
            print(spool.append(batch, MONDAY).last_seq, flush=True)  # noqa: T201 # to the parent
            number += 1
            time.sleep(max(0.0, start_s + number * len(batch) / PER_S - time.monotonic()))


@pytest.mark.timeout(120)
def test_the_power_of_the_spool_is_cut(tmp_path: Path) -> None:
    """At 20,000 events a second: whole up to the last fsync, and the numbers go on from there."""
    lost = []
    with cut_disk(tmp_path) as disk:
        for number in range(CUTS):
            folder = disk.folder / str(number)
            with child("gex_pipeline_tests.faults.test_hot_powercut", folder) as process:
                assert process.stdout is not None
                spooled = 0
                until = time.monotonic() + 0.7 + 0.13 * (number % 5)
                while time.monotonic() < until:
                    spooled = int(process.stdout.readline())
                os.kill(process.pid, signal.SIGSTOP)
                copy = tmp_path / f"after-{number}"
                disk.cut(tmp_path / "cut.img", copy)
                process.kill()
            try:
                with Spool.open(copy / str(number), TAPE) as spool:
                    lost.append(spooled - spool.last_seq)
                    assert exactly_once(in_spool(spool), spool.last_seq) == ""
                    spool.append(trades(3), MONDAY)
                    assert exactly_once(in_spool(spool), spool.last_seq) == ""
                    assert eventually(lambda one=spool: one.state().surveyed)  # type: ignore[misc] # a default of its own
                    assert spool.holes.open == ()
            finally:
                unmount(copy)
    print(f"events lost in {CUTS} power cuts at {PER_S}/s, fsync {FSYNC_MS} ms: {lost}")  # noqa: T201 # a figure
    assert max(lost) < PER_S * 2


@pytest.mark.timeout(120)
def test_the_power_of_the_server_is_cut(keys: Keys, tmp_path: Path) -> None:
    """The server loses up to a second of what it had said yes to; the spool brings it back."""
    lost = []
    with cut_disk(tmp_path, 128) as disk, Spool.open(tmp_path / "spool", TAPE) as spool:
        for number in range(3):
            copy = tmp_path / f"after-{number}"
            work_and_cut(disk, spool, keys, 1.3 + 0.2 * number, copy)
            try:
                lost.append(come_back(copy / "0", spool, keys))
            finally:
                unmount(copy)
    print(f"events that the server lost in 3 power cuts, all sent again: {lost}")  # noqa: T201 # a figure


def work_and_cut(disk: CutDisk, spool: Spool, keys: Keys, seconds: float, copy: Path) -> None:
    """Send events to a server for a while, then cut its power."""
    root, server = disk.folder / "0", EmbeddedServer()
    server.start(root, PORT, 64)
    with connect(server.url) as client:
        sender = Sender(client, keys, spool)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            spool.append(trades(100), MONDAY)
            sender.pump()
    pid = int((root / "hot" / "server.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    disk.cut(copy.with_suffix(".img"), copy)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not server.alive())
    server.stop()


def come_back(root: Path, spool: Spool, keys: Keys) -> int:
    """Start a server on what is left, send, and return what it had lost."""
    server = EmbeddedServer()
    server.start(root, PORT + 50, 64)
    try:
        with connect(server.url) as client:
            end = on_tape(client, keys, TAPE)
            lost = spool.last_seq - (end[-1][2] if end else 0)
            spool.append(trades(3), MONDAY)
            Sender(client, keys, spool).pump()
            assert exactly_once(on_tape(client, keys, TAPE), spool.last_seq) == ""
    finally:
        server.stop()
    return lost


if __name__ == "__main__":
    feed(Path(sys.argv[1]))
