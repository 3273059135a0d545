"""The feed: whether what stands behind a live chain still comes, and what of it does not."""

from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.live import FROZEN_AFTER_S, Image
from gex_pipeline.exposure.smile import NEAR_MONEY
from gex_pipeline.market import sessions

FeedReason = Literal["no_windows", "silent", "frozen", "windows"]
_NS: Final = sessions.SECOND_NS


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """The feed's factor of confidence and what it stands on; a file's is 1 and has no windows."""

    factor: float = 1.0
    reason: FeedReason | None = None
    """Why the factor is below 1."""
    windows: int = 0
    """Answers that the chain comes in, of expiries that are not over."""
    windows_complete: int = 0
    """Those that came whole the last time, and not too long ago."""
    windows_age_s: float | None = None
    """Since the newest whole answer of the window that has waited longest; None: one never came."""


FILE: Final = Feed()


def feed_of(image: Image, chain: Chain) -> Feed:
    """Return the state of an image's feed; `chain` is the image's live chain.

    The factor is 0 when the feed is silent or its near-money quotes stand still in session, else
    the share of the chain's windows that are complete; 0 too before any window was answered.
    """
    today = sessions.et_datetime(image.asof_ns).date()
    windows = [window for window in image.windows if window.last_expiry >= today]
    complete = sum(window.complete and not window.late(image.asof_ns) for window in windows)
    oldest_ns = min((window.answered_ns for window in windows), default=0)
    reason = _reason(image, chain, len(windows), complete)
    return Feed(
        factor=complete / len(windows) if reason in (None, "windows") else 0.0,
        reason=reason,
        windows=len(windows),
        windows_complete=complete,
        windows_age_s=max(image.asof_ns - oldest_ns, 0) / _NS if oldest_ns else None,
    )


def _reason(image: Image, chain: Chain, windows: int, complete: int) -> FeedReason | None:
    if not windows:
        return "no_windows"
    if image.silent:
        return "silent"
    if _frozen(image, chain):
        return "frozen"
    return "windows" if complete < windows else None


def _frozen(image: Image, chain: Chain) -> bool:
    limit_ns = image.asof_ns - FROZEN_AFTER_S * _NS
    trading = sessions.in_session(image.asof_ns, "equity")
    if not (trading and sessions.in_session(limit_ns, "equity") and chain.spot > 0):
        return False
    near = np.abs(np.log(chain.strike / chain.spot)) <= NEAR_MONEY
    near &= chain.settle_ns[chain.group] > image.asof_ns
    changed_ns = image.rows.changed_ns[image.layout.row[:, near]][chain.bid[:, near] > 0]
    return bool(changed_ns.size and changed_ns.max() <= limit_ns)
