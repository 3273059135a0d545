"""The smile: rate, forwards, and one implied volatility per line, with where each came from.

One volatility serves the call and the put of a strike, taken from the out-of-the-money side's mid:
per-contract vendor volatilities under a parity forward put a real chain's total 39% off, one per
line 5%.
"""

import datetime
import math
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.options.forward import (
    Forward,
    ParityQuotes,
    carry_gap,
    median,
    parity_forward,
    parity_rate,
)
from gex_pipeline.options.implied_vol import implied_vol
from gex_pipeline.options.time_to_expiry import years_to_expiry

NONE: Final = 0
OWN: Final = 1
VENDOR: Final = 2
SHORT_YEARS: Final = 45 / 365
"""Groups within 45 days carry the spot check and the near-money checks."""
NEAR_MONEY: Final = 0.05
_KAPPA_LINES_MIN: Final = 5
_KAPPA_RANGE: Final = (0.5, 2.0)
_RATE_RANGE: Final = (-0.02, 0.15)
_RATE_GROUPS_MIN: Final = 3


class RateChoice(msgspec.Struct, frozen=True):
    """A continuous interest rate and where it came from: implied, config, parent, zero."""

    value: float
    source: str


class Smile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the quotes say; L lines and G groups as in the chain."""

    years: Floats
    """(G,) time to expiry."""
    live: Bools
    """(G,) not expired."""
    floored: Bools
    """(G,) the floor stands in for less time."""
    rate: RateChoice
    df: Floats
    """(G,) discount factor."""
    forwards: tuple[Forward | None, ...]
    """(G,) None for an expired group."""
    forward: Floats
    """(G,) NaN for an expired group."""
    log_moneyness: Floats
    """(L,) log(K/F); NaN in expired groups."""
    gap: float | None
    """How far spot stands from the parity forwards within 45 days, a log; None without any."""
    iv: Floats
    """(L,) NaN where neither own nor vendor volatility is usable."""
    iv_source: Ints
    """(L,) NONE, OWN or VENDOR."""
    two_sided: Bools
    """(2, L)"""


def solve_smile(chain: Chain, convention: Convention, fallback: RateChoice | None = None) -> Smile:
    """Return forwards and volatilities of all unexpired groups.

    `fallback` is the rate where the chain implies none: a configured curve's or the parent
    index's; without one, zero. Needs a spot.
    """
    years = years_to_expiry(chain.settle_ns, chain.asof_ns, convention.floor_minutes)
    mid, two_sided = chain.mid, chain.two_sided
    quotes = tuple(_parity_quotes(chain, mid, two_sided, g) for g in range(len(chain.groups)))
    rate = _rate(chain, quotes, years.years, years.live, convention) or (
        fallback or RateChoice(0.0, "zero")
    )
    df = np.exp(-rate.value * years.years)
    forwards = _forwards(chain, quotes, years.years, years.live, df, convention)
    forward = np.array([f.value if f else math.nan for f in forwards], dtype=np.float64)
    gap = _gap(chain.spot, years.years, forwards, rate.value)
    log_moneyness = np.log(chain.strike) - np.log(forward)[chain.group]
    own = _own_iv(chain, mid, two_sided, forward, df, years.years, convention)
    vendor = _vendor_iv(chain, forward, convention)
    kappa = _kappa(chain, own, vendor, log_moneyness)
    iv, source = _choose(
        chain, own, vendor, kappa, _vendor_first(chain, years.years, gap, convention)
    )
    return Smile(
        years=years.years,
        live=years.live,
        floored=years.floored,
        rate=rate,
        df=df,
        forwards=forwards,
        forward=forward,
        log_moneyness=log_moneyness,
        gap=gap,
        iv=iv,
        iv_source=source,
        two_sided=two_sided,
    )


def _parity_quotes(chain: Chain, mid: Floats, two_sided: Bools, group: int) -> ParityQuotes:
    lines = slice(chain.group_start[group], chain.group_start[group + 1])
    spread = chain.ask[:, lines] - chain.bid[:, lines]
    return ParityQuotes(
        strike=chain.strike[lines],
        call_mid=mid[CALL, lines],
        put_mid=mid[PUT, lines],
        call_spread=spread[CALL],
        put_spread=spread[PUT],
        two_sided=two_sided[CALL, lines] & two_sided[PUT, lines],
    )


def _rate(
    chain: Chain,
    quotes: tuple[ParityQuotes, ...],
    years: Floats,
    live: Bools,
    convention: Convention,
) -> RateChoice | None:
    """Return the median of the parity slopes of European groups between 30 days and 1.5 years."""
    shortest, longest = convention.rate_years
    rates = [
        parity_rate(
            quotes[g], chain.spot, years[g], convention.rate_window, convention.rate_strikes_min
        )
        for g, group in enumerate(chain.groups)
        if group.european and live[g] and shortest <= years[g] <= longest
    ]
    known = [rate for rate in rates if math.isfinite(rate)]
    if len(known) < _RATE_GROUPS_MIN:
        return None
    value = median(np.array(known))
    low, high = _RATE_RANGE
    return RateChoice(value, "implied") if low <= value <= high else None


def _forwards(
    chain: Chain,
    quotes: tuple[ParityQuotes, ...],
    years: Floats,
    live: Bools,
    df: Floats,
    convention: Convention,
) -> tuple[Forward | None, ...]:
    rule = convention.parity
    parity = [
        parity_forward(quotes[g], chain.spot, float(years[g]), float(df[g]), rule)
        if live[g]
        else None
        for g in range(len(chain.groups))
    ]
    return tuple(
        _fallback(chain, years, parity, g) if isinstance(found, str) else found
        for g, found in enumerate(parity)
    )


def _fallback(
    chain: Chain, years: Floats, parity: list[Forward | str | None], group: int
) -> Forward:
    """Return the sibling root's carry, the neighbouring expiries', or spot itself."""
    reason = str(parity[group])
    known = {g: found for g, found in enumerate(parity) if isinstance(found, Forward)}
    carry = {g: math.log(found.value / chain.spot) for g, found in known.items()}
    date = chain.groups[group].expiry
    for sibling in known:
        if chain.groups[sibling].expiry == date:
            log_carry = carry[sibling] * years[group] / years[sibling]
            return Forward(value=chain.spot * math.exp(log_carry), method="sibling", reason=reason)
    if not known:
        return Forward(value=chain.spot, method="zero", reason=reason)
    log_carry = _neighbour_carry(chain, years, carry, group)
    return Forward(value=chain.spot * math.exp(log_carry), method="neighbour", reason=reason)


def _neighbour_carry(chain: Chain, years: Floats, carry: dict[int, float], group: int) -> float:
    """Return log(F/S): linear in time between the parity groups around, constant carry outside."""

    def place(g: int) -> tuple[float, datetime.date, str]:
        return float(years[g]), chain.groups[g].expiry, chain.groups[g].root

    ordered = sorted(carry, key=place)
    here = place(group)
    before = [g for g in ordered if place(g) < here]
    after = [g for g in ordered if place(g) > here]
    t = float(years[group])
    if before and after:
        low, high = before[-1], after[0]
        span = float(years[high] - years[low])
        weight = (t - float(years[low])) / span if span > 0 else 0.0
        return carry[low] + weight * (carry[high] - carry[low])
    nearest = before[-1] if before else after[0]
    return carry[nearest] * t / float(years[nearest])


def _gap(
    spot: float, years: Floats, forwards: tuple[Forward | None, ...], rate: float
) -> float | None:
    short = [
        g
        for g, found in enumerate(forwards)
        if found and found.method == "parity" and years[g] <= SHORT_YEARS
    ]
    log_carry = np.array([math.log(forwards[g].value / spot) for g in short])  # type: ignore[union-attr]
    return carry_gap(years[short], log_carry, rate)


def _own_iv(
    chain: Chain,
    mid: Floats,
    two_sided: Bools,
    forward: Floats,
    df: Floats,
    years: Floats,
    convention: Convention,
) -> Floats:
    """Return (L,) the out-of-the-money side's volatility, the mean of both sides at the money.

    At the last strike below the forward and the first one at or above it an error of the forward
    moves the two sides opposite ways: their mean cancels it where the shortest gamma sits.
    """
    level = forward[chain.group]
    otm = np.where(chain.strike >= level, CALL, PUT)
    lines = np.arange(otm.size)
    priced = two_sided & (mid >= np.array([g.tick for g in chain.groups])[chain.group])
    at_money = _money(chain, forward)
    line = np.concatenate((lines, at_money))
    side = np.concatenate((otm, 1 - otm[at_money]))
    usable = priced[side, line] & np.isfinite(level[line])
    line, side = line[usable], side[usable]
    at = chain.group[line]
    solved = implied_vol(
        mid[side, line] / df[at],
        forward[at],
        chain.strike[line],
        years[at],
        np.where(side == CALL, 1.0, -1.0),
    )
    valid = (solved >= convention.iv_min) & (solved <= convention.iv_max)
    both = np.full(two_sided.shape, np.nan)
    both[side[valid], line[valid]] = solved[valid]
    own = both[otm, lines]
    blended = both[:, at_money].mean(axis=0)
    own[at_money] = np.where(np.isnan(blended), own[at_money], blended)
    return own


def _money(chain: Chain, forward: Floats) -> Ints:
    """Return the lines of each live group's last strike below the forward and first at or above."""
    lines: list[int] = []
    for g, level in enumerate(forward):
        if math.isnan(level):
            continue
        start, stop = int(chain.group_start[g]), int(chain.group_start[g + 1])
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
    return np.where(np.isnan(otm), itm, otm)


def _kappa(chain: Chain, own: Floats, vendor: Floats, log_moneyness: Floats) -> Floats:
    """Return (G,) own over vendor volatility near the money: vendors run on another clock."""
    kappa = np.ones(len(chain.groups))
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.abs(log_moneyness) <= NEAR_MONEY, own / vendor, np.nan)
    for g in range(kappa.size):
        known = ratio[chain.group_start[g] : chain.group_start[g + 1]]
        known = known[~np.isnan(known)]
        if known.size >= _KAPPA_LINES_MIN:
            kappa[g] = np.clip(median(known), *_KAPPA_RANGE)
    return kappa


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
