"""API keys: `gex_<id>_<secret>`, of which only a SHA-256 is kept.

The secret has 256 random bits, so a fast digest is enough. The file keys.json (0600) is the truth
of this installation, with revoked keys as tombstones; the hot store mirrors it and holds what only
lives there: the sessions of browsers.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from gex_pipeline.errors import ApiKeyError, KeyFileError

Scope = Literal["read", "ops"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "ops")
LOCAL: Final = "local"
"""Label of the key of this machine's command line."""
_ID_LETTERS: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 8
_LONGEST: Final = 200


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one key."""

    id: str
    sha256: str
    """Of the secret, hexadecimal."""
    scopes: tuple[Scope, ...]
    label: str = ""
    made: str = ""
    """ISO time."""
    revoked: bool = False

    def fits(self, secret: str) -> bool:
        """Whether this is the key's secret; takes as long for a wrong one."""
        return hmac.compare_digest(self.sha256, digest(secret)) and not self.revoked

    def to_hash(self) -> dict[str, str]:
        """Return the fields of the hash in the hot store."""
        return {"sha256": self.sha256, "scopes": " ".join(self.scopes), "label": self.label}


class _KeyFile(msgspec.Struct, frozen=True):
    keys: tuple[ApiKey, ...] = ()


def key_from_hash(key_id: str, fields: Mapping[bytes, bytes]) -> ApiKey | None:
    """Return the key of a hash in the hot store; None if there is none, or it is damaged."""
    plain = {name.decode(): value.decode() for name, value in fields.items()}
    scopes = tuple(plain.get("scopes", "").split())
    try:
        return msgspec.convert({**plain, "id": key_id, "scopes": scopes}, ApiKey)
    except msgspec.ValidationError:
        return None


def new_key(scopes: tuple[Scope, ...], label: str = "", made: str = "") -> tuple[ApiKey, str]:
    """Return a key and its text, which is shown once and kept nowhere."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(32)
    key = ApiKey(id=key_id, sha256=digest(secret), scopes=scopes, label=label, made=made)
    return key, f"gex_{key_id}_{secret}"


def split_key(text: str) -> tuple[str, str] | None:
    """Return id and secret of a key's text, or None if it has not the form of one."""
    parts = text.strip().split("_", 2) if len(text) <= _LONGEST and text.isascii() else []
    if len(parts) != 3 or parts[0] != "gex" or len(parts[1]) != _ID_LENGTH or not parts[2]:
        return None
    return (parts[1], parts[2]) if set(parts[1]) <= set(_ID_LETTERS) else None


def digest(secret: str) -> str:
    """Return the SHA-256 that is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyStore:
    """The key file of an installation; every change is one atomic replacement under a lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "keys.json"
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}

    def keys(self) -> dict[str, ApiKey]:
        """Return all keys by id, revoked ones too; the file is read when it changed."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                data = self._path.read_bytes()
                file = msgspec.json.decode(data, type=_KeyFile)
                self._keys = {key.id: key for key in file.keys}
                self._seen = seen
        except FileNotFoundError:
            self._keys, self._seen = {}, None
        except (OSError, msgspec.DecodeError) as error:
            raise KeyFileError(str(self._path), type(error).__name__) from error
        return self._keys

    def create(
        self, scopes: tuple[Scope, ...], label: str = "", made: str = ""
    ) -> tuple[ApiKey, str]:
        """Add a key; return it and its text."""
        with self._locked():
            key, text = new_key(scopes, label, made)
            self._write({**self.keys(), key.id: key})
        return key, text

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key invalid for ever.

        Raises:
            ApiKeyError: there is none of that id.
        """
        with self._locked():
            keys = self.keys()
            if key_id not in keys:
                raise ApiKeyError(key_id)
            revoked = msgspec.structs.replace(keys[key_id], revoked=True)
            self._write({**keys, key_id: revoked})
        return revoked

    def local(self, made: str = "") -> str:
        """Return the text of the command line's own key (read and ops), made when it is missing.

        It lies in the file local_key (0600). One that was revoked or whose entry is gone is
        replaced.
        """
        path = self._folder / "local_key"
        text = path.read_text(encoding="ascii").strip() if path.exists() else ""
        parts = split_key(text)
        known = self.keys().get(parts[0]) if parts else None
        if parts and known and known.fits(parts[1]):
            return text
        _, text = self.create(SCOPES, LOCAL, made)
        write_private(path, f"{text}\n".encode())
        return text

    def _write(self, keys: Mapping[str, ApiKey]) -> None:
        data = msgspec.json.encode(_KeyFile(tuple(keys.values())))
        write_private(self._path, msgspec.json.format(data) + b"\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out while the file is read, changed and replaced."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "keys.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one that only its owner can read; a reader sees the old or the new."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
