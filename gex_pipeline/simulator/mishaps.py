"""What can happen to the vendor: its stream, answers and tokens, and what it says of options."""

import datetime
from typing import Annotated, Final

from msgspec import Meta

from gex_pipeline.simulator.act import Act

_CLOSING: Final = (9, 20)
"""Codes that Schwab closes the socket after."""

# --- the stream as a whole ------------------------------------------------------------------------


class Cut(Act, frozen=True):
    """The stream's socket is closed, and so is each that is opened."""


class Silence(Act, frozen=True):
    """The stream's socket stays open and says nothing: no data, no heartbeat, no answer."""


class Notice(Act, frozen=True):
    """The connection of the moment is told a code and closed, once; "": that code's usual text."""

    code: Annotated[int, Meta(ge=0)]
    text: str = ""


class Evict(Act, frozen=True):
    """Another program signs in, once: code 12. Whoever signs in next is served again."""


class Tear(Act, frozen=True):
    """The connection of the moment is reset in the middle of a websocket frame, once."""


# --- requests to the stream -----------------------------------------------------------------------


class Deny(Act, frozen=True):
    """LOGIN is answered with code 3 and the socket closed."""


class Asked(Act, frozen=True, kw_only=True):
    """Requests of a service and command; "": of any, LOGIN and LOGOUT only where they are named."""

    service: str = ""
    command: str = ""


class Refuse(Asked, frozen=True):
    """Requests are answered with a code; with 26 to 29 they are carried out, else not."""

    code: int
    twice: bool = False
    """A second answer follows, with the code of the failed command."""
    close: bool | None = None
    """None: as Schwab does, after 9 and 20."""

    def closes(self) -> bool:
        """Whether the socket is closed behind the answer."""
        return self.code in _CLOSING if self.close is None else self.close


class Mute(Asked, frozen=True):
    """Requests are lost: neither answered nor carried out. Data go on."""


class Echo(Act, frozen=True):
    """Every answer is sent twice."""


# --- frames of data -------------------------------------------------------------------------------


class Garble(Act, frozen=True):
    """A share of the frames is cut JSON, in whole websocket frames."""

    share: Annotated[float, Meta(gt=0, le=1)] = 0.1


class Bulk(Act, frozen=True):
    """Frames are padded to at least so many bytes."""

    bytes: Annotated[int, Meta(gt=0, le=2**26)] = 1_500_000


class Lag(Act, frozen=True):
    """Frames leave so many seconds of the wall clock late, in order."""

    by_s: Annotated[float, Meta(gt=0)]


class Shuffle(Act, frozen=True):
    """Frames leave in another order: each two neighbours swapped, with the times they had."""


# --- REST and OAuth -------------------------------------------------------------------------------


class Fail(Act, frozen=True):
    """Chain answers with an expiry of these dates fail with a status; of every date and symbol."""

    symbol: str = ""
    first: datetime.date = datetime.date.min
    last: datetime.date = datetime.date.max
    status: int = 502


class Shorten(Act, frozen=True):
    """Chain answers with an expiry of these dates hold half of their contracts, and say so."""

    symbol: str = ""
    first: datetime.date = datetime.date.min
    last: datetime.date = datetime.date.max


class Addressed(Act, frozen=True):
    """Requests of one path, by its last word; "": all of market data."""

    path: str = ""


class Reject(Addressed, frozen=True):
    """Requests are refused; `html`: with the page of the host before Schwab's gateway."""

    status: Annotated[int, Meta(ge=400, le=599)] = 429
    retry_after_s: Annotated[int, Meta(ge=0)] | None = None
    html: bool = False
    message: str = ""


class Stall(Addressed, frozen=True):
    """Requests get no answer while it runs; the connection stays open."""


class Expire(Act, frozen=True):
    """Access tokens issued before are dead from then on, once."""


class Revoke(Act, frozen=True):
    """Refresh tokens issued before are dead from then on, once."""


# --- what is said of options ----------------------------------------------------------------------


class Blank(Act, frozen=True):
    """Open interest is 0, as on a weekend."""


class Void(Act, frozen=True):
    """Volatility and greeks of a symbol's options are -999; "": of all."""

    symbol: str = ""


Mishap = (
    Cut
    | Silence
    | Notice
    | Evict
    | Tear
    | Deny
    | Refuse
    | Mute
    | Echo
    | Garble
    | Bulk
    | Lag
    | Shuffle
    | Fail
    | Shorten
    | Reject
    | Stall
    | Expire
    | Revoke
    | Blank
    | Void
)
