"""The two halves of the sign-in as small files of their own, for readers that need only one.

`access_token.json` is for programs that send a request now and then: they read it before each one
and never renew anything. `refresh_token.json` is the sign-in to carry to another machine, or to put
back by hand. Both are written behind the token file, which alone counts.
"""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.oldtokens import Wrapped
from gex_pipeline.feeds.privatefile import replace_private

ACCESS_FILE: Final = "access_token.json"
REFRESH_FILE: Final = "refresh_token.json"


class AccessSnapshot(msgspec.Struct, frozen=True):
    """The access token; times in seconds since 1970."""

    access_token: str
    expires_at: int
    written_at: int

    def __repr__(self) -> str:
        return f"AccessSnapshot(expires_at={self.expires_at})"


class RefreshSnapshot(msgspec.Struct, frozen=True):
    """The refresh token and when its consent was given, in seconds since 1970; 0: unknown."""

    refresh_token: str
    creation_timestamp: int

    def __repr__(self) -> str:
        return f"RefreshSnapshot(creation_timestamp={self.creation_timestamp})"


Snapshot = TypeVar("Snapshot", AccessSnapshot, RefreshSnapshot)


def write_snapshots(folder: Path, wrapped: Wrapped, written_at: int) -> None:
    """Write both, each by one rename.

    Raises:
        OSError: the disk refused.
    """
    token = wrapped["token"]
    access = AccessSnapshot(token.get("access_token", ""), token["expires_at"], written_at)
    refresh = RefreshSnapshot(token["refresh_token"], wrapped["creation_timestamp"])
    replace_private(folder / ACCESS_FILE, msgspec.json.encode(access))
    replace_private(folder / REFRESH_FILE, msgspec.json.encode(refresh))


def read_access(folder: Path) -> AccessSnapshot:
    """Return the newest access token.

    Raises:
        SignInError: there is none, or the file cannot be read.
    """
    return _read(folder / ACCESS_FILE, AccessSnapshot)


def read_refresh(folder: Path) -> RefreshSnapshot:
    """Return the refresh token.

    Raises:
        SignInError: there is none, or the file cannot be read.
    """
    return _read(folder / REFRESH_FILE, RefreshSnapshot)


def _read(path: Path, kind: type[Snapshot]) -> Snapshot:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        fact = f"{path.name} cannot be read ({type(error).__name__})"
        raise SignInError(fact) from None
