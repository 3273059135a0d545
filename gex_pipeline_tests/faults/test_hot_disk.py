"""Full and failing disks, of the spool and of the server: nothing stops, nothing is lost."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from gex_pipeline.hot import spool as spool_module
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.segment import list_segments
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.telling import tell_holes
from gex_pipeline.market.events import Gap
from gex_pipeline_tests.faults.disks import resize, small_disk
from gex_pipeline_tests.faults.history import exactly_once, in_spool, on_tape
from gex_pipeline_tests.faults.hot_worker import KEYS, Archive
from gex_pipeline_tests.faults.points import child, finish
from gex_pipeline_tests.hot.builders import (
    MONDAY,
    NOW_NS,
    TAPE,
    eventually,
    newest_segment,
    option,
    running,
    trades,
)

WORKER = "gex_pipeline_tests.faults.hot_worker"
BATCH = [option(number) for number in range(250)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refused is tried again at once."""
    monkeypatch.setattr(spool_module, "RETRY_S", 0.0)


class Disk:
    """What the system calls of the spool meet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: dict[str, int] = {}
        """Call to errno, for as long as it stands here."""
        for name in ("write", "fdatasync", "fsync", "open"):
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: object) -> object:
        assert callable(call)

        def wrapped(*arguments: object, **more: object) -> object:
            if name in self.fails and (name != "open" or int(str(arguments[1])) & os.O_WRONLY):
                raise OSError(self.fails[name], os.strerror(self.fails[name]))
            return call(*arguments, **more)

        return wrapped


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_events_go_on_to_the_server(
    client: redis.Redis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> None:
    """From memory, in order, the state says why; with the disk back all of it is on disk too."""
    disk = Disk(monkeypatch)
    with Spool.open(tmp_path, TAPE, fsync_ms=1, segment_bytes=700, reserve_bytes=0) as spool:
        sender = Sender(client, keys, spool)
        for _ in range(4):
            spool.append(trades(5), MONDAY)
        disk.fails = {call: number}
        for _ in range(6):
            spool.append(trades(5), MONDAY)
        assert eventually(lambda: spool.state().problem is not None)
        spool.append(trades(5), MONDAY)
        sender.pump()
        assert exactly_once(on_tape(client, keys, TAPE), 55) == ""
        disk.fails = {}
        spool.append(trades(5), MONDAY)
        assert eventually(lambda: spool.state().problem is None)
        state = spool.state()
        assert (state.reserve_frames, state.suspect_frames) == (0, 0)
        assert exactly_once(in_spool(spool), 60) == ""
        sender.pump()

    assert exactly_once(on_tape(client, keys, TAPE), 60) == ""
    with Spool.open(tmp_path, TAPE) as spool:
        assert exactly_once(in_spool(spool), 60) == ""
        assert eventually(lambda: spool.state().surveyed)
        assert spool.holes.open == ()


def test_after_a_failed_fsync_what_it_should_have_kept_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file may have lost it: taken away, nothing is missing."""
    disk = Disk(monkeypatch)
    with Spool.open(tmp_path, TAPE, fsync_ms=1, reserve_bytes=0) as spool:
        spool.append(trades(5), MONDAY)
        assert eventually(lambda: not spool._journal.dirty)
        kept = newest_segment(tmp_path).stat().st_size
        disk.fails = {"fdatasync": errno.EIO}
        for _ in range(3):
            spool.append(trades(5), MONDAY)
        assert eventually(lambda: spool.state().suspect_frames > 0)
        disk.fails = {}
        assert eventually(lambda: spool.state().suspect_frames == 0)
        old, new = list_segments(tmp_path)
        assert (old.base_seq, new.base_seq) == (1, 6)
        assert exactly_once(in_spool(spool), 20) == ""
    os.truncate(old.path, kept)

    with Spool.open(tmp_path, TAPE) as spool:
        assert exactly_once(in_spool(spool), 20) == ""


