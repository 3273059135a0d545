"""The chain as the engine sees it: lines of a call and a put, in canonical order, cleaned once.

A line is one strike of one group, a group one root and expiry. Columns are matrices of two rows,
calls and puts, because both share the line's volatility and so most of its arithmetic. Lines stand
in the order (expiry, root, strike): sums over them cannot depend on the order in which rows came.
"""

import datetime
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints

CALL: Final = 0
PUT: Final = 1
MULTIPLIER: Final = 100
QUOTE_AGE_MAX_S: Final = 300
"""A live quote older than this is no quote."""

AsofRule = Literal["given", "session", "last_close"]
_NS: Final = 1_000_000_000


class Group(msgspec.Struct, frozen=True):
    """One root and expiry."""

    root: str
    expiry: datetime.date
    """As listed."""
    settle_date: datetime.date
    """The listed date, or the trading day before it."""
    settle_ns: int
    european: bool
    tick: float
    """Smallest mid that counts as a price, dollars."""


class Chain(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One underlying's contracts and quotes at one moment; L lines, G groups, M strikes.

    Matrices are (2, L), row 0 calls and row 1 puts. A contract that is not listed has `listed`
    False, open interest and volume 0 and NaN elsewhere.
    """

    symbol: str
    source: str
    spot: float
    """Positive, or NaN when the source gave none."""
    asof_ns: int
    """The moment of the quotes, UTC nanoseconds."""
    asof_rule: AsofRule
    live: bool = False
    """Quotes have ages that count; a file's quotes are all of one moment."""

    groups: tuple[Group, ...]
    group_start: Ints
    """(G + 1,) the first line of each group, and L."""
    settle_ns: Ints
    """(G,)"""
    group: Ints
    """(L,) index into `groups`."""
    strike: Floats
    """(L,)"""
    strikes: Floats
    """(M,) ascending, each once."""
    strike_id: Ints
    """(L,) index into `strikes`."""

    listed: Bools
    bid: Floats
    ask: Floats
    iv: Floats
    """The vendor's, a fraction."""
    gamma: Floats
    """The vendor's."""
    open_interest: Floats
    volume: Floats
    ts_quote_ns: Ints
    """0 where the source has none."""
    streamed: Bools | None = None
    """The contract's newest word was pushed by a stream that is heard; None: of a file."""

    vanished: int = 0
    """Contracts that the source has stopped listing; they are not in."""
    duplicates: int = 0
    """Rows that repeated a contract; the newest was kept."""
    dropped: dict[str, int] = {}
    """Rows that were no usable contract, by reason."""

    @property
    def contracts(self) -> int:
        """How many contracts are listed, expired ones included."""
        return int(np.count_nonzero(self.listed))

    @property
    def mid(self) -> Floats:
        """(2, L) the middle of bid and ask; meaningless where not two-sided."""
        return (self.bid + self.ask) / 2

    @property
    def two_sided(self) -> Bools:
        """(2, L) a usable bid and ask: positive bid, not crossed, and fresh when live."""
        quoted = (self.bid > 0) & (self.ask >= self.bid)
        if not self.live:
            return quoted
        return quoted & (self.asof_ns - self.ts_quote_ns <= QUOTE_AGE_MAX_S * _NS)
