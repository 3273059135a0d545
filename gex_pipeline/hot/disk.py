"""Room on the disk of a spool: watermarks, and a file that is kept so that it can be given up."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

ALERT_PERCENT = 10.0
STOP_PERCENT = 5.0

Level = Literal["ok", "alert", "stop"]


class Room(msgspec.Struct, frozen=True):
    """How much room there was at the last look."""

    level: Level = "ok"
    free_percent: float = 100.0
    kept: bool = False
    """The reserve file is there."""

    @property
    def problem(self) -> str | None:
        """What is wrong, in words."""
        if self.level == "ok":
            return None
        return f"{self.free_percent:.1f}% of the disk is free"


class Disk:
    """The disk that a spool's folder is on, and the reserve file in that folder.

    The file holds nothing but room. When the disk is full it goes, so that the last minutes and
    the record of the gap still fit; it is made again when there is room for it.
    """

    def __init__(
        self, folder: Path, *, alert_percent: float, stop_percent: float, reserve_bytes: int
    ) -> None:
        self.room = Room()
        self._folder = folder
        self._path = folder / "reserve"
        self._alert_percent = alert_percent
        self._stop_percent = stop_percent
        self._reserve_bytes = reserve_bytes

    def look(self) -> Room:
        """Measure the room, make the reserve file where it fits, and return what is so."""
        found = os.statvfs(self._folder)
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        kept = self._path.exists() or self._keep(free, total)
        percent = 100 * free / total if total else 100.0
        self.room = Room(self._level(percent), round(percent, 2), kept)
        return self.room

    def release(self) -> bool:
        """Give up the reserve file; False: there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self.room = msgspec.structs.replace(self.room, level="stop", kept=False)
        return True

    def leave(self) -> None:
        """Remove the reserve file: the spool is closed."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _level(self, percent: float) -> Level:
        if percent < self._stop_percent:
            return "stop"
        return "alert" if percent < self._alert_percent else "ok"

    def _keep(self, free: int, total: int) -> bool:
        """Make the reserve file if enough is free beside it."""
        if not self._reserve_bytes or free - self._reserve_bytes < total * self._stop_percent / 100:
            return False
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(file, 0, self._reserve_bytes)
        except OSError:
            self.leave()
            return False
        finally:
            os.close(file)
        return True
