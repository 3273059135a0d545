"""Open interest and the day's volume per contract: where people hold and trade options."""

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.simulator.noise import normal, uniform

_KIND_WEIGHT = {"S": 4.0, "Q": 2.2, "M": 1.6, "W": 1.0}
_OI_SALT, _DAY_SALT, _VOLUME_SALT = 11, 12, 13


def spread_out(strike: Floats, level: float, years: float) -> Floats:
    """Return log(K/S) in usual standard deviations of the time left."""
    return np.asarray(np.log(strike / level) / (0.16 * np.sqrt(years + 0.01)))


def open_interest(
    typical: float,
    kind: str,
    distance: Floats,
    lines: tuple[Floats, Ints, Ints],
    keys: tuple[int, int],
) -> Floats:
    """Return open contracts: more at round strikes, calls above spot and puts below it.

    `lines` are strike, right and identity; `keys` the seed and the day's number.
    """
    strike, right, identity = lines
    centre = np.where(right > 0, 0.7, -0.9)
    hump = np.exp(-0.5 * ((distance - centre) / np.where(right > 0, 1.3, 1.7)) ** 2)
    round_strike = 1 + 2.0 * (np.mod(strike, 50) == 0) + 3.0 * (np.mod(strike, 100) == 0)
    lasting = np.exp(1.1 * normal(keys[0], _OI_SALT, identity))
    today = np.exp(0.08 * normal(keys[0], _DAY_SALT, keys[1], identity))
    weight = 0.045 * typical * _KIND_WEIGHT[kind]
    return np.asarray(np.floor(weight * (hump + 0.004) * round_strike * lasting * today))


def day_volume(
    held: Floats, distance: Floats, days_left: int, identity: Ints, keys: tuple[int, int]
) -> Floats:
    """Return the contracts that a whole day will trade, as real numbers."""
    busy = np.exp(-0.5 * (distance / 0.9) ** 2) * (4.0 if days_left == 0 else 1.0 / (1 + days_left))
    noise = np.exp(0.9 * normal(keys[0], _VOLUME_SALT, keys[1], identity))
    return np.asarray((held + 60 * busy) * (0.05 + 1.2 * busy) * noise)


def traded(whole: Floats, part_of_day: float, identity: Ints) -> Floats:
    """Return the contracts traded so far; busiest at the open and the close."""
    elapsed = part_of_day + 0.12 * np.sin(2 * np.pi * part_of_day)
    phase = uniform(_VOLUME_SALT, identity)
    return np.asarray(np.floor(whole * elapsed + phase))
