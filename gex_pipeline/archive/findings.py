"""The rules of quality/ on frames of the lake: their columns go in, findings come out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.quality.rules import (
    NOTHING,
    Finding,
    backwards,
    crossed,
    found_in,
    outliers,
    repeated,
)


def summed(frames: Sequence[pl.DataFrame], rule: Callable[[pl.DataFrame], Finding]) -> Finding:
    """Return what a rule finds in several tables together."""
    total = NOTHING
    for frame in frames:
        total += rule(frame)
    return total


def crossed_quotes(frame: pl.DataFrame) -> Finding:
    """Return the quotes whose bid is above their ask, the worst one in words."""
    bid, ask = _floats(frame, "bid"), _floats(frame, "ask")
    mask = crossed(bid, ask)
    worst = int(np.argmax(np.where(mask, bid - ask, -np.inf))) if len(mask) else 0
    words = f"bid {bid[worst]:g} above ask {ask[worst]:g}" if mask.any() else ""
    quoted = int(((bid > 0) & (ask > 0)).sum())
    return found_in(mask, ints(frame, "ts_recv_ns"), quoted, words)


def outlying(quotes: pl.DataFrame, trades: pl.DataFrame) -> Finding:
    """Return the middles of quotes and the prices of sales outside their bands."""
    total = NOTHING
    if len(quotes):
        bid, ask = _floats(quotes, "bid"), _floats(quotes, "ask")
        total += _outside((bid + ask) / 2, ints(quotes, "ts_recv_ns"), (bid > 0) & (ask > 0))
    if len(trades):
        price = _floats(trades, "price")
        total += _outside(price, ints(trades, "ts_recv_ns"), price > 0)
    return total


def _outside(values: Floats, ts_ns: Ints, usable: Bools) -> Finding:
    values, ts_ns = values[usable], ts_ns[usable]
    mask = outliers(values)
    words = f"{values[mask][0]:g}, around it {np.median(values):g}" if mask.any() else ""
    return found_in(mask, ts_ns, len(values), words)


def out_of_order(frame: pl.DataFrame) -> Finding:
    """Return the rows that are older than their symbol's row before."""
    mask = backwards(_code(frame), ints(frame, "ts_event_ns"))
    return found_in(mask, ints(frame, "ts_recv_ns"), len(frame), "out of order")


def duplicates(frame: pl.DataFrame) -> Finding:
    """Return the rows that equal their symbol's row before."""
    names = [name for name in frame.columns if name not in ("seq", "symbol", "ts_recv_ns")]
    columns = [frame[name].cast(pl.Float64).to_numpy() for name in names]
    columns[0] = ints(frame, names[0])  # nanoseconds are more than a float holds
    mask = repeated(_code(frame), columns)
    return found_in(mask, ints(frame, "ts_recv_ns"), len(frame), "the same again")


def bad_prices(frame: pl.DataFrame) -> Finding:
    """Return prices of 0 or below: of sales, and of either side of a quote."""
    names = [name for name in ("price", "bid", "ask") if name in frame.columns]
    return _at_or_below(frame, names, lambda value: value <= 0)


def bad_option_prices(frame: pl.DataFrame) -> Finding:
    """Return prices below 0; an option that nobody bids for has a bid of 0."""
    return _at_or_below(frame, ["bid", "ask", "last", "iv"], lambda value: value < 0)


def _at_or_below(
    frame: pl.DataFrame, names: Sequence[str], bad: Callable[[Floats], Bools]
) -> Finding:
    mask = np.zeros(len(frame), np.bool_)
    for name in names:
        mask |= bad(_floats(frame, name))
    return found_in(mask, ints(frame, "ts_recv_ns"), len(frame), "0 or below")


def _code(frame: pl.DataFrame) -> Ints:
    if "symbol" not in frame.columns:
        return np.zeros(len(frame), np.int64)
    return codes(frame["symbol"])


def codes(symbols: pl.Series) -> Ints:
    """Return a number per symbol."""
    return symbols.rank("dense").cast(pl.Int64).to_numpy()


def ints(frame: pl.DataFrame, name: str) -> Ints:
    """Return a column of whole numbers; of no rows an empty one."""
    if not len(frame):
        return np.zeros(0, np.int64)
    column: Any = frame[name].to_numpy()
    return np.asarray(column, np.int64)


def _floats(frame: pl.DataFrame, name: str) -> Floats:
    """Return a column; a missing number is NaN, which no rule takes for a price."""
    column: Any = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.asarray(column, np.float64)
