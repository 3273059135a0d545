"""Black-Scholes-Merton: price and greeks of European options on a spot with a dividend yield.

Per unit of the underlying; `rate` and `dividend` continuous, `t` in years, `sigma` per year as a
fraction, `right` +1 for calls and -1 for puts. All arguments broadcast. With F = S exp((r-q)t) the
greeks are Black-76's by the chain rule, charm excepted: here spot is held, there the forward.
Source: R. Merton, "Theory of rational option pricing", Bell J. Economics 4 (1973) 141-183.
"""

import numpy as np
from scipy.special import ndtr

from gex_pipeline.market.arrays import Floats
from gex_pipeline.options import black76


def forward(spot: Floats, t: Floats, rate: float, dividend: float) -> Floats:
    """Return S exp((r-q)t)."""
    return np.asarray(spot * np.exp((rate - dividend) * t))


def price(
    spot: Floats,
    strike: Floats,
    t: Floats,
    rate: float,
    dividend: float,
    sigma: Floats,
    right: Floats,
) -> Floats:
    """Return the price today."""
    return black76.price(forward(spot, t, rate, dividend), strike, t, rate, sigma, right)


def delta(
    spot: Floats,
    strike: Floats,
    t: Floats,
    rate: float,
    dividend: float,
    sigma: Floats,
    right: Floats,
) -> Floats:
    """Return d price / d spot."""
    d = black76.d1(forward(spot, t, rate, dividend), strike, t, sigma)
    return np.asarray(np.exp(-dividend * t) * right * ndtr(right * d))


def gamma(
    spot: Floats, strike: Floats, t: Floats, rate: float, dividend: float, sigma: Floats
) -> Floats:
    """Return d delta / d spot, the same for calls and puts and never negative."""
    d = black76.d1(forward(spot, t, rate, dividend), strike, t, sigma)
    return np.asarray(np.exp(-dividend * t) * black76.density(d) / (spot * sigma * np.sqrt(t)))


def vanna(
    spot: Floats, strike: Floats, t: Floats, rate: float, dividend: float, sigma: Floats
) -> Floats:
    """Return d delta / d sigma, per 1.00 of volatility."""
    d = black76.d1(forward(spot, t, rate, dividend), strike, t, sigma)
    d2 = d - sigma * np.sqrt(t)
    return np.asarray(-np.exp(-dividend * t) * black76.density(d) * d2 / sigma)


def charm(
    spot: Floats,
    strike: Floats,
    t: Floats,
    rate: float,
    dividend: float,
    sigma: Floats,
    right: Floats,
) -> Floats:
    """Return -d delta / d t at a fixed spot, per year of calendar time passing."""
    stdev = sigma * np.sqrt(t)
    d = black76.d1(forward(spot, t, rate, dividend), strike, t, sigma)
    carry = right * dividend * ndtr(right * d)
    drift = (2 * (rate - dividend) * t - (d - stdev) * stdev) / (2 * t * stdev)
    return np.asarray(np.exp(-dividend * t) * (carry - black76.density(d) * drift))
