"""Token files of other tools and earlier versions, read into schwab-py's wrapped form.

The shapes: a bare token (tda-api, Schwab's own answer), wrapped without a time, the Ruby port's
{"timestamp", "token"}, Schwabdev's JSON of version 2 and its SQLite since 3. Where a file does not
say when its consent was given, the file's own time stands in, and is marked as a guess.
"""

import contextlib
import datetime
import json
import sqlite3
from pathlib import Path
from typing import Any, Final

EXPIRED_AT: Final = 1
"""An expiry long past; authlib takes 0 for "never expires"."""
GUESSED: Final = "creation_guessed"
"""Mark beside `creation_timestamp`: it is a file's time, the consent may be older."""

Wrapped = dict[str, Any]
"""A token in schwab-py's wrapped form."""

_SQLITE: Final = b"SQLite format 3\0"
_ENCRYPTED: Final = "enc:"
_COLUMNS: Final = (
    "access_token_issued, refresh_token_issued, access_token, refresh_token, id_token,"
    " expires_in, token_type, scope"
)


def read_token_file(path: Path) -> tuple[Wrapped, bool]:
    """Return what a token file holds, wrapped, and whether it was another shape before.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        ValueError: it holds no token that we know; the message has nothing of it.
    """
    data = path.read_bytes()
    if data.startswith(_SQLITE):
        return _from_schwabdev(_sqlite_row(path)), True
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    guess_s = int(path.stat().st_mtime)
    if "token_dictionary" in found:
        return _from_schwabdev(found), True
    if "token" not in found:
        return _wrapped(found, None, guess_s), True
    born = found.get("creation_timestamp")
    if born is None:
        return _wrapped(found["token"], found.get("timestamp"), guess_s), True
    wrapped = _wrapped(found["token"], born, guess_s)
    if found.get(GUESSED) is True:
        wrapped[GUESSED] = True
    return wrapped, wrapped["token"].get("expires_at") != found["token"].get("expires_at")


def _wrapped(token: object, born: object, guess_s: int) -> Wrapped:
    """Return a token with its birth; without an expiry it counts as expired."""
    if not isinstance(token, dict) or not isinstance(token.get("refresh_token"), str):
        raise ValueError("no refresh token")
    if token["refresh_token"].startswith(_ENCRYPTED):
        raise ValueError("an encrypted token")
    expires = _seconds(token.get("expires_at"))
    access = token.get("access_token")
    inside = token | {
        "access_token": access if isinstance(access, str) else "",
        "token_type": token.get("token_type") or "Bearer",
        "expires_at": expires or EXPIRED_AT,
    }
    known = _seconds(born)
    if known is None:
        return {"creation_timestamp": guess_s, "token": inside, GUESSED: True}
    return {"creation_timestamp": known, "token": inside}


def _from_schwabdev(found: dict[str, Any]) -> Wrapped:
    token = found["token_dictionary"]
    if not isinstance(token, dict):
        raise ValueError("no refresh token")
    issued, life = _seconds(found.get("access_token_issued")), token.get("expires_in")
    if issued and isinstance(life, int):
        token = token | {"expires_at": issued + life}
    born = _seconds(found.get("refresh_token_issued"))
    return _wrapped(token, born, issued or EXPIRED_AT)


def _sqlite_row(path: Path) -> dict[str, Any]:
    """Return Schwabdev's one row in the shape of its earlier JSON."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as base:
            row = base.execute(f"SELECT {_COLUMNS} FROM schwabdev").fetchone()  # noqa: S608 # ours
    except sqlite3.Error as error:
        raise ValueError(f"an SQLite file without Schwabdev's table ({error})") from None
    if row is None:
        raise ValueError("an empty SQLite table")
    names = _COLUMNS.split(", ")
    fields = dict(zip(names, row, strict=True))
    times = {name: fields.pop(name) for name in names[:2]}
    return times | {"token_dictionary": fields}


def _seconds(value: object) -> int | None:
    """Return seconds since 1970 of a number or an ISO time (without a zone: UTC); else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp())
