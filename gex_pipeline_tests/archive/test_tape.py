"""The archive on a real server and a real spool."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.hot.embedded import EmbeddedServer, connect
from gex_pipeline.hot.frame import encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.spool import Spool
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Event
from gex_pipeline_tests.archive.builders import FRIDAY, ORIGIN, TAPE, event, frames
from gex_pipeline_tests.archive.test_step import kept, seqs

KEYS = Keys("sim:")
BLANK = Origin(source=ORIGIN.source, mode=ORIGIN.mode, tape="")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own; its address."""
    one = EmbeddedServer()
    yield one.start(tmp_path_factory.mktemp("root"), 17390, 64)
    one.stop()


@pytest.fixture
def store(server: str) -> Iterator[redis.Redis]:
    """An empty store."""
    with connect(server) as client:
        client.flushall()
        yield client


def send(store: redis.Redis, last: int, first: int = 1) -> None:
    """Put the frames from `first` on onto the tape."""
    for each in frames(last):
        if each.first_seq >= first:
            store.xadd(KEYS.tape(TAPE), {"f": encode_frame(each)}, id=f"1-{each.last_seq}")


def run(store: redis.Redis, root: Path) -> dict[str, int]:
    """Archive what there is and return the cursors."""
    source = HotSource(store, KEYS, root / "spool")
    done = archive(source, LakePaths(root), source.tapes(), origin=BLANK, now_s=0.0)
    return {each.tape: each.cursor for each in done or ()}


def test_the_tape_goes_into_the_lake_and_is_trimmed(store: redis.Redis, tmp_path: Path) -> None:
    """Behind the cursor nothing stays; what comes later goes on from there."""
    send(store, 2000)

    assert run(store, tmp_path) == {TAPE: 2000}
    assert store.xlen(KEYS.tape(TAPE)) == 0
    send(store, 2050, first=2001)
    assert run(store, tmp_path) == {TAPE: 2050}
    assert seqs(LakePaths(tmp_path)) == kept(2050)


def test_other_namespaces_are_left_alone(store: redis.Redis, tmp_path: Path) -> None:
    """A live tape is no simulated one."""
    store.xadd(Keys("").tape(TAPE), {"f": b"?"}, id="1-1")

    assert run(store, tmp_path) == {}


def test_what_the_tape_lost_comes_from_the_spool(store: redis.Redis, tmp_path: Path) -> None:
    """Of a spool that its owner has open."""
    spool = Spool.open(tmp_path / "spool" / TAPE, TAPE)
    events: list[Event] = [event(seq) for seq in range(1, 101)]
    for start in range(0, 100, 10):
        each = spool.append(events[start : start + 10], FRIDAY)
        if start >= 40:
            data = encode_frame(each)
            store.xadd(KEYS.tape(TAPE), {"f": data}, id=f"{each.epoch}-{each.last_seq}")

    assert run(store, tmp_path) == {TAPE: 100}

    spool.close()
    assert seqs(LakePaths(tmp_path)) == kept(100)
