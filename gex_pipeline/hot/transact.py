"""One transaction on a connection: whole or not at all, the replies as the server gave them.

redis-py's own pipeline does the same, takes twice as long for it, and leaves no time to prepare the
next one while the server is at work. A sender that has an hour to catch up with feels both.
"""

from collections.abc import Sequence
from typing import Any

import redis


class Transaction:
    """A transaction that is on its way; read its `replies` or `abandon` it."""

    def __init__(self, client: redis.Redis, commands: Sequence[Sequence[Any]]) -> None:
        """Send it.

        Raises:
            redis.ConnectionError, redis.TimeoutError: nobody knows whether it is done.
        """
        self._pool: Any = client.connection_pool
        self._waits = 1 + len(commands)
        connection: Any = self._pool.get_connection()
        self._connection: Any = connection
        run = [("MULTI",), *commands, ("EXEC",)]
        try:
            connection.send_packed_command([b"".join(connection.pack_commands(run))])
        except BaseException:
            self.abandon()
            raise

    def replies(self) -> list[Any]:
        """Return the reply to each command, where it failed the error.

        Raises:
            redis.ResponseError: the server refused the whole; nothing was done.
            redis.ConnectionError, redis.TimeoutError: nobody knows whether it was done.
        """
        try:
            refused = [error for _ in range(self._waits) if (error := self._refusal()) is not None]
            answer = self._answer()
        except BaseException:
            self.abandon()
            raise
        self._pool.release(self._connection)
        if isinstance(answer, redis.ResponseError):
            raise refused[0] if refused else answer
        return answer

    def abandon(self) -> None:
        """Give the connection up: replies that are on their way are nobody's."""
        self._connection.disconnect()
        self._pool.release(self._connection)

    def _refusal(self) -> redis.ResponseError | None:
        """Read the answer to a command that waits for EXEC, and return why it does not."""
        try:
            self._connection.read_response()
        except redis.ResponseError as error:
            return error
        return None

    def _answer(self) -> "list[Any] | redis.ResponseError":
        try:
            return list(self._connection.read_response())
        except redis.ResponseError as error:
            return error
