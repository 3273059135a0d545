"""Holes of a spool: ranges of seqs that it no longer holds, each named once on its tape.

A hole is open until somebody has looked whether the server or the lake holds what the spool lost;
what nobody holds is sure, and sure holes are told: a Gap event names them. The file `told` in the
spool's folder says which, so that the next start does not tell them again.
"""

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

Cause = Literal["damaged", "unspooled", "expired"]
_FILE = "told"


class SpoolHole(msgspec.Struct, frozen=True, order=True):
    """The spool does not hold the events first_seq to last_seq."""

    first_seq: int
    last_seq: int
    cause: Cause
    """damaged: bytes that are no frame; unspooled: never came to disk; expired: past retention."""
    epoch: int = 0
    """Of the frame behind it."""


class Holes:
    """The holes of one spool, for any thread."""

    def __init__(self, folder: Path) -> None:
        self._open: list[SpoolHole] = []
        self._sure: list[SpoolHole] = []
        self._settled: list[SpoolHole] = []
        self._path = folder / _FILE
        self._told = _read(self._path)
        self._lock = threading.Lock()

    @property
    def named(self) -> list[SpoolHole]:
        """Those that are sure and those that are told, in order."""
        with self._lock:
            return sorted([*self._sure, *self._told])

    @property
    def open(self) -> tuple[SpoolHole, ...]:
        """Those of which nobody has looked whether others hold what they lack."""
        with self._lock:
            return tuple(self._open)

    @property
    def untold(self) -> tuple[SpoolHole, ...]:
        """Those that the tape must be told."""
        with self._lock:
            return tuple(self._sure)

    def find(self, hole: SpoolHole) -> None:
        """Take a hole that was found, as far as it is news."""
        with self._lock:
            known = [*self._open, *self._sure, *self._settled, *self._told]
            for first, last in without((hole.first_seq, hole.last_seq), map(_range, known)):
                self._open.append(SpoolHole(first, last, hole.cause, hole.epoch))

    def confirm(self, hole: SpoolHole) -> None:
        """Take a hole that must be told."""
        with self._lock:
            self._sure.append(hole)

    def settle(self, hole: SpoolHole, lost: Iterable[tuple[int, int]]) -> None:
        """Close an open hole: of its events nobody holds the ranges `lost`."""
        with self._lock:
            self._open.remove(hole)
            self._settled.append(hole)
            self._sure += [SpoolHole(*span, hole.cause, hole.epoch) for span in lost]

    def tell(self, holes: Sequence[SpoolHole]) -> None:
        """Note that these are on the tape as gaps, and remember it.

        Raises:
            OSError: the disk takes it not; then the next start tells them again.
        """
        with self._lock:
            self._sure = [hole for hole in self._sure if hole not in holes]
            self._told += holes
            self._write()
        sys.audit("gex.point", "spool.told")

    def forget_through(self, seq: int) -> None:
        """Forget what was told of seqs whose segments are gone.

        Raises:
            OSError: the disk takes it not; nothing depends on it.
        """
        with self._lock:
            kept = [hole for hole in self._told if hole.last_seq > seq]
            if len(kept) != len(self._told):
                self._told = kept
                self._write()

    def waits_for(self, cause: Cause) -> bool:
        """Return whether a hole of a cause is open or not told yet."""
        with self._lock:
            return any(hole.cause == cause for hole in (*self._open, *self._sure))

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(self._told))
            file.flush()
            os.fdatasync(file.fileno())
        draft.rename(self._path)


def without(span: tuple[int, int], taken: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what is left of a range, both ends in it, without others."""
    first, last = span
    for start, end in sorted(taken):
        if start > last:
            break
        if first < start:
            yield first, start - 1
        first = max(first, end + 1)
    if first <= last:
        yield first, last


def _range(hole: SpoolHole) -> tuple[int, int]:
    return hole.first_seq, hole.last_seq


def _read(path: Path) -> list[SpoolHole]:
    """Return what was told; a file that cannot be read costs a gap told twice, no more."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[SpoolHole])
    except (OSError, msgspec.DecodeError):
        return []
