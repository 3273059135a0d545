"""The vendor's sign-in token on disk: never half written, never readable by others, never lost.

The file has schwab-py's wrapped form: {"creation_timestamp": born, "token": {…, "expires_at": …}}.
`creation_timestamp` is the birth of the refresh token, which lives for seven days; 0 is unknown.
Whoever renews the token holds the folder's lock, so that two processes never renew one token.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gex_pipeline.errors import FeedError, SignInError

FILE = "schwab_token.json"
LOCK = "schwab_token.lock"
EXPIRED_AT = 1  # authlib takes 0 for "never expires"
_LOCK_WAIT_S = 20.0
_LOCK_POLL_S = 0.05

Wrapped = dict[str, Any]
"""A token in schwab-py's wrapped form."""

log = logging.getLogger(__name__)


class TokenStore:
    """One token file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.problem: str | None = None
        """Why the newest token is not on the disk; None: it is."""
        self._unsaved: Wrapped | None = None

    def read(self) -> Wrapped:
        """Return the newest token: one that could not be saved stands above the file.

        Raises:
            SignInError: there is no token, or the file holds none in the wrapped form.
        """
        if self._unsaved is not None:
            return self._unsaved
        try:
            return _checked(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            raise SignInError("No Schwab token is stored") from None
        except (OSError, ValueError) as error:
            fact = f"{FILE} cannot be read as a token ({type(error).__name__})"
            raise SignInError(fact) from error

    def write(self, wrapped: Wrapped, **_: object) -> None:
        """Keep a token; when the disk refuses, in memory, with `problem` set: it never raises.

        schwab-py calls this in the middle of a renewal and loses the new token if it raises.
        """
        self._unsaved = wrapped
        self.save()

    def save(self) -> bool:
        """Try to put an unsaved token on the disk; return whether nothing is unsaved."""
        if self._unsaved is None:
            return True
        try:
            _write_atomically(self.path, json.dumps(self._unsaved).encode())
        except (OSError, TypeError, ValueError) as error:
            self.problem = f"the token could not be saved ({type(error).__name__})"
            log.error("%s in %s; it is kept in memory and tried again", self.problem, self.folder)
            return False
        self._unsaved = self.problem = None
        return True

    def seed(self, refresh_token: str) -> bool:
        """Fill an empty store with a refresh token of unknown age; return whether it was empty."""
        if self.path.exists() or self._unsaved is not None:
            return False
        token = {"refresh_token": refresh_token, "access_token": "", "expires_at": EXPIRED_AT}
        self.write({"creation_timestamp": 0, "token": token | {"token_type": "Bearer"}})
        return True

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock of this store against every other process.

        Raises:
            FeedError: another process has held it for too long.
        """
        _make_private(self.folder)
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _acquire(handle)
            yield
        finally:
            os.close(handle)


async def _acquire(handle: int) -> None:
    until_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise FeedError("Another process has been renewing the Schwab token") from None
            await asyncio.sleep(_LOCK_POLL_S)
        else:
            return


def _checked(wrapped: object) -> Wrapped:
    """Return the document if it is a wrapped token; one without an expiry counts as expired."""
    if not isinstance(wrapped, dict) or not isinstance(wrapped.get("token"), dict):
        raise ValueError("not wrapped")
    token = wrapped["token"]
    if not isinstance(token.get("refresh_token"), str):
        raise ValueError("no refresh token")
    born = wrapped.get("creation_timestamp")
    known = isinstance(born, int | float)
    expires = token.get("expires_at") or EXPIRED_AT
    return {
        "creation_timestamp": born if known else 0,
        "token": token | {"expires_at": int(expires)},
    }


def _write_atomically(path: Path, data: bytes) -> None:
    _make_private(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
