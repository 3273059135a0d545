"""Evidence: what each group of a chain says of its own quotes, gathered once for all scopes."""

from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.exposure.greeks import LineExposure, LineGreeks
from gex_pipeline.exposure.smile import NEAR_MONEY, NONE, OWN, VENDOR, Smile
from gex_pipeline.exposure.tallies import per_group
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.options.black76 import INV_SQRT_2PI

_VENDOR_WORTH: Final = 0.7
_BLUR_MAX: Final = 1e6
"""A worthless vega leaves a volatility unknown: no need to say by how much more than this."""
_VENDOR_WORTH_AMERICAN: Final = 0.9
_DEVIATIONS: Final = 2.0
_LEAST_LINES: Final = 2
_FORWARD_WORTH: Final = {"parity": 1.0, "sibling": 0.5, "neighbour": 0.5}


class Evidence(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What each group says of its own quotes, (G,) unless said; scopes only sum over it."""

    chain: Chain
    smile: Smile
    oi: Floats
    """(3, G) open interest in the window, by source of the volatility: NONE, OWN, VENDOR."""
    greeks_worth: Floats
    """The same, each contract counted by what its source is worth."""
    forward_worth: Floats
    parity_oi: Floats
    """Open interest in the window of groups with a parity forward."""
    gross: Floats
    """|call| + |put| GEX by open interest,"""
    streamed: Floats
    """and of it what a stream that is heard told last."""
    excluded_contracts: Floats
    excluded_oi: Floats
    expired_contracts: int
    expired_oi: float
    near: Ints
    """(P,) lines within 5% of their forward; on the day of expiry, within two deviations of it."""
    near_start: Ints
    """(G + 1,) the first of them in each group."""
    near_two_sided: Bools
    """(P,) their out-of-the-money side has a usable bid and ask."""
    near_blur: Floats
    """(P,) half the spread as a share of volatility; NaN where not two-sided."""
    near_oi: Floats
    """(P,)"""


def gather_evidence(
    chain: Chain,
    smile: Smile,
    convention: Convention,
    greeks: LineGreeks,
    exposure: LineExposure,
) -> Evidence:
    """Return the evidence of all groups of a chain; `exposure` is by open interest."""
    count = len(chain.groups)
    oi = chain.open_interest.sum(axis=0)
    window = np.abs(np.log(chain.strike / chain.spot)) <= convention.window
    key = chain.group + count * smile.iv_source
    sums = np.bincount(key, weights=oi * window, minlength=3 * count)
    by_source = sums.astype(np.float64, copy=False).reshape(3, count)
    european = np.array([group.european for group in chain.groups], dtype=bool)
    vendor = np.where(european, _VENDOR_WORTH, _VENDOR_WORTH_AMERICAN)
    worth = np.array([_FORWARD_WORTH.get(f.method, 0.0) if f else 0.0 for f in smile.forwards])
    excluded = chain.listed & (smile.iv_source == NONE)
    expired = chain.listed & ~smile.live[chain.group]
    near = _near_money(chain, smile)
    two_sided, blur = _near_quotes(chain, smile, near)
    parity = np.array([f is not None and f.method == "parity" for f in smile.forwards])
    gross, streamed = _streamed(chain, greeks, exposure)
    return Evidence(
        chain=chain,
        smile=smile,
        oi=by_source,
        greeks_worth=by_source[OWN] + vendor * by_source[VENDOR],
        forward_worth=worth * by_source.sum(axis=0),
        parity_oi=parity * by_source.sum(axis=0),
        gross=gross,
        streamed=streamed,
        excluded_contracts=per_group(chain, excluded.sum(axis=0)),
        excluded_oi=per_group(chain, (chain.open_interest * excluded).sum(axis=0)),
        expired_contracts=int(np.count_nonzero(expired)),
        expired_oi=float(chain.open_interest[expired].sum()),
        near=near,
        near_start=np.searchsorted(near, chain.group_start),
        near_two_sided=two_sided,
        near_blur=blur,
        near_oi=oi[near],
    )


def _streamed(chain: Chain, greeks: LineGreeks, exposure: LineExposure) -> tuple[Floats, Floats]:
    """Return (G,) gross GEX, and that of contracts that a stream told of last; 0 of a file."""
    count = len(chain.groups)
    if chain.streamed is None:
        return np.zeros(count), np.zeros(count)
    call, put = chain.streamed[:, greeks.line]
    of_stream = exposure.call_gex * call - exposure.put_gex * put
    gross, streamed = (
        np.bincount(greeks.group, weights=column, minlength=count).astype(np.float64, copy=False)
        for column in (exposure.call_gex - exposure.put_gex, of_stream)
    )
    return gross, streamed


def _near_money(chain: Chain, smile: Smile) -> Ints:
    """Return the lines whose quotes judge the answer: those near their forward.

    Of an expiry of today near is what two standard deviations of the time that is left reach: 95%
    of a bell's gamma. Nobody bids for what lies further out: that is the market, not bad data.
    """
    distance = np.abs(smile.log_moneyness)
    with np.errstate(invalid="ignore"):
        near = distance <= NEAR_MONEY
    today = et_datetime(chain.asof_ns).date()
    for g, group in enumerate(chain.groups):
        if group.settle_date == today and smile.live[g]:
            lines = slice(int(chain.group_start[g]), int(chain.group_start[g + 1]))
            near[lines] &= distance[lines] <= _reach(smile, g, lines)
    return np.flatnonzero(near)


def _reach(smile: Smile, group: int, lines: slice) -> float:
    """Return how far near the money goes on the day of expiry: to the nearest two lines at least.

    Where no volatility is known near the forward it is as far as on any other day.
    """
    distance, iv = np.abs(smile.log_moneyness[lines]), smile.iv[lines]
    known = np.flatnonzero(~np.isnan(iv) & (distance <= NEAR_MONEY))
    if not known.size:
        return NEAR_MONEY
    money = known[np.argmin(distance[known])]
    nearest = np.sort(distance)[:_LEAST_LINES]
    return max(_DEVIATIONS * float(iv[money] * np.sqrt(smile.years[group])), float(nearest[-1]))


def _near_quotes(chain: Chain, smile: Smile, near: Ints) -> tuple[Bools, Floats]:
    """Return which near lines are two-sided out of the money, and their blur of volatility."""
    side = np.where(smile.log_moneyness[near] >= 0, CALL, PUT)
    two_sided = smile.two_sided[side, near]
    at, iv = chain.group[near], smile.iv[near]
    stdev = iv * np.sqrt(smile.years)[at]
    d1 = stdev / 2 - smile.log_moneyness[near] / stdev
    forward = (smile.carry.df * smile.carry.forward)[at]
    vega = forward * np.exp(-0.5 * d1 * d1) * INV_SQRT_2PI * stdev
    spread = np.where(two_sided, chain.ask[side, near] - chain.bid[side, near], np.nan)
    least = np.maximum(spread / 2 / _BLUR_MAX, np.finfo(np.float64).tiny)
    return two_sided, spread / 2 / np.maximum(vega, least)
