"""How many symbols the vendor lets us have: what the setting says, until a refusal teaches less."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

LESSON_S: Final = 12 * 3600.0
"""A lesson is tried again after so long: it may have been a bad hour of the vendor's."""

log = logging.getLogger(__name__)


class _Learned(msgspec.Struct, frozen=True):
    configured: int
    """What the setting said then; with another setting the lesson counts no more."""
    learned: int


class SymbolLimit:
    """The limit of one installation; what was learned is kept in a file for the next start."""

    def __init__(
        self,
        configured: int,
        path: Path | None = None,
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.configured = configured
        self._path = path
        self._mono_s = mono_s
        self._learned = self._read()
        self._until_s = mono_s() + LESSON_S

    @property
    def learned(self) -> int | None:
        """Symbols that the vendor let us have; None: it has refused none for long."""
        return self._learned if self._mono_s() < self._until_s else None

    @property
    def symbols(self) -> int:
        """Symbols that the stream may hold."""
        return self.configured if self.learned is None else min(self.configured, self.learned)

    def learn(self, symbols: int) -> None:
        """Keep what a refusal taught; a disk that is full costs the next start one refusal."""
        known, self._learned = self._learned, symbols
        self._until_s = self._mono_s() + LESSON_S
        if self._path is None or symbols == known:
            return
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(msgspec.json.encode(_Learned(self.configured, symbols)))
            partial.replace(self._path)
        except OSError as error:
            log.warning("the learned limit of symbols is not kept (%s)", error)

    def _read(self) -> int | None:
        if self._path is None:
            return None
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Learned)
        except (OSError, msgspec.DecodeError):
            return None
        return found.learned if found.configured == self.configured else None
