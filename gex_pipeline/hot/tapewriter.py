"""The end of a tape in the hot store, as its one owner writes it: runs of frames, each whole."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import redis

from gex_pipeline.errors import TapeError
from gex_pipeline.hot.frame import FrameHeader, Position
from gex_pipeline.hot.pressure import is_back_pressure
from gex_pipeline.hot.projection import Command
from gex_pipeline.hot.tape import FIELD, tape_end
from gex_pipeline.hot.transact import Line


class Run(NamedTuple):
    """Frames that follow one another, and the commands that are derived from them."""

    frames: Sequence[tuple[FrameHeader, bytes]]
    derived: Sequence[Command]

    @property
    def events(self) -> int:
        """How many are in the frames."""
        return sum(header.last_seq - header.first_seq + 1 for header, _ in self.frames)

    @property
    def size(self) -> int:
        """Bytes of the frames."""
        return sum(len(data) for _, data in self.frames)


class TapeWriter:
    """Writes one tape over a connection of its own; `connect` first, `close` after any error."""

    def __init__(self, client: redis.Redis, key: str, tape: str) -> None:
        self.repeats = 0
        """Frames that the server had already, byte for byte."""
        self.errors = 0
        """Derived commands that failed."""
        self._client = client
        self._key = key
        self._tape = tape
        self._line: Line | None = None
        self._create = False
        self._beside = False

    def connect(self) -> Position | None:
        """Open the connection, then ask for the tape's last id; None: the first run creates it."""
        self._line = Line(self._client)
        end = tape_end(self._client, self._key)
        self._create, self._beside = end is None, False
        return end

    def close(self) -> None:
        """Give the connection up."""
        if self._line is not None:
            self._line.close()
        self._line = None

    def entry(self, position: Position) -> bytes | None:
        """Return the frame that the tape has under an id."""
        rows: Any = self._client.xrange(self._key, min=str(position), max=str(position))
        return rows[0][1].get(FIELD) if rows else None

    def write(self, run: Run, meanwhile: Callable[[], None]) -> bool:
        """Write a run, whole or not at all; False: the tape is gone from a living server.

        `meanwhile` is done while the server is at work.

        Raises:
            TapeError: another frame stands under one of the ids.
            redis.RedisError: it was not written, or nobody knows; close, connect and ask.
        """
        sys.audit("gex.point", "sender.sending")
        derived = [] if self._beside else run.derived
        try:
            replies = self._execute(run.frames, derived, meanwhile)
        except redis.ResponseError as error:
            if not derived or is_back_pressure(error):
                raise
            self._beside = True  # something beside the tape is not allowed: it must not stop it
            replies = self._execute(run.frames, [], meanwhile)
        sys.audit("gex.point", "sender.sent")
        for (header, data), reply in zip(run.frames, replies, strict=False):
            if reply is None:  # FLUSHALL or DEL
                self._take_back(derived)
                return False
            if isinstance(reply, Exception):
                self._accept(header.position, data, reply)
        beside = self._execute_beside(run.derived) if self._beside else replies[len(run.frames) :]
        self.errors += sum(isinstance(reply, Exception) for reply in beside)
        return True

    def _execute(
        self,
        frames: Sequence[tuple[FrameHeader, bytes]],
        derived: Sequence[Command],
        meanwhile: Callable[[], None],
    ) -> list[Any]:
        """Run frames and commands as one transaction and return the replies."""
        if self._line is None:
            raise redis.ConnectionError("The tape's connection was not opened")
        commands: list[Command] = [
            ("XADD", self._key, "NOMKSTREAM", str(header.position), FIELD, data)
            for header, data in frames
        ]
        if self._create:
            commands[0] = tuple(word for word in commands[0] if word != "NOMKSTREAM")
        self._line.send([*commands, *derived])
        meanwhile()
        replies = self._line.replies()
        self._create = False
        return replies

    def _execute_beside(self, derived: Sequence[Command]) -> list[Any]:
        """Run commands each for itself and return the replies."""
        pipe: Any
        with self._client.pipeline(transaction=False) as pipe:
            for command in derived:
                pipe.execute_command(*command)
            return list(pipe.execute(raise_on_error=False))

    def _accept(self, position: Position, data: bytes, reply: Exception) -> None:
        """Take a refused frame for a repeat, if the server has the very same bytes."""
        if "equal or smaller" not in str(reply):
            raise reply
        stored = self.entry(position)
        if stored is None:  # trimmed meanwhile: the server's last id says where to go on
            raise redis.ConnectionError(f"The tape went on past {position} without us")
        if stored != data:
            raise TapeError(self._tape, f"entry {position} is not the frame of our spool")
        self.repeats += 1

    def _take_back(self, derived: Sequence[Command]) -> None:
        """Delete the streams that began with a transaction whose frames found no tape.

        The tape is sent again from behind the archive, and what comes first must be first in them.
        """
        for command in derived:
            if command[0] == "XADD" and self._client.xlen(command[1]) == 1:
                self._client.delete(command[1])
