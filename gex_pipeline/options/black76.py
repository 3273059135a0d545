"""Black-76: price and greeks of European options on a forward.

Everything is per unit of the underlying, continuous rates, `t` in years, `sigma` per year as a
fraction, `right` +1 for calls and -1 for puts. All arguments broadcast.
Source: F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976) 167-179.
"""

import math

import numpy as np
from scipy.special import ndtr

from gex_pipeline.market.arrays import Floats

INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def d1(forward: Floats, strike: Floats, t: Floats, sigma: Floats) -> Floats:
    """Return log(F/K)/(sigma sqrt t) + sigma sqrt(t)/2; d2 is this less sigma sqrt(t)."""
    stdev = sigma * np.sqrt(t)
    return np.log(forward / strike) / stdev + stdev / 2


def density(d: Floats) -> Floats:
    """Return the standard normal density at `d`."""
    return np.exp(-0.5 * d * d) * INV_SQRT_2PI


def price(
    forward: Floats, strike: Floats, t: Floats, rate: float, sigma: Floats, right: Floats
) -> Floats:
    """Return the discounted price, in the forward's currency."""
    d = d1(forward, strike, t, sigma)
    inner = forward * ndtr(right * d) - strike * ndtr(right * (d - sigma * np.sqrt(t)))
    return np.asarray(np.exp(-rate * t) * right * inner)


def delta(
    forward: Floats, strike: Floats, t: Floats, rate: float, sigma: Floats, right: Floats
) -> Floats:
    """Return d price / d forward."""
    d = d1(forward, strike, t, sigma)
    return np.asarray(np.exp(-rate * t) * right * ndtr(right * d))


def gamma(forward: Floats, strike: Floats, t: Floats, rate: float, sigma: Floats) -> Floats:
    """Return d delta / d forward, the same for calls and puts and never negative."""
    d = d1(forward, strike, t, sigma)
    return np.asarray(np.exp(-rate * t) * density(d) / (forward * sigma * np.sqrt(t)))


def vanna(forward: Floats, strike: Floats, t: Floats, rate: float, sigma: Floats) -> Floats:
    """Return d delta / d sigma, per 1.00 of volatility (divide by 100 for a vol point)."""
    d = d1(forward, strike, t, sigma)
    return np.asarray(-np.exp(-rate * t) * density(d) * (d - sigma * np.sqrt(t)) / sigma)


def charm(
    forward: Floats, strike: Floats, t: Floats, rate: float, sigma: Floats, right: Floats
) -> Floats:
    """Return -d delta / d t at a fixed forward, per year of calendar time passing."""
    d = d1(forward, strike, t, sigma)
    d2 = d - sigma * np.sqrt(t)
    decay = right * rate * ndtr(right * d) + density(d) * d2 / (2 * t)
    return np.asarray(np.exp(-rate * t) * decay)
