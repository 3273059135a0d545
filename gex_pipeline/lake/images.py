"""Chain images of the lake: the newest of an underlying at or before a moment."""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.groups import Groups, groups_of
from gex_pipeline.lake.parts import Chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import CHAIN_1M

OWN: Final = "gex"
"""Source of the tapes that hold what we made of the others."""


class StoredImage(msgspec.Struct, frozen=True):
    """A row of chain_1m."""

    ts_recv_ns: int
    """The second at whose end it was."""
    positions: str
    image: bytes


def newest_image(paths: LakePaths, chain: Chain, symbol: str, ts_ns: int) -> StoredImage | None:
    """Return the newest image at or before a moment; `chain` is of the tape that has them."""
    files = [
        file.path
        for node in chain.nodes
        for file in files_of_node(paths, node)
        if file.table == CHAIN_1M.name
    ]
    for path in reversed(files[: _first_later(files, ts_ns)]):
        groups = groups_of(path)
        for group in reversed(groups.where(recv_ns=(0, ts_ns), subject=symbol)):
            found = _newest_in(groups, group, symbol, ts_ns)
            if found is not None:
                return found
    return None


def _first_later(files: list[Path], ts_ns: int) -> int:
    """Return the place of the first file in which all is later."""
    low, high = 0, len(files)
    while low < high:
        middle = (low + high) // 2
        if groups_of(files[middle]).recv_ns[0].min() > ts_ns:
            high = middle
        else:
            low = middle + 1
    return low


def _newest_in(groups: Groups, group: int, symbol: str, ts_ns: int) -> StoredImage | None:
    rows = groups.read([group], ("symbol", "ts_recv_ns", "positions", "image"))
    stamps = rows["ts_recv_ns"].to_numpy()
    ours = np.array(rows["symbol"].to_pylist(), dtype=object) == symbol
    known = np.flatnonzero(ours & (stamps <= ts_ns))
    if not known.size:
        return None
    at = int(known[np.argmax(stamps[known])])
    return StoredImage(int(stamps[at]), rows["positions"][at].as_py(), rows["image"][at].as_py())
