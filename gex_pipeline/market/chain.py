"""One option chain as a source gave it: the columns that every adapter produces."""

import msgspec

from gex_pipeline.market.arrays import Dates, Floats, Ints, Texts


class OptionChain(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A chain of one underlying, a row per contract, in the source's order and otherwise untouched.

    Missing numbers are NaN (floats) or 0 (`ts_quote_ns`); an adapter maps units but judges nothing:
    duplicates, expired rows and sentinels such as -999 are still there for the engine to count.
    Contracts that are no plain listed option of multiplier 100 never become a row; `dropped` counts
    them by reason.
    """

    symbol: str
    """Canonical underlying: SPX, SPY, AAPL."""
    source: str
    """cboe-csv, cboe-dat, cboe-json, schwab-json, or the live feed's name."""
    spot: float
    """Index level or last price of the same snapshot; NaN if the source gave none."""
    ts_source_ns: int
    """When the file was downloaded or the answer received, UTC nanoseconds; 0 if unknown."""
    root: Texts
    """Option root: SPX and SPXW differ."""
    expiry: Dates
    """Listed expiration date, New York."""
    right: Ints
    """+1 call, -1 put."""
    strike: Floats
    bid: Floats
    ask: Floats
    iv: Floats
    """The vendor's implied volatility as a fraction (0.2 is 20%)."""
    gamma: Floats
    """The vendor's gamma as printed."""
    open_interest: Floats
    volume: Floats
    ts_quote_ns: Ints
    """The quote's own time, UTC nanoseconds; 0 if the source has none."""
    settlement: Texts
    """"A" or "P" where the vendor says so, else ""."""
    dropped: dict[str, int] = {}
    """Rows that were no usable contract, by reason: symbol, multiplier, adjusted, exchange_row.

    `truncated` is 1 where the source itself said that it cut its answer short.
    """

    def __len__(self) -> int:
        return int(self.strike.size)
