"""The simulator's own OAuth tokens: signed text, so that they survive its restart."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from gex_pipeline.simulator.storage import replace_file

Kind = Literal["code", "access", "refresh"]
_SECRET: Final = "secret"  # noqa: S105 # a file's name
_RENEW_AFTER: Final = 5 / 7
"""Of a consent's life."""
_USED_CODES_KEPT: Final = 1000


class Lives(msgspec.Struct, frozen=True, kw_only=True):
    """How long tokens live, seconds; those of Schwab."""

    code: int = 30
    access: int = 1800
    refresh: int = 7 * 86_400
    """From the consent."""

    def of(self, kind: Kind) -> int:
        """Return the life of a kind."""
        return {"code": self.code, "access": self.access, "refresh": self.refresh}[kind]


SCHWABS: Final = Lives()


class Mint:
    """Issues and checks tokens of one root."""

    def __init__(self, secret: bytes, wall_ns: Callable[[], int], lives: Lives = SCHWABS) -> None:
        self.lives = lives
        self.recalled_ns: Callable[[Kind], int] = lambda _: 0
        """Tokens of a kind that were issued up to this wall time are dead."""
        self._secret = secret
        self._wall_ns = wall_ns
        self._used: dict[str, None] = {}

    def now_s(self) -> int:
        """Return the wall clock in seconds."""
        return self._wall_ns() // 1_000_000_000

    def issue(self, kind: Kind, claim: str = "") -> str:
        """Return a new token; `claim` travels in it, signed."""
        packed = base64.urlsafe_b64encode(claim.encode()).decode().rstrip("=")
        body = f"sim-{kind}.{self._wall_ns()}.{secrets.token_urlsafe(9)}.{packed}"
        return f"{body}.{self._sign(body)}"

    def claim(self, kind: Kind, token: str) -> str | None:
        """Return the claim in a token of ours that is alive; else None."""
        body, _, signature = token.rpartition(".")
        good = hmac.compare_digest(signature.encode(), self._sign(body).encode())
        parts = body.split(".")
        if not good or parts[0] != f"sim-{kind}":
            return None
        issued_ns = int(parts[1])
        age_s = (self._wall_ns() - issued_ns) / 1e9
        if not 0 <= age_s < self.lives.of(kind) or issued_ns <= self.recalled_ns(kind):
            return None
        return base64.urlsafe_b64decode(parts[3] + "=" * (-len(parts[3]) % 4)).decode()

    def spend(self, code: str) -> str | None:
        """Return the claim in a code, once."""
        claim = self.claim("code", code)
        if claim is None or code in self._used:
            return None
        self._used[code] = None
        while len(self._used) > _USED_CODES_KEPT:
            del self._used[next(iter(self._used))]
        return claim

    def answer(self, refresh: str | None = None) -> dict[str, str | int]:
        """Return a token endpoint's answer; a new consent where no refresh token is given."""
        return {
            "expires_in": self.lives.access,
            "token_type": "Bearer",
            "scope": "api",
            "refresh_token": refresh or self.issue("refresh"),
            "access_token": self.issue("access"),
            "id_token": "simulated",
        }

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()[:32]


def open_mint(folder: Path, wall_ns: Callable[[], int], lives: Lives = SCHWABS) -> Mint:
    """Return the mint of a simulator's folder, with its secret made at the first call."""
    path = folder / _SECRET
    if not path.exists():
        replace_file(path, os.urandom(32))
    return Mint(path.read_bytes(), wall_ns, lives)


def simulator_token(root: Path, wall_ns: Callable[[], int], lives: Lives = SCHWABS) -> Path:
    """Return the root's token file, written anew unless it holds a consent that lasts.

    It is schwab-py's wrapped form, so that the streamer of this root starts without a person. A
    consent that a script revoked is left as it is: it takes a person then, as it would with Schwab.
    """
    path = root / "tokens" / "schwab_token.json"
    mint = open_mint(root / "simulator", wall_ns, lives)
    if _lasts(path, mint):
        return path
    token = mint.answer() | {"expires_at": mint.now_s() + mint.lives.access}
    wrapped = {"creation_timestamp": mint.now_s(), "token": token}
    replace_file(path, msgspec.json.encode(wrapped))
    return path


class _Token(msgspec.Struct):
    refresh_token: str


class _Wrapped(msgspec.Struct):
    creation_timestamp: int
    token: _Token


def _lasts(path: Path, mint: Mint) -> bool:
    try:
        wrapped = msgspec.json.decode(path.read_bytes(), type=_Wrapped)
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    fresh = mint.now_s() - wrapped.creation_timestamp < _RENEW_AFTER * mint.lives.refresh
    return fresh and mint.claim("refresh", wrapped.token.refresh_token) is not None
