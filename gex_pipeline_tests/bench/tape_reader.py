"""The reader at the end of a tape that is measured: a process with nothing else in it."""

import time
from typing import Any

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import position_of, read_header
from gex_pipeline.hot.tape import FIELD

GIVE_UP = -2
"""As last seq: the reader ends wherever it is."""


def read_tape(url: str, key: str, place: Any, last: Any) -> tuple[int, int]:
    """Read a tape by its headers until its last seq; return the events read and those missing.

    `place` is told where it is, from 0 as soon as it reads.
    """
    read = missing = seq = 0
    after, told_s = "0-0", 0.0
    with connect(url) as store:
        place.value = 0
        while last.value != GIVE_UP and (seq != last.value or seq == 0):
            found: Any = store.xread({key: after}, count=200, block=200)
            for entry_id, fields in _entries(found):
                header = read_header(fields[FIELD])
                if header is None:
                    raise BenchInvalidError(f"entry {entry_id!r} is damaged")
                missing += header.first_seq - seq - 1
                read += header.last_seq - header.first_seq + 1
                seq, after = position_of(entry_id).seq, entry_id.decode()
            if time.monotonic() - told_s > 0.1:
                place.value, told_s = seq, time.monotonic()
    return read, missing


def _entries(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    streams = list(reply.values() if isinstance(reply, dict) else (item[1] for item in reply or ()))
    found = streams[0] if streams else []
    return list(found[0] if found and isinstance(found[0], list) else found)
