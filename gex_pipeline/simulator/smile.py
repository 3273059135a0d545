"""Implied volatility per expiry as a curve over moneyness, so that it moves with spot.

A group's curve is a table over z = log(K/F) / (ref sqrt t), in units of its volatility at the money
`ref`. The market's level of volatility, which rises as spot falls, multiplies all of them.
"""

from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.options.time_to_expiry import MINUTES_PER_YEAR

_LAST_Z: Final = 10.0
_STEP_Z: Final = 0.125
Z: Final = np.arange(-_LAST_Z, _LAST_Z + _STEP_Z / 2, _STEP_Z)
T_MIN: Final = 1 / (60 * MINUTES_PER_YEAR)
"""One second, in years."""
_WINGS, _TILT, _ROUND = 0.13, -0.72, 1.4
_KNOWN_MIN = 5


def usual_table(t: Floats) -> Floats:
    """Return the curves of groups that expire after `t` years, a row each; 1 at the money."""
    hyperbola = _TILT * Z + np.sqrt(Z**2 + _ROUND**2) - _ROUND
    steepness = _WINGS * (0.75 + 0.5 * np.exp(-4 * t))
    return 1 + steepness[:, None] * hyperbola


def usual_reference(t: Floats, ratio: float) -> Floats:
    """Return volatilities at the money of expiries after `t` years, a fraction a year."""
    return 0.15 * ratio * (1 + 0.22 * (1 - np.exp(-2.5 * t)) - 0.12 * np.exp(-60 * t))


def fitted_curve(moneyness: Floats, iv: Floats, t: float) -> tuple[float, Floats] | None:
    """Return `ref` and the curve through volatilities at log(K/F); None with too few of them."""
    if moneyness.size < _KNOWN_MIN:
        return None
    order = np.argsort(moneyness, kind="stable")
    moneyness, iv = moneyness[order], iv[order]
    ref = float(np.interp(0.0, moneyness, iv))
    curve = np.interp(Z * ref * np.sqrt(max(t, T_MIN)), moneyness, iv) / ref
    return ref, curve


def volatility(table: Floats, group: Ints, moneyness: Floats, ref: Floats, t: Floats) -> Floats:
    """Return a volatility per contract before the market's level; `ref` and `t` per contract."""
    z = moneyness / (ref * np.sqrt(t))
    place = np.clip((z + _LAST_Z) / _STEP_Z, 0.0, Z.size - 1.000001)
    left = place.astype(np.int64)
    part = place - left
    return ref * (table[group, left] * (1 - part) + table[group, left + 1] * part)
