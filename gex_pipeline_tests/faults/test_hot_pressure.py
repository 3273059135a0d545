"""Dagster down for hours at full rate, in miniature: every mark of the memory is passed."""

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Frame, Position, decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.segment import spool_frames
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import TapeReader
from gex_pipeline.market.events import ChainImage, Event
from gex_pipeline_tests.bench.market import market
from gex_pipeline_tests.faults.history import Identity, exactly_once, identities, on_tape
from gex_pipeline_tests.hot.builders import MONDAY, NOW_NS, TAPE, eventually, option, running

MEMORY_MB = 64
BATCH: list[Event] = [
    *(option(number) for number in range(50)),
    ChainImage("SPX", NOW_NS, NOW_NS, positions="{}", contracts=0, image=os.urandom(40_000)),
]
"""Some quotes, and what takes room and cannot be compressed."""


class Engine:
    """A reader of the tape that stores its chain and what others read, as long as it runs."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.position = Position(0, 0)
        self.seen: list[Identity] = []
        self.refused = 0
        self._client, self._keys = client, keys
        self._reader = TapeReader(client, keys, TAPE)

    def fold(self) -> None:
        """Read on and write a snapshot and a chain."""
        frames: list[Frame] = self._reader.read(self.position)
        self.seen += identities(frames)
        try:
            self._client.set(self._keys.gex("SPX", "all"), b"x" * 10_000)
            self._client.set(self._keys.chain("SPX"), b"y" * 100_000)
        except redis.ResponseError:
            self.refused += 1
            return
        if frames:
            self.position = frames[-1].position

    @contextmanager
    def folding(self) -> Iterator[None]:
        """Fold in a thread of its own."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.002):
                self.fold()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.mark.timeout(180)
def test_the_archive_is_away_at_full_rate(
    own_server: EmbeddedServer, keys: Keys, tmp_path: Path
) -> None:
    """Above 60% the tape is trimmed behind the engine, above 80% it waits; the rest goes on.

    First the engine reads along, then it stands still too, then both come back: the archive takes
    from the spool what the tape no longer has. Nothing is lost, nothing is there twice.
    """
    with (
        connect(own_server.url) as client,
        Spool.open(tmp_path / "spool", TAPE, segment_bytes=1_000_000) as spool,
    ):
        client.config_set("maxmemory", f"{MEMORY_MB}mb")
        engine = Engine(client, keys)
        sender = Sender(client, keys, spool, folded=lambda: engine.position)
        with running(sender) as errors:
            with engine.folding():
                fill_until(spool, lambda: sender.state().trimmed > 0)
                assert eventually(lambda: sender.state().unsent == 0)
            assert not sender.state().held
            fill_until(spool, lambda: sender.state().held)
            for _ in range(100):
                spool.append(BATCH, MONDAY)
            engine.fold()
            used = int(client.info("memory")["used_memory"])

            assert sender.state().unsent > 0
            assert used < MEMORY_MB * 2**20
            with engine.folding():
                assert eventually(lambda: sender.state().unsent == 0, 60)
                assert eventually(lambda: engine.position == spool.position, 60)
        assert (errors, engine.refused) == ([], 0)
        assert exactly_once(engine.seen, spool.last_seq) == ""

        tape = on_tape(client, keys, TAPE)
        assert tape[0][2] > 1
        kept = [decode_frame(data) for data in spool_frames(spool.folder, 0)]
        archived = [who for who in identities(kept) if who[2] < tape[0][2]]
        assert exactly_once([*archived, *tape], spool.last_seq) == ""


def fill_until(spool: Spool, reached: object) -> None:
    """Append option quotes until something is so."""
    assert callable(reached)
    for number in range(20_000):
        if reached():
            return
        spool.append(BATCH, MONDAY)
        if number % 20 == 0:
            eventually(lambda: bool(reached()), 0.02)
    raise AssertionError("the mark was not reached")


@pytest.mark.timeout(180)
def test_what_stands_beside_the_tape_does_not_hold_it(
    own_server: EmbeddedServer, keys: Keys, tmp_path: Path
) -> None:
    """Five minutes of option quotes that outgrow a small server shrink; the tape goes on."""
    most = 16 * 2**20
    with (
        connect(own_server.url) as client,
        Spool.open(tmp_path / "spool", TAPE) as spool,
    ):
        client.config_set("maxmemory", str(most))
        engine = Engine(client, keys)
        sender = Sender(client, keys, spool, folded=lambda: engine.position)
        with running(sender) as errors, engine.folding():
            events = market(20_000)
            while batch := list(itertools.islice(events, 250)):
                spool.append(batch, MONDAY)
                if spool.last_seq > 250_000:  # 23 MB of them
                    break
            assert eventually(lambda: sender.state().unsent == 0, 60)
            assert eventually(lambda: engine.position == spool.position, 60)
        names = list(client.scan_iter(match=keys.options("*").replace("{*}", "{?*}")))
        kept = sum(int(client.memory_usage(name) or 0) for name in names)

    assert (errors, engine.refused) == ([], 0)
    assert exactly_once(engine.seen, spool.last_seq) == ""
    assert 0 < kept < most // 2
