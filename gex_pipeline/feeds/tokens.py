"""The vendor's sign-in token on disk: never half written, never readable by others, never lost.

The file has schwab-py's wrapped form: {"creation_timestamp": born, "token": {…, "expires_at": …}}.
`creation_timestamp` is the birth of the refresh token, which lives for seven days; 0 is unknown.
Whoever renews the token holds the folder's lock, so that two processes never renew one token.
"""

import asyncio
import contextlib
import datetime
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT, GUESSED, Wrapped, read_token_file
from gex_pipeline.feeds.privatefile import (
    append_private,
    keep_copy,
    make_private,
    make_private_folder,
    replace_private,
    sweep_partials,
)
from gex_pipeline.feeds.refusal import forget_refusal, note_refusal, refusal_of
from gex_pipeline.feeds.tokensnapshots import write_snapshots
from gex_pipeline.feeds.wall import wall_s

FILE = "schwab_token.json"
LOCK = "schwab_token.lock"
BACK_NAME = "SCHWAB_REFRESH_TOKEN"
_LOCK_WAIT_S = 20.0
_LOCK_POLL_S = 0.05
_UNREADABLE = (OSError, ValueError, RecursionError)

log = logging.getLogger(__name__)


class TokenStore:
    """One token file in a folder of its own.

    `old` is where an earlier version kept its token; `env_back`, if given, gets a line with each
    new refresh token. `.env` itself is never written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        old: Path | None = None,
        env_back: Path | None = None,
        now_s: Callable[[], float] = wall_s,
    ) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.old = old
        self.env_back = env_back
        self.now_s = now_s
        self.problem: str | None = None
        """Why the newest token is not on the disk; None: it is."""
        self._unsaved: Wrapped | None = None
        self._saving = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether nothing was ever stored here; a file that cannot be read is not nothing."""
        old = self.old is not None and self.old.exists()
        return self._unsaved is None and not self.path.exists() and not old

    def read(self) -> Wrapped:
        """Return the newest token: one that could not be saved stands above the file.

        Raises:
            SignInError: there is no token, or the file holds none that we know.
        """
        if self._unsaved is not None:
            return self._unsaved
        path = self._where()
        try:
            if path == self.path:
                make_private(self.folder)
            make_private(path)
            return read_token_file(path)[0]
        except FileNotFoundError:
            raise SignInError("No Schwab token is stored") from None
        except _UNREADABLE as error:
            fact = f"{path.name} cannot be read as a token ({type(error).__name__})"
            raise SignInError(f"{fact}; it is kept as it is") from None

    def prepare(self) -> None:
        """Put a token of an older shape or place into the wrapped file; the old one is kept.

        What cannot be read stays where it is, and `read` tells it.
        """
        if self.empty:
            return
        try:
            handle = self._open_lock()
        except OSError as error:
            log.warning("%s cannot be written (%s)", self.folder, type(error).__name__)
            return
        try:
            if _try_lock(handle):  # else somebody renews, and keeps the old file as well
                sweep_partials(self.folder, self.now_s())
                self._upgrade()
        finally:
            os.close(handle)

    def write(self, wrapped: Wrapped, **_: object) -> None:
        """Keep a token; when the disk refuses, in memory, with `problem` set: it never raises.

        schwab-py calls this in the middle of a renewal and loses the new token if it raises.
        """
        self._unsaved = self._with_guess(wrapped)
        self.save()

    def save(self) -> bool:
        """Try to put an unsaved token on the disk; return whether nothing is unsaved."""
        with self._saving:
            wrapped = self._unsaved
            if wrapped is None:
                return True
            try:
                data = json.dumps(wrapped).encode()
                make_private_folder(self.folder)
                self._keep_foreign()
                replace_private(self.path, data)
            except (OSError, TypeError, ValueError) as error:
                self.problem = f"the token could not be saved ({type(error).__name__})"
                log.error(
                    "%s in %s; it is kept in memory and tried again", self.problem, self.folder
                )
                return False
            if self._unsaved is wrapped:
                self._unsaved = self.problem = None
            self._write_beside(wrapped)
            return self._unsaved is None

    def seed(self, refresh_token: str) -> bool:
        """Fill an empty store with a refresh token of unknown age; return whether it was empty."""
        if not self.empty:
            return False
        token = {"refresh_token": refresh_token, "access_token": "", "expires_at": EXPIRED_AT}
        self.write({"creation_timestamp": 0, "token": token | {"token_type": "Bearer"}})
        log.warning("the sign-in is %s; nobody knows when its consent ends", BACK_NAME)
        return True

    def refuse(self, wrapped: Wrapped, why: str) -> None:
        """Note that the vendor does not take this sign-in any more."""
        note_refusal(self.folder, wrapped, why, self.now_s())

    def refused(self) -> str | None:
        """Return why the vendor does not take the stored sign-in; None: nobody has said so."""
        try:
            return refusal_of(self.folder, self.read())
        except SignInError:
            return None

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock of this store against every other process.

        On a disk that refuses even that, there is no lock: a token is renewed all the same.

        Raises:
            FeedError: another process has held it for too long.
        """
        try:
            handle = self._open_lock()
        except OSError as error:
            log.warning("no lock can be had in %s (%s)", self.folder, type(error).__name__)
            yield
            return
        try:
            await _acquire(handle)
            yield
        finally:
            os.close(handle)

    def _open_lock(self) -> int:
        make_private_folder(self.folder)
        return os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _where(self) -> Path:
        if self.old is not None and not self.path.exists() and self.old.exists():
            return self.old
        return self.path

    def _upgrade(self) -> None:
        path = self._where()
        try:
            wrapped, foreign = read_token_file(path)
        except _UNREADABLE:
            return
        if not foreign and path == self.path:
            return
        self.write(wrapped)
        if self.problem is None and path != self.path:
            kept = keep_copy(path, self._stamp())
            path.unlink()
            log.info("the token of %s is in %s now; the old file is %s", path, self.path, kept.name)

    def _keep_foreign(self) -> None:
        """Copy what stands in the file's place unless it is a token as we write it."""
        try:
            foreign = read_token_file(self.path)[1]
        except FileNotFoundError:
            return
        except (ValueError, RecursionError):
            foreign = True
        if foreign:
            kept = keep_copy(self.path, self._stamp())
            log.info("%s was of an older form; it is kept as %s", self.path, kept.name)

    def _with_guess(self, wrapped: Wrapped) -> Wrapped:
        """Carry over that a birth is a guess: schwab-py hands back nothing but birth and token."""
        try:
            before = self.read()
        except SignInError:
            return wrapped
        same = before["creation_timestamp"] == wrapped.get("creation_timestamp")
        return wrapped | {GUESSED: True} if same and before.get(GUESSED) else wrapped

    def _write_beside(self, wrapped: Wrapped) -> None:
        """Write what others read; the token itself is safe already."""
        try:
            write_snapshots(self.folder, wrapped, int(self.now_s()))
            forget_refusal(self.folder)
            if self.env_back is not None:
                _append_refresh(self.env_back, wrapped["token"]["refresh_token"])
        except OSError as error:
            log.error("a copy of the token could not be written (%s)", type(error).__name__)

    def _stamp(self) -> str:
        moment = datetime.datetime.fromtimestamp(self.now_s(), datetime.UTC)
        return moment.strftime("%Y%m%dT%H%M%SZ")


def _append_refresh(path: Path, refresh_token: str) -> None:
    line = f"{BACK_NAME}={refresh_token}"
    try:
        last = path.read_text(encoding="utf-8").splitlines()[-1:]
    except FileNotFoundError:
        last = []
    if last != [line]:
        append_private(path, line)


async def _acquire(handle: int) -> None:
    until_s = time.monotonic() + _LOCK_WAIT_S
    while not _try_lock(handle):
        if time.monotonic() > until_s:
            raise FeedError("Another process has been renewing the Schwab token")
        await asyncio.sleep(_LOCK_POLL_S)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
