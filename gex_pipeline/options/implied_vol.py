"""Implied volatility from a price, to the last digits, for whole columns at once.

The problem is normalised as P. Jaeckel does in "Let's be rational" (2015): x = -|log(F/K)|,
beta = out-of-the-money price / sqrt(F K), s = sigma sqrt(t), so that

    beta(s) = exp(x/2) N(x/s + s/2) - exp(-x/2) N(x/s - s/2)

is solved for s. Below the inflection point s_c = sqrt(2|x|) the iteration runs on 1/log(beta),
above it on beta itself: both are close to straight lines there, so that Halley's third-order step
needs three to five rounds from the guesses used here. A bracket guards each step.
"""

import math
from typing import Final

import numpy as np
from scipy.special import erfcx, ndtr

from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.options.black76 import INV_SQRT_2PI

SIGMA_MIN: Final = 1e-4
SIGMA_MAX: Final = 20.0
_ROUNDS: Final = 64
_INSIDE: Final = 1 + 1e-5
"""A root within this factor of an end is the end itself, approached by halving."""
_TOLERANCE: Final = 1e-6  # the step is third order: the next one would be below 1e-16
_SQRT_HALF: Final = math.sqrt(0.5)


def implied_vol(
    undiscounted: Floats, forward: Floats, strike: Floats, t: Floats, right: Floats
) -> Floats:
    """Return Black-76 volatilities of prices already divided by the discount factor.

    NaN where the price is at or below intrinsic, at or above its bound (F for a call, K for a
    put), not finite, or outside what volatilities of 0.0001 to 20 can produce. In-the-money prices
    are turned over by parity first: deep in the money that difference holds few digits, which is
    the price's fault and not the solver's.
    """
    undiscounted, forward, strike, t, right = np.broadcast_arrays(
        undiscounted, forward, strike, t, right
    )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        intrinsic = np.maximum(right * (forward - strike), 0.0)
        beta = (undiscounted - intrinsic) / np.sqrt(forward * strike)
        x = -np.abs(np.log(forward / strike))
        root_t = np.sqrt(t)
        solvable = (beta > 0) & (beta < np.exp(x / 2)) & (root_t > 0) & np.isfinite(x)
    sigma = np.full(beta.shape, np.nan)
    stdev = _solve(x[solvable], beta[solvable], root_t[solvable])
    sigma[solvable] = stdev / root_t[solvable]
    return sigma


def normalised_price(x: Floats, s: Floats) -> Floats:
    """Return beta(s) of the module's formula for x <= 0, without cancellation in the far tail."""
    h, half = x / s, s / 2
    return _price(x, h, half, np.exp(-0.5 * (h * h + half * half)))


def _price(x: Floats, h: Floats, half: Floats, bell: Floats) -> Floats:
    """Return the same of h = x/s and s/2; `bell` is exp(-(h^2 + (s/2)^2) / 2)."""
    tail = erfcx(-(h + half) * _SQRT_HALF) - erfcx(-(h - half) * _SQRT_HALF)
    price: Floats = 0.5 * bell * tail
    wide = np.flatnonzero(h + half > 1.0)
    if wide.size:
        x, h, half = x[wide], h[wide], half[wide]
        price[wide] = np.exp(x / 2) * ndtr(h + half) - np.exp(-x / 2) * ndtr(h - half)
    return price


def _solve(x: Floats, beta: Floats, root_t: Floats) -> Floats:
    """Return s for each normalised price; NaN where the bracket holds no root."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        low, high = SIGMA_MIN * root_t, SIGMA_MAX * root_t
        s, below = _guess(x, beta)
        s = np.clip(s, low, high)
        active = np.arange(x.size)
        for _ in range(_ROUNDS):
            moved, low[active], high[active] = _halley_step(
                x[active], beta[active], s[active], low[active], high[active], below[active]
            )
            done = np.abs(moved - s[active]) <= _TOLERANCE * moved
            s[active] = moved
            active = active[~done]
            if not active.size:
                break
        inside = (s > SIGMA_MIN * root_t * _INSIDE) & (s < SIGMA_MAX * root_t / _INSIDE)
    return np.where(inside, s, np.nan)


def _guess(x: Floats, beta: Floats) -> tuple[Floats, Bools]:
    """Return a first s and which rows lie below the inflection point s_c = sqrt(2|x|).

    Below it the leading term log(beta) ~ -x^2/(2 s^2) is matched at s_c; above it one Newton step
    from s_c stays below the root, because beta is concave there. At the money s = sqrt(2 pi) beta.
    """
    s_c = np.sqrt(-2 * x)
    beta_c = normalised_price(x, np.where(s_c > 0, s_c, 1.0))
    beta_c = np.where(s_c > 0, beta_c, 0.0)
    below = beta < beta_c
    tail = -x / np.sqrt(-x / 2 + 2 * np.log(beta_c / beta))
    slope = np.exp(x / 2) * INV_SQRT_2PI
    return np.where(below, tail, s_c + (beta - beta_c) / slope), below


def _halley_step(
    x: Floats, beta: Floats, s: Floats, low: Floats, high: Floats, below: Bools
) -> tuple[Floats, Floats, Floats]:
    """Return the next s and the bracket around the root that this round has proved."""
    h, half = x / s, s / 2
    h2, half2 = h * h, half * half
    bell = np.exp(-0.5 * (h2 + half2))
    value = _price(x, h, half, bell)
    slope = bell * INV_SQRT_2PI
    bend = (h2 - half2) / s
    log_value = np.log(value)
    log_slope = slope / value
    log_beta = np.log(beta)
    newton = np.where(
        below,
        log_value * (log_beta - log_value) / (log_slope * log_beta),
        (beta - value) / slope,
    )
    curvature = np.where(below, bend - log_slope * (1 + 2 / log_value), bend)
    correction = 1 + 0.5 * newton * curvature
    step = newton / np.where(correction > 0.1, correction, 1.0)
    low = np.where(value <= beta, np.maximum(low, s), low)
    high = np.where(value >= beta, np.minimum(high, s), high)
    moved = s + step
    outside = ~((moved >= low) & (moved <= high))
    return np.where(outside, 0.5 * (low + high), moved), low, high
