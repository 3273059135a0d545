"""The lake's small JSON records (part.json, manifests, derived), each decoded once a process.

They never change once they are there, so a file of the same inode, time and size is the same.
"""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gex_pipeline.errors import LakeVersionError
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION

REMEMBERED: Final = 200_000
"""Records that a process keeps; above it forgets them all."""

T = TypeVar("T", bound=msgspec.Struct)
_known: dict[str, tuple[tuple[int, int, int], msgspec.Struct]] = {}


class _Versioned(msgspec.Struct):
    """What every record says, whatever else a later version made of it."""

    schema: int = 1


def decoded(path: Path, kind: type[T]) -> T:
    """Return the record of a file.

    Raises:
        LakeVersionError: a newer release wrote it.
        OSError, ValueError: it cannot be read, or is no such record.
    """
    name, found = str(path), path.stat()
    stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
    known = _known.get(name)
    if known is not None and known[0] == stamp and isinstance(known[1], kind):
        return known[1]
    data = path.read_bytes()
    version = msgspec.json.decode(data, type=_Versioned).schema
    if version > LAKE_SCHEMA_VERSION:
        raise LakeVersionError(name, version, LAKE_SCHEMA_VERSION)
    record = msgspec.json.decode(data, type=kind)
    if len(_known) >= REMEMBERED:
        _known.clear()
    _known[name] = (stamp, record)
    return record
