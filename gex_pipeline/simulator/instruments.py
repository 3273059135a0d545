"""What the simulated market quotes besides options: indexes, funds and futures."""

import datetime
from typing import Literal

import msgspec

from gex_pipeline.market.sessions import opex_of_month
from gex_pipeline.simulator.levels import NASDAQ, SP

_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
_ROLL = datetime.timedelta(days=4)
"""Before expiry: the next contract becomes the front one."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One index, fund or future, and how its price hangs on a factor."""

    symbol: str
    """Canonical."""
    kind: Literal["index", "volatility", "share", "future"]
    factor: int
    ratio: float
    """Price at the factor's long-run mean, dollars or points."""
    tick: float
    volume: int
    """Shares or contracts of a day."""
    description: str
    dividend: float
    multiplier: float = 1.0


INSTRUMENTS = {
    instrument.symbol: instrument
    for instrument in (
        Instrument(symbol="SPX", kind="index", factor=SP, ratio=6700.0, tick=0.01,
                   volume=2_900_000_000, description="S&P 500 INDEX", dividend=0.013),
        Instrument(symbol="NDX", kind="index", factor=NASDAQ, ratio=24500.0, tick=0.01,
                   volume=1_200_000_000, description="NASDAQ 100 INDEX", dividend=0.007),
        Instrument(symbol="VIX", kind="volatility", factor=SP, ratio=16.0, tick=0.01, volume=0,
                   description="CBOE VOLATILITY INDEX", dividend=0.0),
        Instrument(symbol="SPY", kind="share", factor=SP, ratio=668.0, tick=0.01, volume=72_000_000,
                   description="SPDR S&P 500 ETF", dividend=0.013),
        Instrument(symbol="QQQ", kind="share", factor=NASDAQ, ratio=596.0, tick=0.01,
                   volume=48_000_000, description="INVSC QQQ TRUST SRS 1 ETF", dividend=0.007),
        Instrument(symbol="/ES", kind="future", factor=SP, ratio=6700.0, tick=0.25,
                   volume=1_500_000, description="E-mini S&P 500 Index Futures", dividend=0.013,
                   multiplier=50.0),
        Instrument(symbol="/MES", kind="future", factor=SP, ratio=6700.0, tick=0.25,
                   volume=1_100_000, description="Micro E-mini S&P 500 Index Futures",
                   dividend=0.013, multiplier=5.0),
        Instrument(symbol="/NQ", kind="future", factor=NASDAQ, ratio=24500.0, tick=0.25,
                   volume=600_000, description="E-mini Nasdaq-100 Index Futures", dividend=0.007,
                   multiplier=20.0),
        Instrument(symbol="/MNQ", kind="future", factor=NASDAQ, ratio=24500.0, tick=0.25,
                   volume=1_300_000, description="Micro E-mini Nasdaq-100 Index Futures",
                   dividend=0.007, multiplier=2.0),
    )
}  # fmt: skip
OPTIONABLE = ("SPX", "SPY", "QQQ", "NDX")
"""Those that options are listed on."""


class Front(msgspec.Struct, frozen=True):
    """The futures contract that a bare root stands for."""

    symbol: str
    expiry: datetime.date


def front_contract(root: str, day: datetime.date) -> Front:
    """Return the quarterly contract that trades most on a date: /ESZ26 of /ES."""
    months = day.year * 12 + day.month - 1
    while True:
        year, month = months // 12, months % 12 + 1
        if month in _MONTH_CODES:
            expiry = opex_of_month(year, month)
            if day < expiry - _ROLL:
                return Front(f"{root}{_MONTH_CODES[month]}{year % 100:02d}", expiry)
        months += 1
