"""The live chain: rows that a feed keeps changing, and the chain that they are at one moment.

An image is a consistent copy of all rows of one underlying, with what else its figures stand on:
spot, the feed's heartbeat, the windows of the chain and the tape positions. Whoever holds it gets
the same chain and the same figures, live, later or elsewhere.
"""

import datetime
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.gaps import Lost, lost_s
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.windows import Window
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.contracts import parse_occ_columns
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.symbology import kind_of

SILENT_AFTER_S: Final = 5
"""A feed without a heartbeat for longer, in market time, is dead."""
FROZEN_AFTER_S: Final = 60
"""So is one that changed no near-money quote for longer, in session."""
_NS: Final = sessions.SECOND_NS


class Spot(msgspec.Struct, frozen=True):
    """What was said of the underlying's price; NaN and 0 where nothing was."""

    last: float = np.nan
    last_ns: int = 0
    bid: float = np.nan
    ask: float = np.nan
    quote_ns: int = 0
    stated: float = np.nan
    """The price that came with a chain."""
    stated_ns: int = 0


class Rows(msgspec.Struct, frozen=True, eq=False):
    """The rows' numbers, cleaned; row 0 is no contract and holds nothing."""

    bid: Floats
    ask: Floats
    iv: Floats
    gamma: Floats
    open_interest: Floats
    volume: Floats
    quote_ns: Ints
    """The quote's own time."""
    seen_ns: Ints
    """When the row was received."""
    changed_ns: Ints
    """When its bid or ask was last another one."""
    streamed: Bools
    """Pushed by a stream, which says nothing of a quote that stays as it is."""
    bought: Floats
    """Contracts of the day's volume traded at the ask that stood before, or above it;"""
    sold: Floats
    """at the bid, or below it. Of the rest nobody knows."""


class Layout(msgspec.Struct, frozen=True, eq=False):
    """Where the rows stand in the chain."""

    chain: Chain
    """Its lines and groups, without quotes."""
    row: Ints
    """(2, L) the row of each contract; 0 where none is listed."""


