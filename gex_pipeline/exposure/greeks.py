"""Greeks of every usable line at spot, and what one contract of it exposes.

Formulas: docs/conventions.md, "Greeks". They are Black-76's greeks on the implied forward, turned
to spot with F proportional to S; charm holds the forward, because log(F/S)/T explodes when spot
and quotes are minutes apart.
"""

import math
from typing import Final

import msgspec
import numpy as np
from scipy.special import ndtr

from gex_pipeline.exposure.chain import CALL, MULTIPLIER, PUT, Chain
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.options.black76 import INV_SQRT_2PI

ONE_PERCENT: Final = 0.01
DAYS_PER_YEAR: Final = 365


class LineGreeks(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Per contract held long, at spot; N usable lines of the chain in canonical order."""

    spot: float
    line: Ints
    """(N,) index into the chain's lines."""
    group: Ints
    """(N,) index into the chain's groups."""
    slope: Floats
    """(N,) 1/(sigma sqrt T): d1 moves by slope x when spot moves by a factor exp(x)."""
    d1: Floats
    iv: Floats
    carry: Floats
    """(N,) df F/S, the spot price of the forward."""
    gamma: Floats
    """Per $1 of spot."""


class Sensitivities(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The other greeks of the same lines; the put's delta and charm differ by a constant."""

    call_delta: Floats
    put_delta: Floats
    vanna: Floats
    """Per 1.00 of volatility."""
    call_charm: Floats
    """Per year."""
    put_charm: Floats


def line_greeks(chain: Chain, smile: Smile) -> LineGreeks:
    """Return gamma of every unexpired line that has a volatility."""
    line = np.flatnonzero(smile.live[chain.group] & ~np.isnan(smile.iv))
    group = chain.group[line]
    iv = smile.iv[line]
    stdev = iv * np.sqrt(smile.years)[group]
    slope = 1 / stdev
    d1 = stdev / 2 - smile.log_moneyness[line] * slope
    carry = (smile.carry.df * smile.carry.forward / chain.spot)[group]
    gamma = carry * slope * np.exp(-0.5 * d1 * d1) * (INV_SQRT_2PI / chain.spot)
    return LineGreeks(
        spot=chain.spot,
        line=line,
        group=group,
        slope=slope,
        d1=d1,
        iv=iv,
        carry=carry,
        gamma=gamma,
    )


def sensitivities(greeks: LineGreeks, smile: Smile) -> Sensitivities:
    """Return delta, vanna and charm of the same lines."""
    years = smile.years[greeks.group]
    d2 = greeks.d1 - 1 / greeks.slope
    call_delta = greeks.carry * ndtr(greeks.d1)
    dense = greeks.gamma * d2 * (greeks.spot / greeks.slope)
    decay = dense / (2 * years)
    rate = smile.carry.rate.value
    return Sensitivities(
        call_delta=call_delta,
        put_delta=call_delta - greeks.carry,
        vanna=-dense / greeks.iv,
        call_charm=decay + rate * call_delta,
        put_charm=decay + rate * (call_delta - greeks.carry),
    )


class LineExposure(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Dollars per line under one weight, dealers long calls and short puts."""

    call_gex: Floats
    """(N,) $ of delta per +1% of spot; never negative."""
    put_gex: Floats
    """Never positive."""
    dex: Floats
    """$ of delta."""
    vex: Floats
    """$ of delta per +1 volatility point."""
    cex: Floats
    """$ of delta per calendar day."""
    bell: Floats
    """(N,) c of the profile: GEX(x) = S exp(x) sum c exp(-(slope x + d1)^2 / 2)."""


def line_exposure(greeks: LineGreeks, other: Sensitivities, weight: Floats) -> LineExposure:
    """Return the exposures of `weight` contracts, (2, L) open interest or volume."""
    calls, puts = weight[CALL, greeks.line], weight[PUT, greeks.line]
    net = calls - puts
    dollars = MULTIPLIER * greeks.spot
    unit = greeks.gamma * (dollars * greeks.spot * ONE_PERCENT)
    return LineExposure(
        call_gex=unit * calls,
        put_gex=0.0 - unit * puts,
        dex=(other.call_delta * calls - other.put_delta * puts) * dollars,
        vex=other.vanna * net * (dollars * ONE_PERCENT),
        cex=(other.call_charm * calls - other.put_charm * puts) * (dollars / DAYS_PER_YEAR),
        bell=bell(greeks, net),
    )


def bell(greeks: LineGreeks, net: Floats) -> Floats:
    """Return c of the profile for `net` calls less puts."""
    height = MULTIPLIER * ONE_PERCENT / math.sqrt(2 * math.pi)
    return net * greeks.carry * greeks.slope * height
