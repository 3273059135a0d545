"""Forwards and the interest rate that option prices imply, by put-call parity.

C - P = df (F - K) holds for European options at every strike. The forward comes from the strikes
where call and put are worth about the same, the rate from the slope over many strikes. American
options obey parity only nearly: their forward is used, their slope never.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints

Method = Literal["parity", "sibling", "neighbour", "rate", "zero"]


class ParityRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many quotes a parity forward needs and when it is refused."""

    strikes: int
    """Take this many strikes with the smallest |C - P|."""
    strikes_min: int
    spread_max: float
    """Widest usable ask - bid, as a share of the mid."""
    mad_max: float
    """Largest median |f - F| as a share of spot."""
    carry_base: float
    carry_per_year: float
    """Refused when |log(F/S)| is above base + per_year * t."""


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """The forward of one expiry and root, and how it came about."""

    value: float
    """Index points."""
    method: Method
    reason: str = ""
    """Why parity gave nothing: quotes:n, dispersion:x, absurd:F, one_side; "" for parity."""
    strikes: int = 0
    mad: float | None = None
    """Median |f - F| over the strikes used, points."""


class ParityQuotes(msgspec.Struct, frozen=True, eq=False):
    """Strikes of one expiry and root whose call and put are quoted on both sides, ascending."""

    strike: Floats
    gap: Floats
    """C - P, by the mids."""
    tight: Bools
    """Neither spread is too wide a share of its mid."""


def parity_quotes(
    strike: Floats, mid: Floats, spread: Floats, two_sided: Bools, start: Ints, spread_max: float
) -> tuple[ParityQuotes, ...]:
    """Return the quotes of each group of lines; what is by side is (2, L), calls and puts.

    `spread` is ask - bid, `two_sided` says which have a usable one of either, `start` is (G + 1,),
    the first line of each group, and `spread_max` the widest spread as a share of the mid.
    """
    at = np.flatnonzero(two_sided[0] & two_sided[1])
    strike, (call, put) = strike[at], mid[:, at]
    narrow = spread[:, at] <= spread_max * mid[:, at]
    gap, tight = call - put, narrow[0] & narrow[1]
    own = (slice(*ends) for ends in pairwise(np.searchsorted(at, start).tolist()))
    return tuple(ParityQuotes(strike[lines], gap[lines], tight[lines]) for lines in own)


def parity_forward(
    quotes: ParityQuotes, spot: float, t: float, df: float, rule: ParityRule
) -> Forward | str:
    """Return the forward as the median of K + (C - P)/df, or the reason why there is none.

    The strikes are those with the smallest |C - P| and not the smallest |K - S|: with a stale spot
    the latter would pick one side only.
    """
    usable = quotes.tight.nonzero()[0]
    if usable.size < rule.strikes_min:
        return f"quotes:{usable.size}"
    gap = quotes.gap[usable]
    nearest = np.abs(gap).argsort(kind="stable")[: rule.strikes]
    strike = quotes.strike[usable[nearest]].tolist()  # so few that plain numbers are faster
    candidates = [k + g / df for k, g in zip(strike, gap[nearest].tolist(), strict=True)]
    value = _middle(candidates)
    mad = _middle([abs(candidate - value) for candidate in candidates])
    if mad > rule.mad_max * spot:
        return f"dispersion:{mad / spot:.5f}"
    if not (value > 0 and abs(math.log(value / spot)) <= rule.carry_base + rule.carry_per_year * t):
        return f"absurd:{value:.2f}"
    if not min(strike) <= value <= max(strike):
        return "one_side"
    return Forward(value=value, method="parity", strikes=len(strike), mad=mad)


def parity_rate(quotes: ParityQuotes, spot: float, t: float, window: float, least: int) -> float:
    """Return -log(D)/t, D being minus the least-squares slope of C - P on the strike; else NaN.

    Uses the strikes with |log(K/S)| <= window; at least `least` of them. European options only.
    """
    near = np.abs(np.log(quotes.strike / spot)) <= window
    if np.count_nonzero(near) < least:
        return math.nan
    strike, gap = quotes.strike[near], quotes.gap[near]
    centred = strike - strike.sum() / strike.size
    discount = -float(centred @ (gap - gap.sum() / gap.size)) / float(centred @ centred)
    return -math.log(discount) / t if discount > 0 else math.nan


def carry_gap(t: Floats, log_carry: Floats, rate: float) -> float | None:
    """Return how far spot stands from the options' own view of it, as a log; None without groups.

    The median of log(F/S) - b t over the groups given, b their Theil-Sen slope over pairs more
    than a day apart (at least three pairs, else b = `rate`). Not 0 means that spot and option
    quotes are of different moments, or a dividend that carry does not model.
    """
    if not t.size:
        return None
    first, second = _pairs(t.size)
    span = t[second] - t[first]
    apart = np.abs(span) > 1 / 365
    slope = rate
    if np.count_nonzero(apart) >= 3:
        rise = log_carry[second] - log_carry[first]
        slope = median(rise[apart] / span[apart])
    return median(log_carry - slope * t)


@lru_cache(maxsize=256)
def _pairs(count: int) -> tuple[Ints, Ints]:
    first, second = np.triu_indices(count, k=1)
    return first, second


def _middle(values: list[float]) -> float:
    """Return what `median` does."""
    half, ordered = len(values) // 2, sorted(values)
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median(values: Floats) -> float:
    """Return the middle value, or the mean of the middle two; numpy's costs ten times this here."""
    half = values.size // 2
    ordered = np.sort(values)
    return float(ordered[half] if values.size % 2 else (ordered[half - 1] + ordered[half]) / 2)
