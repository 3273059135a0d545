"""Windows: the answers that a chain comes in, each of some of its expiries.

Rounds of whole answers say what is listed; when they stop, what they said grows old.
"""

import datetime
from typing import Final

import msgspec

from gex_pipeline.market.sessions import SECOND_NS

LATE_AFTER_S: Final = 600
"""A window whose newest whole answer is older, in market time, is not complete any more,"""
LATE_ROUNDS: Final = 3
"""unless so many rounds take longer, by the time between its two newest whole answers."""


class Window(msgspec.Struct, frozen=True):
    """The newest answer for some expiries, and when they were answered whole."""

    first_expiry: datetime.date
    last_expiry: datetime.date
    complete: bool
    """Whether all that was asked for came."""
    ts_recv_ns: int
    whole_ns: int = 0
    """Receipt of the newest whole answer, this one or an earlier one; 0: there is none."""
    before_ns: int = 0
    """Of the whole answer before that."""

    @property
    def answered_ns(self) -> int:
        """Receipt of the newest whole answer, also where an older version wrote the window."""
        return max(self.whole_ns, self.ts_recv_ns if self.complete else 0)

    def late(self, now_ns: int) -> bool:
        """Whether whole answers have stopped coming: a poll that died tells nothing itself."""
        round_ns = self.answered_ns - self.before_ns if self.before_ns else 0
        limit_ns = max(LATE_AFTER_S * SECOND_NS, LATE_ROUNDS * round_ns)
        return now_ns - self.answered_ns > limit_ns

    def covers(self, expiry: datetime.date) -> bool:
        """Whether it is an answer for an expiry."""
        return self.first_expiry <= expiry <= self.last_expiry


def answered(windows: tuple[Window, ...], new: Window) -> tuple[Window, ...]:
    """Return the windows with another answer, which takes the place of those that it overlaps.

    It goes on from them, so that what a wider or narrower answer lacked before stays lacking. Where
    there were none, the others say what was answered before.
    """
    apart = tuple(
        old
        for old in windows
        if old.last_expiry < new.first_expiry or old.first_expiry > new.last_expiry
    )
    over = [old for old in windows if old not in apart]
    whole_ns = min((old.answered_ns for old in over), default=0)
    before_ns = min((old.before_ns for old in over or windows), default=0)
    if new.complete:
        whole_ns, before_ns = new.ts_recv_ns, whole_ns or before_ns
    return (*apart, msgspec.structs.replace(new, whole_ns=whole_ns, before_ns=before_ns))
