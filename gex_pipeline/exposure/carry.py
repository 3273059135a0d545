"""Carry: the interest rate and each expiry's forward, as the option prices imply them."""

import datetime
import math
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.options.forward import (
    Forward,
    ParityQuotes,
    carry_gap,
    median,
    parity_forward,
    parity_quotes,
    parity_rate,
)
from gex_pipeline.options.time_to_expiry import YearsToExpiry

SHORT_YEARS: Final = 45 / 365
"""Groups within 45 days carry the spot check and the near-money checks."""
_RATE_RANGE: Final = (-0.02, 0.15)
_RATE_GROUPS_MIN: Final = 3


class RateChoice(msgspec.Struct, frozen=True):
    """A continuous interest rate and where it came from: implied, config, parent, zero."""

    value: float
    source: str


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """What the user knows better than a chain that implies nothing."""

    rate: RateChoice | None = None
    """A configured curve's rate, or the parent index's."""
    dividend: float | None = None
    """Continuous yield, for forwards that neither parity nor a neighbour gives."""


NOTHING_CONFIGURED: Final = Configured()


class Carry(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rate and forwards of one chain; G groups."""

    rate: RateChoice
    df: Floats
    """(G,) discount factor."""
    forwards: tuple[Forward | None, ...]
    """(G,) None for an expired group."""
    forward: Floats
    """(G,) NaN for an expired group."""
    gap: float | None
    """How far spot stands from the parity forwards within 45 days, a log; None without any."""


def find_carry(
    chain: Chain,
    time: YearsToExpiry,
    two_sided: Bools,
    convention: Convention,
    configured: Configured = NOTHING_CONFIGURED,
) -> Carry:
    """Return rate and forwards of all unexpired groups.

    Forwards fall back, in order, to the sibling root's carry, the neighbouring expiries', the rate
    less a configured dividend yield, and spot; the rate to the configured one, and zero.
    """
    fallback, dividend = configured.rate, configured.dividend
    rule = convention.parity
    mid, spread, start = chain.mid, chain.ask - chain.bid, chain.group_start
    quotes = parity_quotes(chain.strike, mid, spread, two_sided, start, rule.spread_max)
    rate = _implied_rate(chain, time, quotes, convention) or fallback or RateChoice(0.0, "zero")
    df = np.exp(-rate.value * time.years)
    found = [
        parity_forward(quotes[g], chain.spot, float(time.years[g]), float(df[g]), rule)
        if time.live[g]
        else None
        for g in range(len(chain.groups))
    ]
    forwards = tuple(
        (
            _fallback(chain, time.years, found, g)
            or _carried(chain.spot, float(time.years[g]), rate.value, dividend, one)
        )
        if isinstance(one, str)
        else one
        for g, one in enumerate(found)
    )
    return Carry(
        rate=rate,
        df=df,
        forwards=forwards,
        forward=np.array([f.value if f else math.nan for f in forwards], dtype=np.float64),
        gap=spot_gap(chain, time.years, forwards, rate.value, time.live),
    )


def spot_gap(
    chain: Chain,
    years: Floats,
    forwards: tuple[Forward | None, ...],
    rate: float,
    scope: Bools,
) -> float | None:
    """Return the gap between spot and the scope's parity forwards within 45 days, a log."""
    known = [
        (float(years[g]), forward.value)
        for g, forward in enumerate(forwards)
        if scope[g] and forward and forward.method == "parity" and years[g] <= SHORT_YEARS
    ]
    t, value = np.array(known, dtype=np.float64).reshape(-1, 2).T
    return carry_gap(t, np.log(value / chain.spot), rate)


def _implied_rate(
    chain: Chain, time: YearsToExpiry, quotes: tuple[ParityQuotes, ...], convention: Convention
) -> RateChoice | None:
    """Return the median of the parity slopes of European groups between 30 days and 1.5 years."""
    shortest, longest = convention.rate_years
    window, least = convention.rate_window, convention.rate_strikes_min
    rates = [
        parity_rate(quotes[g], chain.spot, float(time.years[g]), window, least)
        for g, group in enumerate(chain.groups)
        if group.european and time.live[g] and shortest <= time.years[g] <= longest
    ]
    known = np.array([rate for rate in rates if math.isfinite(rate)])
    if known.size < _RATE_GROUPS_MIN:
        return None
    low, high = _RATE_RANGE
    value = median(known)
    return RateChoice(value, "implied") if low <= value <= high else None


def _fallback(
    chain: Chain, years: Floats, found: list[Forward | str | None], group: int
) -> Forward | None:
    """Return the sibling root's or the neighbours' carry; None without a parity forward at all."""
    reason = str(found[group])
    carry = {
        g: math.log(forward.value / chain.spot)
        for g, forward in enumerate(found)
        if isinstance(forward, Forward)
    }
    if not carry:
        return None
    date = chain.groups[group].expiry
    sibling = next((g for g in carry if chain.groups[g].expiry == date), None)
    if sibling is not None:
        value = chain.spot * math.exp(carry[sibling] * float(years[group] / years[sibling]))
        return Forward(value=value, method="sibling", reason=reason)
    value = chain.spot * math.exp(_neighbour_carry(chain, years, carry, group))
    return Forward(value=value, method="neighbour", reason=reason)


def _carried(
    spot: float, years: float, rate: float, dividend: float | None, reason: str
) -> Forward:
    """Return the forward of a chain without one parity forward: carried, or spot itself."""
    if dividend is None:
        return Forward(value=spot, method="zero", reason=reason)
    value = spot * math.exp((rate - dividend) * years)
    return Forward(value=value, method="rate", reason=reason)


def _neighbour_carry(chain: Chain, years: Floats, carry: dict[int, float], group: int) -> float:
    """Return log(F/S): linear in time between the parity groups around, constant carry outside."""

    def place(g: int) -> tuple[float, datetime.date, str]:
        return float(years[g]), chain.groups[g].expiry, chain.groups[g].root

    here, t = place(group), float(years[group])
    low = max((g for g in carry if place(g) < here), key=place, default=None)
    high = min((g for g in carry if place(g) > here), key=place, default=None)
    if low is None or high is None:
        nearest = next(g for g in (low, high) if g is not None)
        return carry[nearest] * t / float(years[nearest])
    span = float(years[high] - years[low])
    weight = (t - float(years[low])) / span if span > 0 else 0.0
    return carry[low] + weight * (carry[high] - carry[low])
