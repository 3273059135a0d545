"""A sketch: gamma exposure by strike out of a chain image's columns, fast enough for years of them.

Convention `sketch-1`, never to be mixed with figures of gexc-1: the vendor's IV of each contract as
it stands (a call and a put of one strike have two), Black-Scholes without rates and dividends at
the image's spot S, T = elapsed minutes to settlement, five at least, / 525,600. A contract adds

    gamma x weight x 100 x S^2 x 0.01,   gamma = phi(d1) / (S sigma sqrt T)

in dollars per 1%: calls +, puts -. One without a volatility or past its settlement adds nothing.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT
from gex_pipeline.exposure.live import lay_out
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.options.time_to_expiry import years_to_expiry

CONVENTION: Final = "sketch-1"
FLOOR_MINUTES: Final = 5.0
_PEAK: Final = 1 / np.sqrt(2 * np.pi)
"""phi(0)"""


class Listing(msgspec.Struct, frozen=True, eq=False):
    """The contracts of an image as a sketch needs them, a number a row of the image."""

    strikes: Floats
    """Distinct and ascending."""
    settle_ns: Ints
    """Of each group: root, expiry and settlement."""
    group: Ints
    """Which of them; the row after the last one is of contracts that count nowhere."""
    cell: Ints
    """Where in the sums: strikes of calls, then of puts."""
    log_strike: Floats


class Sketch(msgspec.Struct, frozen=True, eq=False):
    """Exposure by strike of one underlying at one moment, dollars per 1%."""

    symbol: str
    ts_recv_ns: int
    spot: float
    """NaN: the image has none, and so no exposure."""
    strikes: Floats
    call_gex_oi: Floats
    """0 or more, one per strike."""
    put_gex_oi: Floats
    """0 or less."""
    call_gex_volume: Floats
    put_gex_volume: Floats
    contracts: int
    """Rows of the image."""
    used: int
    """Of them with a volatility, not yet settled."""
    convention: str = CONVENTION


class Columns(msgspec.Struct, frozen=True, eq=False):
    """What changes from image to image, a number a row."""

    iv: Floats
    open_interest: Floats
    volume: Floats


def list_contracts(symbol: str, contracts: Sequence[str], settlements: Sequence[str]) -> Listing:
    """Return where the contracts of an image stand; it holds while they are the same."""
    layout = lay_out(symbol, contracts, settlements)
    chain = layout.chain
    strikes, place = np.unique(chain.strike, return_inverse=True)
    size = len(contracts)
    group = np.full(size, len(chain.groups))
    cell, log_strike = np.zeros(size, dtype=np.int64), np.zeros(size)
    for side in (CALL, PUT):
        lines = np.flatnonzero(layout.row[side])
        rows = layout.row[side, lines] - 1
        group[rows] = chain.group[lines]
        cell[rows] = place[lines] + side * strikes.size
        log_strike[rows] = np.log(chain.strike[lines])
    return Listing(strikes, chain.settle_ns, group, cell, log_strike)


def sketch(
    symbol: str, ts_recv_ns: int, spot: float, asof_ns: int, listing: Listing, columns: Columns
) -> Sketch:
    """Return the exposure by strike of an image with this listing."""
    time = years_to_expiry(listing.settle_ns, asof_ns, FLOOR_MINUTES)
    roots = np.append(np.where(time.live, np.sqrt(time.years), np.inf), np.inf)
    stdev = columns.iv * roots[listing.group]
    np.copyto(stdev, np.inf, where=~(stdev > 0))  # NaN too: what is not known adds nothing
    d1 = (np.log(spot) - listing.log_strike) / stdev
    d1 += stdev / 2
    np.square(d1, out=d1)
    d1 *= -0.5
    dollars = np.exp(d1, out=d1)
    dollars /= stdev
    dollars *= spot * _PEAK
    size = listing.strikes.size
    by_oi = _sums(listing, dollars * columns.open_interest, spot)
    by_volume = _sums(listing, dollars * columns.volume, spot)
    return Sketch(
        symbol=symbol,
        ts_recv_ns=ts_recv_ns,
        spot=spot,
        strikes=listing.strikes,
        call_gex_oi=by_oi[:size],
        put_gex_oi=0.0 - by_oi[size:],
        call_gex_volume=by_volume[:size],
        put_gex_volume=0.0 - by_volume[size:],
        contracts=stdev.size,
        used=int(np.isfinite(stdev).sum()),
    )


def _sums(listing: Listing, dollars: Floats, spot: float) -> Floats:
    """Return the sums by strike: of calls, then of puts; none of them without a spot."""
    sums = np.bincount(listing.cell, weights=dollars, minlength=2 * listing.strikes.size)
    return np.asarray(sums + 0.0 * spot)