def test_what_never_came_to_disk_is_told(
    client: redis.Redis, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: what was sent goes, and a gap of the spool says which seqs; on the tape.

    The events are there, the spool alone does not hold them.
    """
    monkeypatch.setattr(spool_module, "RESERVE_BYTES", 4_000)
    disk = Disk(monkeypatch)
    with Spool.open(tmp_path, TAPE, reserve_bytes=0) as spool:
        sender = Sender(client, keys, spool)
        spool.append(trades(5), MONDAY)
        disk.fails = {"write": errno.EIO, "open": errno.EIO}
        for _ in range(40):
            spool.append(trades(5), MONDAY)
            sender.pump()
        growing = spool.state().holes
        assert tell_holes(spool, NOW_NS, MONDAY) == 0
        disk.fails = {}
        spool.append(trades(5), MONDAY)
        assert tell_holes(spool, NOW_NS, MONDAY) == 1
        sender.pump()
        told = [e for e in decode_frame(list(spool.read_after(0))[-1]).events if type(e) is Gap]
        assert exactly_once(on_tape(client, keys, TAPE), spool.last_seq) == ""
        missing = {seq for _, _, seq in on_tape(client, keys, TAPE)} - {
            seq for _, _, seq in in_spool(spool)
        }

    (gap,) = told
    assert (gap.cause, gap.first_seq) == ("unspooled", 6)
    assert gap.last_seq == growing[0].last_seq
    assert missing == set(range(6, (gap.last_seq or 0) + 1))


def disk_with(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Let every disk have so many of a hundred megabytes free."""
    found = SimpleNamespace(f_bavail=free, f_blocks=100, f_frsize=1_000_000)
    monkeypatch.setattr(os, "statvfs", lambda _: found)


def test_marks_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 10% all is well, below an alert, below 5% stop; room is kept while there is some."""
    said = []
    with Spool.open(tmp_path, TAPE, reserve_bytes=1_000_000) as spool:
        for free in (50, 9, 4, 50):
            disk_with(monkeypatch, free)
            spool.look_at_disk()
            state = spool.state()
            said.append((state.disk, state.kept_room, state.problem))
        reserve = tmp_path / "reserve"
        assert reserve.stat().st_size == 1_000_000

    assert said == [
        ("ok", True, None),
        ("alert", True, "9.0% of the disk is free"),
        ("stop", True, "4.0% of the disk is free"),
        ("ok", True, None),
    ]
    assert not reserve.exists()


def test_below_stop_archived_segments_go_at_once(
    client: redis.Redis, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no others."""
    monkeypatch.setattr("gex_pipeline.hot.sender.TIDY_SOON_S", 0.0)
    disk_with(monkeypatch, 1)
    cursor = 0
    with Spool.open(tmp_path, TAPE, segment_bytes=1) as spool:
        spool.look_at_disk()
        sender = Sender(client, keys, spool, cursor=lambda: cursor)
        for _ in range(5):
            spool.append(trades(5), MONDAY)
        sender.pump()
        assert len(list_segments(tmp_path)) == 5
        cursor = 12
        sender.pump()
        assert [segment.base_seq for segment in list_segments(tmp_path)] == [11, 16, 21]


def test_a_full_disk_of_the_spool(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """The kept room goes first, then memory; with room again all is on disk and room is kept."""
    with (
        small_disk(tmp_path / "small", 4) as folder,
        Spool.open(folder, TAPE, segment_bytes=500_000, reserve_bytes=1_000_000) as spool,
    ):
        spool.look_at_disk()
        assert spool.state().kept_room
        sender = Sender(client, keys, spool)
        while spool.state().reserve_frames < 20:
            spool.append(BATCH, MONDAY)
            sender.pump()
        spool.look_at_disk()  # its own thread may not have come to it yet
        assert not spool.state().kept_room
        assert (spool.state().problem, spool.state().disk) == ("No space left on device", "stop")
        before = spool.last_seq
        resize(folder, 16)
        spool.append(BATCH, MONDAY)
        assert eventually(lambda: spool.state().reserve_frames == 0)
        spool.look_at_disk()
        sender.pump()

        assert (spool.state().kept_room, spool.state().problem) == (True, None)
        assert spool.last_seq == before + 250
        assert exactly_once(in_spool(spool), spool.last_seq) == ""
        assert exactly_once(on_tape(client, keys, TAPE), spool.last_seq) == ""


def test_a_full_disk_of_the_server(keys: Keys, tmp_path: Path) -> None:
    """MISCONF is back-pressure: the tape waits in the spool, reads go on, and it resumes."""
    with small_disk(tmp_path / "small", 6) as folder:
        server = EmbeddedServer()
        server.start(folder, 20_690, 64)
        try:
            with (
                connect(server.url) as client,
                Spool.open(tmp_path / "spool", TAPE) as spool,
            ):
                sender = Sender(client, keys, spool)
                with running(sender) as errors:
                    spool.append(BATCH, MONDAY)
                    assert eventually(lambda: sender.state().unsent == 0)
                    ballast = folder / "ballast"
                    _fill_up(ballast)
                    while not sender.state().held:
                        spool.append(BATCH, MONDAY)
                        eventually(lambda: sender.state().held, 0.05)
                    assert "MISCONF" in str(sender.state().problem)
                    assert client.exists(keys.tape(TAPE))
                    ballast.unlink()
                    resize(folder, 64)
                    assert eventually(lambda: sender.state().unsent == 0)
                assert not errors
                assert exactly_once(on_tape(client, keys, TAPE), spool.last_seq) == ""
        finally:
            server.stop()


def _fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            return


@pytest.mark.parametrize(
    "inject",
    [
        "fdatasync:error=EIO:when=3+7",
        "write:error=ENOSPC:when=40+9",
        "write:error=EIO:when=60+31",
        "fsync:error=EIO:when=2+3",
        "write:signal=KILL:when=300",
        "fdatasync:signal=KILL:when=9",
        "unlink:signal=KILL:when=4",
        "sendto:signal=KILL:when=25",
    ],
)
def test_system_calls_that_fail_or_kill(
    server: EmbeddedServer, client: redis.Redis, tmp_path: Path, inject: str
) -> None:
    """The Nth call of a kind fails in the kernel's stead, or the process dies in it."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: it makes the Nth system call fail")
    call = inject.partition(":")[0]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    strace += ["-e", f"inject={inject}"]
    with child(WORKER, tmp_path, server.url, 120, before=strace) as one:
        out, _ = one.communicate(timeout=60)
    printed = [int(word) for word in out.split()]
    with child(WORKER, tmp_path, server.url, 10) as process:
        code, later = finish(process)

    assert code == 0
    archived = Archive(tmp_path / "archive").identities()
    cursor = archived[-1][2] if archived else 0
    tape = [who for who in on_tape(client, KEYS, TAPE) if who[2] > cursor]
    assert int(later[-1]) >= max(printed, default=0)
    assert exactly_once([*archived, *tape], int(later[-1])) == ""