class Image(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One underlying at one moment."""

    symbol: str
    source: str
    mode: str
    contracts: tuple[str, ...]
    """OCC symbols, of row 1 and on."""
    settlements: tuple[str, ...]
    """"A" or "P" where the vendor says so, else ""."""
    layout: Layout
    rows: Rows
    spot: Spot
    asof_ns: int
    """The moment of the figures: market time, held at the close of quotes while that is past."""
    watched_ns: int
    """Market time up to which the feed was listened to."""
    heard_ns: int
    """Its newest heartbeat with a connection."""
    ts_recv_ns: int
    """Receipt of the newest event that is in."""
    windows: tuple[Window, ...]
    positions: dict[str, tuple[int, int]]
    """Tape to (epoch, seq) of the last event that is in."""
    gaps: tuple[Lost, ...] = ()
    """What the feed lost, as far as nothing has made up for it."""

    @property
    def silent(self) -> bool:
        """Whether the feed has had no heartbeat for too long."""
        return self.watched_ns - self.heard_ns > SILENT_AFTER_S * _NS

    @property
    def lost(self) -> tuple[Lost, ...]:
        """The gaps, and the silence that is not over yet."""
        if not (self.silent and self.heard_ns):
            return self.gaps
        return (*self.gaps, Lost(self.heard_ns, self.watched_ns, "silence"))

    @property
    def gap_s(self) -> float | None:
        """Seconds of the feed that are missing under its figures; None: it was never heard."""
        return lost_s(self.lost, self.watched_ns) if self.heard_ns else None


def lay_out(symbol: str, contracts: Sequence[str], settlements: Sequence[str]) -> Layout:
    """Return where the rows of these contracts stand, row 1 first.

    The chain is made by the one intake that files go through, of rows whose open interest is their
    own number: so a live chain cannot be laid out otherwise than a file's.
    """
    occ = parse_occ_columns(contracts)
    size = len(contracts)
    nothing, zeros = np.full(size, np.nan), np.zeros(size, dtype=np.int64)
    numbered = OptionChain(
        symbol=symbol,
        source="",
        spot=np.nan,
        ts_source_ns=0,
        root=occ.root,
        expiry=occ.expiry,
        right=occ.right,
        strike=occ.strike,
        bid=nothing,
        ask=nothing,
        iv=nothing,
        gamma=nothing,
        open_interest=np.arange(1.0, size + 1),
        volume=np.zeros(size),
        ts_quote_ns=zeros,
        settlement=np.array(settlements, dtype="U1"),
    )
    chain = clean_chain(numbered, asof_ns=0)
    return Layout(chain, chain.open_interest.astype(np.int64))


def live_chain(image: Image) -> Chain:
    """Return the chain at the image's moment, without the contracts that have vanished.

    A quote is as fresh as its own time, as its row's receipt and, where a stream keeps it, as the
    stream's heartbeat: a stream that sends changes only says nothing about an unchanged quote. What
    a stream no longer holds nothing says either, but the chain's next answer does, whose rows are
    none of the stream's. So the heartbeat vouches only where such answers come.
    """
    rows, at = image.rows, image.layout.row
    gone = _vanished(image)
    if gone is not None:
        at = np.where(gone, 0, at)
    fresh_ns = np.maximum(rows.quote_ns, rows.seen_ns)[at]
    streamed = rows.streamed[at]
    kept = streamed & _answered(image)[image.layout.chain.group]
    return msgspec.structs.replace(
        image.layout.chain,
        source=image.source,
        spot=spot_price(image.spot, image.symbol, image.asof_ns),
        asof_ns=image.asof_ns,
        live=True,
        listed=image.layout.chain.listed if gone is None else at > 0,
        bid=rows.bid[at],
        ask=rows.ask[at],
        iv=rows.iv[at],
        gamma=rows.gamma[at],
        open_interest=rows.open_interest[at],
        volume=rows.volume[at],
        ts_quote_ns=np.where(kept, np.maximum(fresh_ns, image.heard_ns), fresh_ns),
        streamed=streamed & (not image.silent),
        vanished=0 if gone is None else int(np.count_nonzero(gone)),
    )


def _vanished(image: Image) -> Bools | None:
    """Return (2, L) the contracts that two whole answers lack and nothing has told of since.

    They are not listed any more; None: there is none. One that has expired stays what it is.
    """
    chain, seen_ns = image.layout.chain, image.rows.seen_ns
    before_ns = [window.before_ns for window in image.windows]
    since_ns = _by_group(image, before_ns, min(before_ns, default=0))
    since_ns[chain.settle_ns <= image.asof_ns] = 0
    newest_ns = since_ns.max(initial=0)
    if seen_ns[1:].min(initial=newest_ns) >= newest_ns:
        return None
    gone: Bools = (seen_ns[image.layout.row] < since_ns[chain.group]) & chain.listed
    return gone if gone.any() else None


def _answered(image: Image) -> Bools:
    """Return (G,) the expiries whose window is still answered."""
    late = [not window.late(image.asof_ns) for window in image.windows]
    return _by_group(image, late).astype(bool)


def _by_group(image: Image, of_windows: Sequence[int], otherwise: int = 0) -> Ints:
    """Return (G,) of each expiry the number of the window that answers for it, if one does."""
    expiries = np.array([group.expiry.toordinal() for group in image.layout.chain.groups])
    found = np.full(expiries.size, otherwise, dtype=np.int64)
    for window, number in zip(image.windows, of_windows, strict=True):
        first, last = window.first_expiry.toordinal(), window.last_expiry.toordinal()
        found[(expiries >= first) & (expiries <= last)] = number
    return found


def spot_price(spot: Spot, symbol: str, asof_ns: int) -> float:
    """Return the price of the underlying, or NaN.

    Of a share in session the middle of its quote, else the newest last price or index value. The
    price that came with a chain stands in while the underlying's own is a minute older than it.
    """
    if _stands_in(spot):
        return spot.stated
    shares = kind_of(symbol) == "share"
    if shares and 0 < spot.bid <= spot.ask and sessions.in_session(asof_ns, "equity"):
        return (spot.bid + spot.ask) / 2
    return spot.last if spot.last > 0 else np.nan


def spot_ns(spot: Spot) -> int:
    """Return when the price of the underlying was received; 0: never."""
    return spot.stated_ns if _stands_in(spot) else max(spot.last_ns, spot.quote_ns)


def _stands_in(spot: Spot) -> bool:
    """Whether the price that came with a chain is taken."""
    older_ns = spot.stated_ns - max(spot.last_ns, spot.quote_ns)
    return older_ns > FROZEN_AFTER_S * _NS and spot.stated > 0


def trading_date(market_ns: int) -> datetime.date:
    """Return the trading date of figures at a market time: from its open to the next one."""
    day = sessions.et_datetime(market_ns).date()
    if not sessions.is_trading_day(day) or market_ns < sessions.regular_open_ns(day):
        return sessions.previous_trading_day(day)
    return day


def asof_ns(market_ns: int, symbol: str) -> int:
    """Return the moment of figures at a market time: itself while options quote, else the close.

    Options quote from 09:30 New York to 16:15 (indexes, SPY, QQQ, IWM, DIA) or 16:00.
    """
    late = option_root(symbol).quote_close_late
    return min(market_ns, sessions.quote_close_ns(trading_date(market_ns), late=late))
