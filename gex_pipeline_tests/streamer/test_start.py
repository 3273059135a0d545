"""A start without the hot store: at once where the spools know their end, else not at all."""

import asyncio
from pathlib import Path

import pytest

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.spool import Spool
from gex_pipeline.streamer.floors import known_floors
from gex_pipeline.streamer.tapes import CALENDARS, tape_name
from gex_pipeline_tests.hot.builders import MONDAY, trades

NOWHERE = "redis://127.0.0.1:1"


def spooled(root: Path) -> None:
    """Leave three spools as a killed streamer does."""
    for name in map(tape_name, CALENDARS):
        with Spool.open(root / "spool" / name, name) as spool:
            spool.append(trades(3), MONDAY)


async def begins(root: Path) -> bool:
    """Return whether a start goes on within a second."""
    stop = asyncio.Event()
    with connect(NOWHERE) as client:
        start = asyncio.create_task(known_floors(client, Keys(), root, stop))
        done, _ = await asyncio.wait({start}, timeout=1.0)
        stop.set()
        await start
    return bool(done)


def test_spools_that_know_their_end_do_not_wait(tmp_path: Path) -> None:
    """Data flow while the hot store is away."""
    spooled(tmp_path)

    assert asyncio.run(begins(tmp_path))


@pytest.mark.parametrize("lost", [None, "schwab.index"])
def test_a_spool_that_does_not_waits_for_the_store(tmp_path: Path, lost: str | None) -> None:
    """Numbers that the store holds already would be given twice: the second event is lost."""
    if lost:
        spooled(tmp_path)
        for path in (tmp_path / "spool" / lost).glob("*.seg"):
            path.unlink()

    assert not asyncio.run(begins(tmp_path))
