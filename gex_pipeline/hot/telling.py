"""Telling the tape what its spool lost: a Gap event for each hole that nobody can fill."""

import datetime

from gex_pipeline.hot.frame import MAX_EVENTS, decode_frame, read_header
from gex_pipeline.hot.holes import SpoolHole
from gex_pipeline.hot.spool import Spool
from gex_pipeline.market.events import Gap


def tell_holes(spool: Spool, ts_ns: int, day: datetime.date, *, last: bool = False) -> int:
    """Append a gap for each hole that was not told, received at `ts_ns`; return how many.

    `last`: also for one that may still grow, because the spool is about to be closed.
    """
    holes = spool.untold(last=last)[:MAX_EVENTS]
    if holes:
        spool.append([_gap(spool, hole, ts_ns) for hole in holes], day)
        spool.told(holes)
    return len(holes)


def _gap(spool: Spool, hole: SpoolHole, ts_ns: int) -> Gap:
    """Return the gap of a hole: from the event before it to the one behind it."""
    before_ns = after_ns = 0
    for data in spool.read_after(max(hole.first_seq - 2, 0)):
        header = read_header(data)
        if header is not None and header.last_seq < hole.first_seq:
            before_ns = decode_frame(data).events[-1].ts_recv_ns
        elif header is not None and header.first_seq > hole.last_seq:
            after_ns = decode_frame(data).events[0].ts_recv_ns
            break
    to_ns = min(after_ns or ts_ns, ts_ns)
    return Gap(
        "",
        ts_ns,
        ts_ns,
        ts_from_ns=min(before_ns or to_ns, to_ns),
        ts_to_ns=to_ns,
        cause=hole.cause,
        first_seq=hole.first_seq,
        last_seq=hole.last_seq,
    )
