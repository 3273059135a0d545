"""Killed at every named moment, and at random: each event is on tape or in the archive, once."""

import random
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot import journal, sender
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.spool import Spool
from gex_pipeline_tests.faults.history import exactly_once, in_spool, on_tape
from gex_pipeline_tests.faults.hot_worker import KEYS, TAPE, Archive
from gex_pipeline_tests.faults.points import child, finish
from gex_pipeline_tests.hot.builders import newest_segment

WORKER = "gex_pipeline_tests.faults.hot_worker"
BATCHES = 200
POINTS = [
    *((name, number) for name in journal.POINTS for number in (1, 3)),
    *((name, number) for name in sender.POINTS for number in (1, 5)),
]
ONCE = "spool.cut"
"""Passed when a spool with a torn end is opened."""


def check(client: redis.Redis, root: Path, acknowledged: int) -> None:
    """Nothing is missing, nothing is there twice, and the spool agrees with the tape."""
    archive = Archive(root / "archive")
    archived = archive.identities()
    cursor = archive.cursor().seq
    tape = [who for who in on_tape(client, KEYS, TAPE) if who[2] > cursor]
    with Spool.open(root / "spool", TAPE) as spool:
        last_seq = spool.last_seq
        spooled = in_spool(spool)

    assert last_seq >= acknowledged
    assert exactly_once([*archived, *tape], last_seq) == ""
    assert [who for who in spooled if who[2] > cursor] == tape


@pytest.mark.parametrize(("point", "number"), POINTS)
def test_killed_at_a_point(
    server: EmbeddedServer, client: redis.Redis, tmp_path: Path, point: str, number: int
) -> None:
    """The next start goes on as if nothing had been."""
    if point == ONCE:
        number = 1
        with child(WORKER, tmp_path, server.url, 12) as process:
            finish(process)
        path = newest_segment(tmp_path / "spool")
        path.write_bytes(path.read_bytes() + b"\xf7GX1 and no more")
    with child(WORKER, tmp_path, server.url, BATCHES, point, number) as process:
        code, printed = finish(process)
    assert code == -9, f"{point} was not passed {number} times"
    with child(WORKER, tmp_path, server.url, 20) as process:
        code, later = finish(process)

    assert code == 0
    check(client, tmp_path, max(map(int, [*printed, *later])))


def test_killed_at_random(server: EmbeddedServer, client: redis.Redis, tmp_path: Path) -> None:
    """Eight kills one after the other, wherever they strike, in one growing history."""
    chance = random.Random(7)  # noqa: S311 # the same places each time, as far as it goes
    acknowledged = 0
    for _ in range(8):
        with child(WORKER, tmp_path, server.url, 2_000) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 120)):
                line = process.stdout.readline()
                if line.strip():
                    acknowledged = int(line)
            process.kill()
    with child(WORKER, tmp_path, server.url, 10) as process:
        code, _ = finish(process)

    assert code == 0
    check(client, tmp_path, acknowledged)
