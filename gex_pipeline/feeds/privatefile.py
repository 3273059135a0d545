"""Files that hold secrets: replaced whole, 0600 in a folder of 0700, told when they were open."""

import contextlib
import itertools
import logging
import os
import sys
from pathlib import Path
from typing import Final

POINTS: Final = ("token.before_write", "token.written", "token.renamed", "token.kept")
"""Moments at which a crash must cost nothing; tests stop there."""
_OTHERS: Final = 0o077
_LEFT_S: Final = 60.0
_numbers = itertools.count()

log = logging.getLogger(__name__)


def replace_private(path: Path, data: bytes) -> None:
    """Put a file in place by one rename, on disk before and after it.

    Raises:
        OSError: the disk refused; the old file stands.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")
    point("token.before_write")
    try:
        _write_new(partial, data)
        point("token.written")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    point("token.renamed")
    _sync_folder(path.parent)


def append_private(path: Path, line: str) -> None:
    """Append a line in one write, to a file that only its owner reads; it follows no link.

    Raises:
        OSError: the disk refused, or there is a link in the file's place.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    try:
        os.fchmod(handle, 0o600)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, f"{chr(10) if torn else ''}{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_copy(path: Path, stamp: str) -> Path:
    """Copy a file to `<name>.bak-<stamp>` beside it; a name that is taken gets a number.

    One that is kept already, by a process that was killed behind that, is not kept twice.

    Raises:
        OSError: it cannot be read, or the copy not written.
    """
    data = path.read_bytes()
    kept = sorted(path.parent.glob(f"{path.name}.bak-*"))
    for each in kept:
        if each.read_bytes() == data:
            return each
    name = f"{path.name}.bak-{stamp}"
    copy = path.with_name(f"{name}-{len(kept)}" if path.with_name(name) in kept else name)
    replace_private(copy, data)
    point("token.kept")
    return copy


def sweep_partials(folder: Path, now_s: float) -> None:
    """Remove what a killed process left half written; nobody reads it, but it is a secret."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if now_s - path.stat().st_mtime > _LEFT_S:
                path.unlink()


def make_private(path: Path) -> bool:
    """Take a file's or a folder's modes for others away and say so; return whether there were any.

    Raises:
        OSError: it is not ours to change.
    """
    mode = path.stat().st_mode
    if not mode & _OTHERS:
        return False
    path.chmod(0o700 if path.is_dir() else 0o600)
    log.warning("%s was open to other users of this machine; it is private now", path)
    return True


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner enters, or make it so."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    make_private(folder)


def point(name: str) -> None:
    """Mark a moment, one of POINTS, at which a crash must cost nothing."""
    sys.audit("gex.point", name)


def _write_new(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
