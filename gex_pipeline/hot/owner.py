"""Whose a spool folder is: one process by its lock, one machine by the mark in it.

The mark also names the machine's running boot: what a process wrote before it was killed is in its
files, what was written before a power cut may not be.
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import Final

from gex_pipeline.errors import SpoolHeldError
from gex_pipeline.hot.segment import list_segments, recover

_MACHINE_ID: Final = Path("/etc/machine-id")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_FILE: Final = "owner"


def hold(folder: Path) -> int:
    """Make the folder and take it; the lock goes with the process.

    Raises:
        SpoolHeldError: another process owns the folder.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SpoolHeldError(str(folder)) from error
    return lock


def owned_here(folder: Path) -> bool:
    """Mark the folder as ours; False: it was another machine's, or is a copy of another folder.

    Its owner may go on elsewhere under the number that the frames bear, so ours must be another.
    """
    place, mark, path = _place(folder), f"{_place(folder)} {_boot()}", folder / _FILE
    found = _marked(folder)
    if found != mark:
        draft = path.with_suffix(".new")
        draft.write_text(mark)
        draft.rename(path)
    return not found or found.rpartition(" ")[0] == place


def knows_its_end(folder: Path, tape: str) -> bool:
    """Return whether the folder alone says which number of the tape was given last.

    It does not where it is new, came from elsewhere, was last written before a restart of the
    machine, or ends in what is no frame: then server or lake may know of later ones. Ask before
    `owned_here` marks it.
    """
    segments = list_segments(folder) if folder.is_dir() else []
    if not segments or _marked(folder) != f"{_place(folder)} {_boot()}" or not _boot():
        return False
    return recover(segments[-1], tape).cut == 0


def _marked(folder: Path) -> str:
    try:
        return (folder / _FILE).read_text()
    except FileNotFoundError:
        return ""


def _place(folder: Path) -> str:
    """Return the machine and the folder: a copy of it has another number of its own."""
    return f"{_read(_MACHINE_ID) or socket.gethostname()} {folder.stat().st_ino}"


def _boot() -> str:
    """Return what names the machine's running boot; "" where the system does not say."""
    return _read(_BOOT_ID)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
