"""A claim that falls with the process that holds it: a lock on a file that names the holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claim(path: Path, holder: str) -> Iterator[bool]:
    """Hold the claim under a name; False: another one holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _taken(number, fcntl.LOCK_EX):
            yield False
            return
        os.ftruncate(number, 0)
        os.pwrite(number, holder.encode(), 0)
        yield True
        os.ftruncate(number, 0)
    finally:
        os.close(number)


def holder_of(path: Path) -> str | None:
    """Return the name under which the claim is held now, if it is."""
    try:
        number = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(number, 1000, 0).decode() if _taken(number, fcntl.LOCK_SH) else None
    finally:
        os.close(number)


def _taken(number: int, kind: int) -> bool:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
