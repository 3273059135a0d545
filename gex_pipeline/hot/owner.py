"""Whose a spool folder is: one process by its lock, one machine by the mark in it."""

import fcntl
import os
import socket
from pathlib import Path
from typing import Final

from gex_pipeline.errors import SpoolHeldError

_MACHINE_ID: Final = Path("/etc/machine-id")
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
    mark, path = _mark(folder), folder / _FILE
    try:
        found = path.read_text()
    except FileNotFoundError:
        found = ""
    if found != mark:
        draft = path.with_suffix(".new")
        draft.write_text(mark)
        draft.rename(path)
    return found in ("", mark)


def _mark(folder: Path) -> str:
    """Return the machine and the folder: a copy of it has another number of its own."""
    try:
        machine = _MACHINE_ID.read_text().strip()
    except OSError:
        machine = socket.gethostname()
    return f"{machine} {folder.stat().st_ino}"
