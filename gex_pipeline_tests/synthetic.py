"""Synthetic option chains: prices, greeks and volatilities agree with one another."""

import datetime

import numpy as np

from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.options import black76
from gex_pipeline.options.time_to_expiry import years_to_expiry

DAY = datetime.date(2025, 6, 2)
ASOF_NS = sessions.et_ns(DAY, 10, 30)
RATE = 0.045
DIVIDEND = 0.013
_DAILY, _WEEKLY = 10, 8


def expiries(count: int, first: datetime.date = DAY) -> list[datetime.date]:
    """Return trading days as an index lists them: ten days, eight Fridays, then monthly."""
    days = [sessions.trading_day_on_or_after(first)]
    while len(days) < min(count, _DAILY):
        days.append(sessions.next_trading_day(days[-1]))
    day = days[-1]
    while len(days) < min(count, _DAILY + _WEEKLY):
        day += datetime.timedelta(days=7 - (day.weekday() - 4) % 7)
        days.append(sessions.settlement_date(day))
    while len(days) < count:
        day = sessions.standard_opex(day + datetime.timedelta(days=1))
        days.append(day)
    return days


def smile(moneyness: Floats, years: Floats) -> Floats:
    """Return a volatility for log(K/F): a skew that flattens with time, 0.06 to 1.2."""
    slope = moneyness / np.sqrt(years + 0.02)
    return np.clip(0.14 + 0.03 * np.sqrt(years) - 0.16 * slope + 0.25 * slope**2, 0.06, 1.2)


def synthetic_chain(
    contracts: int = 2000,
    dates: int = 8,
    *,
    spot: float = 6000.0,
    seed: int = 1,
    tick: float = 0.05,
    symbol: str = "SPX",
) -> OptionChain:
    """Return a chain of SPXW (or the symbol's own root) of `contracts` rows, an even number.

    Mids are Black-76 prices at F = S exp((r - q) T), rounded outwards to the tick; the vendor's
    volatility is exact and its gamma printed to four decimals, as vendors do.
    """
    rng = np.random.default_rng(seed)
    root = "SPXW" if symbol == "SPX" else symbol
    lines = [len(part) for part in np.array_split(np.arange(contracts // 2), dates)]
    days = expiries(dates)
    settle = np.array([sessions.settlement_ns(root, day) for day in days])
    years = np.repeat(years_to_expiry(settle, ASOF_NS, 5.0).years, lines)
    expiry = np.repeat(np.array(days, dtype="datetime64[D]"), lines)
    step = 5.0 if spot > 1000 else 1.0
    strike = np.concatenate([step * (round(spot / step) + np.arange(n) - n // 2) for n in lines])
    forward = spot * np.exp((RATE - DIVIDEND) * years)
    iv = smile(np.log(strike / forward), years)
    gamma = black76.gamma(forward, strike, years, RATE, iv) * (forward / spot) ** 2
    bid, ask = _quotes(rng, forward, strike, years, iv, tick)
    oi = _contracts(rng, np.log(strike / spot), years, mean=2500, spread=1.0)
    volume = _contracts(rng, np.log(strike / spot), years, mean=700, spread=0.5)
    both = np.concatenate
    return OptionChain(
        symbol=symbol,
        source="synthetic",
        spot=spot,
        ts_source_ns=ASOF_NS + 15 * 60 * sessions.SECOND_NS,
        root=np.full(2 * strike.size, root),
        expiry=both((expiry, expiry)),
        right=np.repeat(np.array([1, -1]), strike.size),
        strike=both((strike, strike)),
        bid=bid.ravel(),
        ask=ask.ravel(),
        iv=both((iv, iv)),
        gamma=np.asarray(np.round(np.tile(gamma, 2), 4), dtype=np.float64),
        open_interest=oi.ravel(),
        volume=volume.ravel(),
        ts_quote_ns=np.zeros(2 * strike.size, dtype=np.int64),
        settlement=np.full(2 * strike.size, ""),
    )


def _contracts(
    rng: np.random.Generator, moneyness: Floats, years: Floats, mean: float, spread: float
) -> Floats:
    """Return (2, rows) counts: calls gather above spot, puts below and wider, both lumpy."""
    width = spread * (0.02 + 0.07 * np.sqrt(years))
    calls = np.exp(-0.5 * ((moneyness - 0.6 * width) / width) ** 2)
    puts = 1.1 * np.exp(-0.5 * ((moneyness + 1.1 * width) / (1.4 * width)) ** 2)
    lumps = rng.gamma(2.0, 0.5, size=(2, moneyness.size))
    counts = rng.poisson(mean * lumps * np.stack((calls, puts)))
    return np.asarray(counts, dtype=np.float64)


def _quotes(
    rng: np.random.Generator,
    forward: Floats,
    strike: Floats,
    years: Floats,
    iv: Floats,
    tick: float,
) -> tuple[Floats, Floats]:
    """Return (2, rows) bids and asks around the fair prices of calls and puts."""
    price = np.stack(
        [
            black76.price(forward, strike, years, RATE, iv, np.full(strike.size, right))
            for right in (1.0, -1.0)
        ]
    )
    half = tick * (0.5 + rng.integers(0, 3, size=price.shape)) + 0.002 * price
    bid = np.maximum(np.floor((price - half) / tick), 0) * tick
    return np.round(bid, 4), np.round(np.ceil((price + half) / tick) * tick, 4)


def quote_table(chain: OptionChain, name: str) -> str:
    """Return the chain as a Cboe quote table (CSV), calls and puts of a strike on one row."""
    lines = len(chain) // 2
    side = "Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"
    made = sessions.et_datetime(chain.ts_source_ns)
    rows = ["", f"{name},Last: {chain.spot:g},Change:  0"]
    rows.append(f'"Date: {made:%B %-d, %Y at %-I:%M %p} EDT",Bid: 0,Ask: 0,Size: 1*1,Volume: 0')
    rows.append(f"Expiration Date,Calls,{side},Strike,Puts,{side}")
    for line in range(lines):
        day: datetime.date = chain.expiry[line].item()
        columns = [f"{day:%a %b %d %Y}"]
        for at, right in ((line, "C"), (line + lines, "P")):
            symbol = f"{chain.root[at]}{day:%y%m%d}{right}{round(chain.strike[at] * 1000):08d}"
            columns += [symbol, *_printed(chain, at)]
            columns += [f"{chain.strike[at]:.2f}"] if right == "C" else []
        rows.append(",".join(columns))
    return "\n".join(rows) + "\n"


def _printed(chain: OptionChain, at: int) -> list[str]:
    """Return the nine columns of one side as Cboe prints them."""
    numbers = ["0", "0", f"{chain.bid[at]:g}", f"{chain.ask[at]:g}", f"{chain.volume[at]:g}"]
    greeks = [f"{chain.iv[at]:.4f}", "0", f"{chain.gamma[at]:.4f}"]
    return numbers + greeks + [f"{chain.open_interest[at]:g}"]
