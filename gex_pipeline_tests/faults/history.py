"""The checker: every event exactly once, by tape, epoch and seq."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis

from gex_pipeline.hot.frame import Frame, decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import FIELD

Identity = tuple[str, int, int]


def identities(frames: Iterable[Frame]) -> list[Identity]:
    """Return who the events of some frames are, in order."""
    return [(frame.tape, frame.epoch, event.seq) for frame in frames for event in frame.events]


def on_tape(client: redis.Redis, keys: Keys, tape: str) -> list[Identity]:
    """Return who is on a tape of the hot store, in its order."""
    rows: Any = client.xrange(keys.tape(tape))
    return identities(decode_frame(fields[FIELD]) for _, fields in rows)


def in_spool(spool: Spool) -> list[Identity]:
    """Return who is in a spool, in its order."""
    return identities(map(decode_frame, spool.read_after(0)))


def exactly_once(found: Iterable[Identity], last_seq: int, first_seq: int = 1) -> str:
    """Return "" if the seqs from first to last are there, each once and in order; else what not."""
    seqs = [seq for _, _, seq in found]
    wanted = range(first_seq, last_seq + 1)
    if seqs == list(wanted):
        return ""
    double = [seq for seq, count in Counter(seqs).items() if count > 1]
    missing = sorted(set(wanted) - set(seqs))
    beyond = sorted(set(seqs) - set(wanted))
    order = "" if seqs == sorted(seqs) else ", not in order"
    return f"double {double[:5]}, missing {missing[:5]}, beyond {beyond[:5]}{order}"
