"""Which sign-in the vendor does not take any more, noted beside it so that nobody asks in vain."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Final

from gex_pipeline.feeds.oldtokens import Wrapped
from gex_pipeline.feeds.privatefile import replace_private

FILE: Final = "refused.json"


def note_refusal(folder: Path, wrapped: Wrapped, why: str, at_s: float) -> None:
    """Note that a sign-in is dead; where that cannot be written, the next one asks once more."""
    note = {"sign_in": _identity(wrapped), "why": why, "at": int(at_s)}
    with contextlib.suppress(OSError):
        replace_private(folder / FILE, json.dumps(note).encode())


def refusal_of(folder: Path, wrapped: Wrapped) -> str | None:
    """Return why this very sign-in is dead; None: nobody has said so."""
    try:
        note = json.loads((folder / FILE).read_bytes())
        return str(note["why"]) if note["sign_in"] == _identity(wrapped) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_refusal(folder: Path) -> None:
    """Take the note away: the vendor has just given a token.

    Raises:
        OSError: the disk refused.
    """
    (folder / FILE).unlink(missing_ok=True)


def _identity(wrapped: Wrapped) -> str:
    """Return what tells one sign-in from another and gives nothing of it away."""
    text = f"{wrapped['creation_timestamp']}:{wrapped['token']['refresh_token']}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
