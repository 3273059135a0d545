"""The smile: one implied volatility per line, with where each came from.

One volatility serves the call and the put of a strike, taken from the out-of-the-money side's mid:
per-contract vendor volatilities under a parity forward put a real chain's total 39% off, one per
line 5%.
"""

import math
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.carry import (
    NOTHING_CONFIGURED,
    SHORT_YEARS,
    Carry,
    Configured,
    find_carry,
)
from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.options.forward import Forward, median
from gex_pipeline.options.implied_vol import implied_vol
from gex_pipeline.options.time_to_expiry import years_to_expiry

NONE: Final = 0
OWN: Final = 1
VENDOR: Final = 2
NEAR_MONEY: Final = 0.05
_KAPPA_LINES_MIN: Final = 5
_KAPPA_RANGE: Final = (0.5, 2.0)


class Smile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the quotes say; L lines and G groups as in the chain."""

    years: Floats
    """(G,) time to expiry."""
    live: Bools
    """(G,) not expired, and not all of it vanished."""
    floored: Bools
    """(G,) the floor stands in for less time."""
    carry: Carry
    log_moneyness: Floats
    """(L,) log(K/F); NaN in expired groups."""
    iv: Floats
    """(L,) NaN where neither own nor vendor volatility is usable."""
    iv_source: Ints
    """(L,) NONE, OWN or VENDOR."""
    two_sided: Bools
    """(2, L)"""

    @property
    def forwards(self) -> tuple[Forward | None, ...]:
        """(G,) None for an expired group."""
        return self.carry.forwards


def solve_smile(
    chain: Chain,
    convention: Convention,
    configured: Configured = NOTHING_CONFIGURED,
) -> Smile:
    """Return forwards and volatilities of all unexpired groups.

    Needs a spot. `configured` stands in where the chain implies nothing.
    """
    time = years_to_expiry(chain.settle_ns, chain.asof_ns, convention.floor_minutes)
    if chain.vanished:  # of an expiry of which nothing is listed any more nothing is left
        time = time._replace(live=time.live & listed_groups(chain))
    two_sided = chain.two_sided
    carry = find_carry(chain, time, two_sided, convention, configured)
    log_moneyness = np.log(chain.strike) - np.log(carry.forward)[chain.group]
    own = _own_iv(chain, carry, time.years, two_sided, convention)
    vendor = _vendor_iv(chain, carry.forward, convention)
    kappa = _kappa(chain, own, vendor, log_moneyness)
    swap = _vendor_first(chain, time.years, carry.gap, convention)
    iv, source = _choose(chain, own, vendor, kappa, swap)
    return Smile(
        years=time.years,
        live=time.live,
        floored=time.floored,
        carry=carry,
        log_moneyness=log_moneyness,
        iv=iv,
        iv_source=source,
        two_sided=two_sided,
    )


def listed_groups(chain: Chain) -> Bools:
    """Return (G,) the groups of which a contract is listed."""
    lines = chain.listed.any(axis=0)
    return np.bincount(chain.group, weights=lines, minlength=len(chain.groups)) > 0


def _own_iv(
    chain: Chain, carry: Carry, years: Floats, two_sided: Bools, convention: Convention
) -> Floats:
    """Return (L,) the out-of-the-money side's volatility, the mean of both sides at the money.

    At the last strike below the forward and the first one at or above it an error of the forward
    moves the two sides opposite ways: their mean cancels it where the shortest gamma sits.
    """
    mid, level = chain.mid, carry.forward[chain.group]
    otm = np.where(chain.strike >= level, CALL, PUT)
    lines = np.arange(otm.size)
    priced = two_sided & (mid >= np.array([g.tick for g in chain.groups])[chain.group])
    at_money = _money(chain, carry.forward)
    line = np.concatenate((lines, at_money))
    side = np.concatenate((otm, 1 - otm[at_money]))
    usable = priced[side, line] & np.isfinite(level[line])
    line, side = line[usable], side[usable]
    at = chain.group[line]
    solved = implied_vol(
        mid[side, line] / carry.df[at],
        carry.forward[at],
        chain.strike[line],
        years[at],
        np.where(side == CALL, 1.0, -1.0),
    )
    valid = (solved >= convention.iv_min) & (solved <= convention.iv_max)
    both = np.full(two_sided.shape, np.nan)
    both[side[valid], line[valid]] = solved[valid]
    own: Floats = both[otm, lines]
    blended = both[:, at_money].mean(axis=0)
    own[at_money] = np.where(np.isnan(blended), own[at_money], blended)
    return own


def _money(chain: Chain, forward: Floats) -> Ints:
    """Return the lines of each live group's last strike below the forward and first at or above."""
    lines: list[int] = []
    bounds = pairwise(chain.group_start.tolist())
    for level, (start, stop) in zip(forward.tolist(), bounds, strict=True):
        if math.isnan(level):
            continue
        above = start + int(np.searchsorted(chain.strike[start:stop], level))
        lines.extend(line for line in (above - 1, above) if start <= line < stop)
    return np.array(lines, dtype=np.int64)


def _vendor_iv(chain: Chain, forward: Floats, convention: Convention) -> Floats:
    """Return (L,) the vendor's volatility: the out-of-the-money side's, else the other side's."""
    usable = (chain.iv > convention.vendor_iv_min) & (chain.iv <= convention.iv_max)
    iv = np.where(usable, chain.iv, np.nan)
    is_call = chain.strike >= forward[chain.group]
    otm = np.where(is_call, iv[CALL], iv[PUT])
    itm = np.where(is_call, iv[PUT], iv[CALL])
    return np.asarray(np.where(np.isnan(otm), itm, otm))


def _kappa(chain: Chain, own: Floats, vendor: Floats, log_moneyness: Floats) -> Floats:
    """Return (G,) own over vendor volatility near the money: vendors run on another clock."""
    kappa = np.ones(len(chain.groups))
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.abs(log_moneyness) <= NEAR_MONEY, own / vendor, np.nan)
    known = np.flatnonzero(~np.isnan(ratio))
    ratio = ratio[known]
    bounds = pairwise(np.searchsorted(known, chain.group_start).tolist())
    for g, (start, stop) in enumerate(bounds):
        if stop - start >= _KAPPA_LINES_MIN:
            kappa[g] = median(ratio[start:stop])
    return np.clip(kappa, *_KAPPA_RANGE)


def _vendor_first(chain: Chain, years: Floats, gap: float | None, convention: Convention) -> Bools:
    """Return (G,) the groups where an ex-dividend eve has broken parity for American options."""
    if gap is None or abs(gap) <= convention.american_gap_max:
        return np.zeros(years.size, dtype=bool)
    today = et_datetime(chain.asof_ns).date()
    return np.array(
        [
            not group.european and t <= SHORT_YEARS and group.settle_date != today
            for group, t in zip(chain.groups, years, strict=True)
        ],
        dtype=bool,
    )


def _choose(
    chain: Chain, own: Floats, vendor: Floats, kappa: Floats, vendor_first: Bools
) -> tuple[Floats, Ints]:
    """Return (L,) the volatility used and its source."""
    has_own, has_vendor = ~np.isnan(own), ~np.isnan(vendor)
    swap = vendor_first[chain.group]
    take_vendor = has_vendor & (swap | ~has_own)
    scale = np.where(swap, 1.0, kappa[chain.group])
    iv = np.where(take_vendor, scale * vendor, own)
    return iv, np.where(take_vendor, VENDOR, np.where(has_own, OWN, NONE))
