"""How many symbols the vendor lets us have: what the setting says, until a refusal teaches less."""

import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class _Learned(msgspec.Struct, frozen=True):
    configured: int
    """What the setting said then; with another setting the lesson counts no more."""
    learned: int


class SymbolLimit:
    """The limit of one installation; what was learned is kept in a file for the next start."""

    def __init__(self, configured: int, path: Path | None = None) -> None:
        self.configured = configured
        self._path = path
        self.learned: int | None = self._read()
        """Symbols that the vendor let us have; None: it has not refused one."""

    @property
    def symbols(self) -> int:
        """Symbols that the stream may hold."""
        return self.configured if self.learned is None else min(self.configured, self.learned)

    def learn(self, symbols: int) -> None:
        """Keep what a refusal taught; a disk that is full costs the next start one refusal."""
        if symbols == self.learned:
            return
        self.learned = symbols
        if self._path is None:
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
