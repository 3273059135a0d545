"""Which numbers of a tape are taken, as hot store and archive know it: none is given twice."""

import asyncio
import logging
from pathlib import Path

import redis

from gex_pipeline.errors import LakeError
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.frame import Position
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.owner import knows_its_end
from gex_pipeline.hot.tape import floor_of
from gex_pipeline.lake.parts import read_chain, sync_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.streamer.tapes import CALENDARS, tape_name

_STORE_LOOK_S = 0.5

log = logging.getLogger(__name__)


async def known_floors(
    client: redis.Redis, keys: Keys, root: Path, stop: asyncio.Event
) -> tuple[dict[str, Position], dict[str, int]]:
    """Return by tape the newest position that server and archive know, and the archive's seq.

    A hot store that is away is not waited for, unless a spool does not know its own end: then only
    the store may know which numbers are taken, and one that is given twice is an event lost.
    """
    said = False
    while True:
        floors, archived, blind = await asyncio.to_thread(_floors, client, keys, root)
        if not blind or stop.is_set():
            return floors, archived
        if not said:
            tapes = ", ".join(blind)
            log.warning("waiting for the hot store: it may know later numbers of %s", tapes)
        said = True
        await asyncio.sleep(_STORE_LOOK_S)


def archived_seq(root: Path, tape: str) -> int:
    """Return the last seq that is in the lake for good; 0 while the lake cannot say."""
    paths = LakePaths(root)
    try:
        cursor = read_chain(paths, tape).cursor
        sync_chain(paths, tape)  # segments go on the strength of it
    except LakeError:
        log.exception("the lake cannot say what it has of %s; its spool is kept", tape)
        return 0
    return cursor


def _floors(
    client: redis.Redis, keys: Keys, root: Path
) -> tuple[dict[str, Position], dict[str, int], list[str]]:
    """Return positions and seqs by tape, and the tapes that nobody here knows the end of."""
    floors, archived, blind = {}, {}, []
    for name in map(tape_name, CALENDARS):
        chain = read_chain(LakePaths(root), name)
        newest = _newest(client, keys, name)
        if newest is None and not knows_its_end(root / "spool" / name, name):
            blind.append(name)
        epoch, seq = newest or Position(0, 0)
        floors[name] = Position(max(epoch, chain.epoch), max(seq, chain.cursor))
        archived[name] = chain.cursor
    return floors, archived, blind


def _newest(client: redis.Redis, keys: Keys, name: str) -> Position | None:
    """Return the last position that the server took; None: it is away."""
    try:
        return floor_of(client, keys, name)
    except UNREACHABLE:
        log.warning("the hot store is away; spool and archive alone say where %s is", name)
        return None
