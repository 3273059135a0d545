"""The chains and derived records of a root, known cheaply: read again only where a folder changed.

A listing is trusted once it was taken a moment after its folder's time was first seen: until then
another change may come within the same tick of the file system's clock and leave no trace.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from gex_pipeline.lake.derived import MONTHS, Derived, read_derived, read_months, with_months
from gex_pipeline.lake.parts import Chain, read_chain
from gex_pipeline.lake.paths import LakePaths

SETTLED_S: Final = 0.1
"""Far above a file system's tick (1 to 10 ms)."""

_Stamp = tuple[tuple[int, int], ...]


class _Known(msgspec.Struct, frozen=True):
    stamp: _Stamp
    """Inode and time of each folder that was listed."""
    seen_s: float
    """When this stamp was first seen, in monotonic time."""
    settled: bool
    value: Any


_known: dict[tuple[str, ...], _Known] = {}


def chain_of(paths: LakePaths, tape: str) -> Chain:
    """Return the chain of a tape as of now.

    Raises:
        LakeError: as `read_chain`.
    """
    folders = (paths.tape(tape), paths.manifests(tape))
    chain: Chain = _remembered(("chain", tape), folders, lambda: read_chain(paths, tape))
    return chain


def chains(paths: LakePaths) -> tuple[Chain, ...]:
    """Return the chain of every tape that the lake holds."""
    return tuple(chain_of(paths, tape) for tape in paths.tapes())


def derived_records(paths: LakePaths) -> tuple[Derived, ...]:
    """Return the records of all derived files, by table, date and key; months for their days."""
    tops = sorted(paths.derived.iterdir()) if paths.derived.is_dir() else []
    return tuple(
        record
        for folder in tops
        if folder.is_dir() and not folder.name.startswith(".")
        for record in _remembered(
            ("derived",), (folder, folder / MONTHS), partial(_derived, paths, folder.name)
        )
    )


def _derived(paths: LakePaths, table: str) -> tuple[Derived, ...]:
    return with_months(tuple(read_derived(paths, table)), tuple(read_months(paths, table)))


def _remembered(kind: tuple[str, ...], folders: tuple[Path, ...], read: Callable[[], Any]) -> Any:
    key = (*kind, *(str(folder.absolute()) for folder in folders))
    stamp, now_s = tuple(_stamp_of(folder) for folder in folders), time.monotonic()
    known = _known.get(key)
    same = known is not None and known.stamp == stamp
    if known is not None and same and known.settled:
        return known.value
    seen_s = known.seen_s if known is not None and same else now_s
    value = read()
    _known[key] = _Known(stamp, seen_s, now_s - seen_s > SETTLED_S, value)
    return value


def _stamp_of(folder: Path) -> tuple[int, int]:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)
