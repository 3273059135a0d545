"""Transactions on one connection that is never made anew: whole or not at all, replies as they are.

A client of redis-py opens a connection again without a word. A server that came back with less than
it had, after a power cut, would then take the next frame behind a hole; here that is an error, and
whoever sends asks first where to go on. It also takes half the time of redis-py's pipeline, and
leaves the server at work while the next run is prepared.
"""

from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis

_pack: Callable[[Sequence[Any]], bytes] = hiredis.pack_command  # type: ignore[assignment] # its stub knows commands of one word only
"""A sixth of the time of the connection's own, which looks at every word first."""


class Line:
    """A connection of our own, one transaction at a time; close it, also after an error."""

    def __init__(self, client: redis.Redis) -> None:
        """Open it.

        Raises:
            redis.ConnectionError, redis.TimeoutError: no server answers.
        """
        self._pool: Any = client.connection_pool
        self._connection: Any = self._pool.get_connection()
        self._waits = 0

    def send(self, commands: Sequence[Sequence[Any]]) -> None:
        """Send a transaction; read its `replies`.

        Raises:
            redis.ConnectionError, redis.TimeoutError: nobody knows whether it is done.
        """
        if not self._connection.is_connected:
            raise redis.ConnectionError("The connection was closed")
        run = [("MULTI",), *commands, ("EXEC",)]
        self._waits = len(run) - 1
        self._connection.send_packed_command([b"".join(map(_pack, run))])

    def replies(self) -> list[Any]:
        """Return the reply to each command, where it failed the error.

        Raises:
            redis.ResponseError: the server refused the whole; nothing was done.
            redis.ConnectionError, redis.TimeoutError: nobody knows whether it was done.
        """
        refused = [error for _ in range(self._waits) if (error := self._refusal()) is not None]
        try:
            return list(self._connection.read_response(disconnect_on_error=False))
        except redis.exceptions.ExecAbortError as error:
            raise (refused[0] if refused else error) from None

    def close(self) -> None:
        """Give the connection up: replies that are on their way are nobody's."""
        self._connection.disconnect()
        self._pool.release(self._connection)

    def _refusal(self) -> redis.ResponseError | None:
        """Read the answer to a command that waits for EXEC, and return why it does not."""
        try:
            self._connection.read_response(disconnect_on_error=False)
        except redis.ResponseError as error:
            return error
        return None
