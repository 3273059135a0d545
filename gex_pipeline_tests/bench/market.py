"""Events as a market has them: prices that walk on ticks, sizes, greeks and volatilities that move.

Most are option quotes, as on a real tape; contracts near the money move more often than the rest.
"""

import random
from collections.abc import Iterator
from typing import Final

from gex_pipeline.market.events import Event, OptionQuote, Quote, Trade

START_NS: Final = 1_767_625_200_000_000_000
"""Monday, 5 January 2026, 10:00 in New York."""
SHARES: Final = {"option quotes": 0.94, "quotes": 0.05, "trades": 0.01}
UNDERLYINGS: Final = (("SPX", "SPXW", 5012.25), ("NDX", "NDXP", 18_050.5), ("SPY", "SPY", 501.2))
_STRIKES: Final = 400
_TICK: Final = 0.05


class _Contract:
    """One option as it moves."""

    def __init__(self, chance: random.Random, symbol: str, underlying: str) -> None:
        self.symbol, self.underlying = symbol, underlying
        self.bid = round(chance.uniform(1, 80) / _TICK)
        self.spread = chance.choice((1, 2, 2, 3, 4))
        self.sizes = [float(chance.randrange(1, 200)) for _ in range(3)]
        self.iv = chance.uniform(0.08, 0.5)
        self.greeks = [chance.uniform(-1, 1), chance.uniform(0, 0.01), chance.uniform(-9, 0)]
        self.vega = chance.uniform(0, 5)
        self.open_interest = chance.randrange(20_000)
        self.volume = chance.randrange(3_000)

    def move(self, chance: random.Random, ts_ns: int, spot: float) -> OptionQuote:
        """Return the next quote."""
        self.bid = max(1, self.bid + chance.choice((-1, 0, 0, 1)))
        self.spread = max(1, self.spread + chance.choice((-1, 0, 0, 0, 1)))
        self.sizes[chance.randrange(2)] = float(chance.randrange(1, 200))
        self.iv = max(0.01, self.iv + chance.gauss(0, 0.0003))
        delta, gamma, theta = self.greeks
        self.greeks = [
            max(-1.0, min(1.0, delta + chance.gauss(0, 0.001))),
            max(0.0, gamma + chance.gauss(0, 0.00002)),
            theta + chance.gauss(0, 0.01),
        ]
        self.vega += chance.gauss(0, 0.01)
        if chance.random() < 0.1:
            self.volume += chance.randrange(1, 20)
            self.sizes[2] = float(chance.randrange(1, 20))
        bid, ask = self.bid * _TICK, (self.bid + self.spread) * _TICK
        return OptionQuote(
            self.symbol,
            ts_ns // 1_000_000 * 1_000_000,
            ts_ns,
            underlying=self.underlying,
            bid=round(bid, 2),
            ask=round(ask, 2),
            bid_size=self.sizes[0],
            ask_size=self.sizes[1],
            last=round(bid + _TICK, 2),
            last_size=self.sizes[2],
            mark=round((bid + ask) / 2, 3),
            iv=round(self.iv, 5),
            delta=round(self.greeks[0], 4),
            gamma=round(self.greeks[1], 6),
            theta=round(self.greeks[2], 4),
            vega=round(self.vega, 4),
            rho=round(self.greeks[0] / 3, 4),
            open_interest=self.open_interest,
            volume=self.volume,
            underlying_price=spot,
        )


def market(events_per_s: float, seed: int = 1) -> Iterator[Event]:
    """Yield events for ever, so many a second of receipt."""
    chance = random.Random(seed)  # noqa: S311 # a market that is the same each time
    chains = [_chain(chance, *underlying) for underlying in UNDERLYINGS]
    spots = [spot for _, _, spot in UNDERLYINGS]
    options, quotes, _ = SHARES.values()
    number = 0
    while True:
        ts_ns = START_NS + int(number / events_per_s * 1e9)
        which, number = chance.choices(range(len(UNDERLYINGS)), (5, 2, 3))[0], number + 1
        symbol, kind = UNDERLYINGS[which][0], chance.random()
        if kind < options:
            chain = chains[which]
            contract = chain[int(chance.paretovariate(1.0) * 40) % len(chain)]
            yield contract.move(chance, ts_ns, spots[which])
            continue
        spots[which] = spot = round(spots[which] + chance.choice((-1, 0, 1)) / 100, 2)
        sizes = float(chance.randrange(1, 900)), float(chance.randrange(1, 900))
        if kind < options + quotes:
            prices = round(spot - 0.01, 2), round(spot + 0.01, 2)
            yield Quote(
                symbol,
                ts_ns,
                ts_ns,
                bid=prices[0],
                ask=prices[1],
                bid_size=sizes[0],
                ask_size=sizes[1],
            )
        else:
            yield Trade(symbol, ts_ns, ts_ns, price=spot, size=sizes[0], volume=number)


def _chain(chance: random.Random, symbol: str, root: str, spot: float) -> list[_Contract]:
    step = max(1, round(spot / 1000))
    middle = round(spot / step) * step
    strikes = sorted(
        (middle + number * step for number in range(-_STRIKES // 2, _STRIKES // 2)),
        key=lambda strike: abs(strike - spot),
    )
    return [
        _Contract(chance, f"{root:6}2601{day:02d}{right}{strike * 1000:08d}", symbol)
        for strike in strikes
        for day in (5, 6, 7)
        for right in "CP"
    ]
