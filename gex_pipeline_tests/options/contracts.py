"""Random contracts of an index, and finite differences to judge derivatives by."""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import QuantLib

from gex_pipeline.market.arrays import Floats

HOUR = 1 / 8760
"""Years."""


class Contracts(msgspec.Struct, frozen=True, eq=False):
    """Columns of random options under one rate and dividend yield."""

    spot: Floats
    strike: Floats
    t: Floats
    rate: float
    dividend: float
    sigma: Floats
    right: Floats

    @property
    def forward(self) -> Floats:
        """S exp((r-q)t)."""
        return np.asarray(self.spot * np.exp((self.rate - self.dividend) * self.t))


def random_contracts(count: int = 200, seed: int = 7) -> Iterator[Contracts]:
    """Yield eight columns of `count` contracts: one hour to three years, within six deviations."""
    rng = np.random.default_rng(seed)
    for rate, dividend in (
        (0.0, 0.0),
        (0.05, 0.0),
        (0.0, 0.03),
        (0.045, 0.013),
        (0.12, 0.01),
        (0.01, 0.08),
        (-0.01, 0.02),
        (0.054, 0.015),
    ):
        t = np.exp(rng.uniform(np.log(HOUR), np.log(3.0), count))
        sigma = np.exp(rng.uniform(np.log(0.05), np.log(1.5), count))
        spot = rng.uniform(3000, 7000, count)
        depth = rng.uniform(-6, 6, count) * sigma * np.sqrt(t)
        yield Contracts(
            spot=spot,
            strike=spot * np.exp((rate - dividend) * t + depth),
            t=t,
            rate=rate,
            dividend=dividend,
            sigma=sigma,
            right=rng.choice([1.0, -1.0], count),
        )


def calculators(contracts: Contracts) -> list[QuantLib.BlackCalculator]:
    """Return QuantLib's calculator of each contract."""
    discount = np.exp(-contracts.rate * contracts.t)
    stdev = contracts.sigma * np.sqrt(contracts.t)
    kind = {1.0: QuantLib.Option.Call, -1.0: QuantLib.Option.Put}
    columns = (contracts.right, contracts.strike, contracts.forward, stdev, discount)
    return [
        QuantLib.BlackCalculator(QuantLib.PlainVanillaPayoff(kind[right], strike), *rest)
        for right, strike, *rest in zip(*(column.tolist() for column in columns), strict=True)
    ]


def derivative(of: Callable[[Floats], Floats], at: Floats, width: Floats) -> Floats:
    """Return the derivative by five points: the error is of fourth order in 0.1% of `width`."""
    step = 1e-3 * width
    near, far = of(at + step) - of(at - step), of(at + 2 * step) - of(at - 2 * step)
    return np.asarray((8 * near - far) / (12 * step))
