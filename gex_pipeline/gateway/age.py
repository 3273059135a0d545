"""How old a figure is in market time, and what that means while the market is open or closed.

An age goes on by the clock; what is judged is the lag, the part of it in which the market was open:
yesterday's close is no stale figure this morning, but it is one five minutes after the open.
"""

from functools import lru_cache
from typing import Literal

import msgspec

from gex_pipeline.market import sessions
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import Calendar, Session
from gex_pipeline.market.symbology import calendar_of

Market = Literal["open", "closed"]


class Limits(msgspec.Struct, frozen=True):
    """The lags at which a figure is marked, and at which it is refused."""

    stale_after_s: float
    unavailable_after_s: float
    basis_stale_after_s: float = 300.0
    """Of the futures' basis, whether the market is open or not."""


class Freshness(msgspec.Struct, frozen=True):
    """Age and market state of one figure at one moment of market time."""

    market: Market
    age_s: float
    """Since the newest event that the figure knows."""
    lag_s: float
    """The part of the age in which the market was open."""
    stale: bool
    unavailable: bool


def freshness(symbol: str, ts_ns: int, now_ns: int, limits: Limits) -> Freshness:
    """Return the freshness, at market time `now_ns`, of a figure that knows events up to `ts_ns`.

    While the market is open, the lag counts from the open. While it is closed, it is what was
    missing when it closed, and nothing is refused.
    """
    last, current = _hours_around(symbol, now_ns)
    is_open = current.open_ns <= now_ns < current.close_ns
    lag_ns = now_ns - max(ts_ns, current.open_ns) if is_open else last.close_ns - ts_ns
    lag_s = max(0, lag_ns) / sessions.SECOND_NS
    return Freshness(
        market="open" if is_open else "closed",
        age_s=max(0, now_ns - ts_ns) / sessions.SECOND_NS,
        lag_s=lag_s,
        stale=lag_s > limits.stale_after_s,
        unavailable=is_open and lag_s > limits.unavailable_after_s,
    )


def market_state(symbol: str, now_ns: int) -> Market:
    """Return whether the symbol's options (a future itself) quote in regular hours."""
    _, current = _hours_around(symbol, now_ns)
    return "open" if current.open_ns <= now_ns < current.close_ns else "closed"


def _hours_around(symbol: str, now_ns: int) -> tuple[Session, Session]:
    """Return the newest session that has closed (where one has) and the newest or next one."""
    calendar = _calendar(symbol)
    current = sessions.session(sessions.session_date(now_ns, calendar), calendar)
    if now_ns >= current.close_ns:
        return current, current
    before = sessions.previous_trading_day(current.date, calendar)
    return sessions.session(before, calendar), current


@lru_cache(maxsize=256)
def _calendar(symbol: str) -> Calendar:
    """Return the calendar of what is judged: options of SPY quote as long as those of an index."""
    return "index" if option_root(symbol).quote_close_late else calendar_of(symbol)
