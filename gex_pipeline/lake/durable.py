"""Files and folders that survive a power cut: fsync in the right order, and locks of one host."""

import fcntl
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gex_pipeline.errors import LakeDiskError

UNSURE: Final = ".unsure"
"""Mark of a folder whose newest name may not be on disk."""
_BLOCK: Final = 1 << 20
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def point(name: str) -> None:
    """Mark a moment, `<thing>.<moment>`, at which a crash must cost nothing: tests stop there."""
    sys.audit("gex.point", name)


def sync(path: Path) -> None:
    """Make a file's bytes or a folder's names durable."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_names(folder: Path) -> None:
    """Make a folder's names durable, after something was committed by one of them.

    An error leaves the name there and perhaps only in memory, and the kernel may forget that it
    failed: so the folder is marked, and `check_trusted` refuses it until the machine has started
    again and shows what is really on disk.

    Raises:
        LakeDiskError: the disk refused.
    """
    try:
        sync(folder)
    except OSError as error:
        (folder / UNSURE).write_text(_boot_id())
        raise LakeDiskError(str(folder), error.strerror or str(error)) from error


def check_trusted(folder: Path) -> None:
    """See that nothing in the folder was committed without the disk's word since the last boot.

    Raises:
        LakeDiskError: something was.
    """
    mark = folder / UNSURE
    try:
        boot_id = mark.read_text()
    except FileNotFoundError:
        return
    if boot_id == _boot_id():
        raise LakeDiskError(str(folder), "an earlier fsync failed")
    mark.unlink(missing_ok=True)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not Linux
        return "unknown"


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file's bytes."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def make_folders(path: Path) -> None:
    """Create a folder with its parents, each of them durable in the one above."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and make its bytes durable; its name is so once the folder is synced."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the host-wide lock of a file; without `wait`, give False while another holds it."""
    make_folders(path.parent)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(number)
