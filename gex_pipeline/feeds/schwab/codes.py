"""The streamer's answer codes: their names, what they mean, and how they are said to a person."""

import re
from typing import Final, NamedTuple

OK: Final = 0
DENIED: Final = 3
UNKNOWN: Final = 9
NO_SERVICE: Final = 11
TAKEN: Final = 12
LIMIT: Final = 19
NOT_FOUND: Final = 20
BAD_COMMAND: Final = 21
FAILED: Final = frozenset({22, 23, 24, 25})
"""Often a command that came beside another one; asked alone it may succeed."""
STOPPED: Final = 30
SUCCEEDED: Final = frozenset({OK, 26, 27, 28, 29})
ENDINGS: Final = frozenset({UNKNOWN, NOT_FOUND, STOPPED})
"""A connection that has been told one of these is of no more use."""


class _Code(NamedTuple):
    name: str
    meaning: str


_CODES: Final = {
    OK: _Code("SUCCESS", "done"),
    DENIED: _Code("LOGIN_DENIED", "the access token is not taken"),
    UNKNOWN: _Code("UNKNOWN_FAILURE", "a fault at Schwab"),
    NO_SERVICE: _Code("SERVICE_NOT_AVAILABLE", "down, or not of this account"),
    TAKEN: _Code("CLOSE_CONNECTION", "another program signed in: a user has one stream"),
    LIMIT: _Code("REACHED_SYMBOL_LIMIT", "one symbol too many"),
    NOT_FOUND: _Code("STREAM_CONN_NOT_FOUND", "Schwab does not know this connection"),
    BAD_COMMAND: _Code("BAD_COMMAND_FORMAT", "a request that Schwab cannot read"),
    22: _Code("FAILED_COMMAND_SUBS", "often one command beside another"),
    23: _Code("FAILED_COMMAND_UNSUBS", "often one command beside another"),
    24: _Code("FAILED_COMMAND_ADD", "often one command beside another"),
    25: _Code("FAILED_COMMAND_VIEW", "often one command beside another"),
    26: _Code("SUCCEEDED_COMMAND_SUBS", "done"),
    27: _Code("SUCCEEDED_COMMAND_UNSUBS", "done"),
    28: _Code("SUCCEEDED_COMMAND_ADD", "done"),
    29: _Code("SUCCEEDED_COMMAND_VIEW", "done"),
    STOPPED: _Code("STOP_STREAMING", "nothing subscribed, too slow a reader, or an admin"),
}
"""Schwab's streamer guide; the hints are what others have met."""
_MOST_SAID: Final = 200
_SECRET: Final = re.compile(r"[\w.~+/=@%-]{20,}")
"""A token, a code or an id: no word that a person would read is so long."""


def explain(code: int, said: str) -> str:
    """Return a code with its name, its meaning and what the vendor said of it, without secrets."""
    name, meaning = _CODES.get(code, _Code("unknown", "in no guide"))
    words = " ".join(_SECRET.sub("…", said).split())
    quoted = f'; it said "{words[:_MOST_SAID]}"' if words else ""
    return f"code {code} {name}: {meaning}{quoted}"
