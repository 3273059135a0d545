"""Files of the simulator: private, replaced whole, held by one process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gex_pipeline.errors import SimulatorHeldError


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place by one rename, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Own the folder while the block runs; the lock goes with the process.

    Raises:
        SimulatorHeldError: another simulator owns it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SimulatorHeldError(str(folder)) from error
        yield
