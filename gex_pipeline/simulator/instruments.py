"""What the simulated market quotes besides options: indexes, funds, futures and currencies."""

import datetime
from typing import Literal

import msgspec

from gex_pipeline.market.sessions import Calendar, opex_of_month
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.levels import NASDAQ, SP
from gex_pipeline.simulator.services import EQUITIES, FOREX, FUTURES, NASDAQ_BOOK, NYSE_BOOK

_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
_ROLL = datetime.timedelta(days=4)
"""Before expiry: the next contract becomes the front one."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One index, fund, future or pair of currencies, and how its price hangs on a factor."""

    symbol: str
    """Canonical."""
    kind: Literal["index", "volatility", "share", "future", "forex"]
    factor: int
    ratio: float
    """Price at the factor's long-run mean, dollars, points or the second currency."""
    tick: float
    volume: int
    """Shares or contracts of a day."""
    description: str
    dividend: float
    multiplier: float = 1.0
    cross: tuple[float, float] = (0.0, 0.0)
    """What a pair of currencies takes of both factors: nearly nothing of what they share."""
    book: str = ""
    """Service of the exchange that lists a fund."""

    @property
    def calendar(self) -> Calendar:
        """Return the hours in which it is quoted."""
        return "cme" if self.kind in ("future", "forex") else "equity"

    @property
    def vendor_name(self) -> str:
        """Return Schwab's spelling."""
        return self.symbol if self.kind == "forex" else to_schwab(self.symbol)


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
                   description="SPDR S&P 500 ETF", dividend=0.013, book=NYSE_BOOK),
        Instrument(symbol="QQQ", kind="share", factor=NASDAQ, ratio=596.0, tick=0.01,
                   volume=48_000_000, description="INVSC QQQ TRUST SRS 1 ETF", dividend=0.007,
                   book=NASDAQ_BOOK),
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
        Instrument(symbol="EUR/USD", kind="forex", factor=SP, ratio=1.16, tick=0.00005, volume=0,
                   description="Euro/USDollar Spot", dividend=0.0, cross=(0.9, -0.7)),
        Instrument(symbol="USD/JPY", kind="forex", factor=SP, ratio=155.0, tick=0.005, volume=0,
                   description="USDollar/Japanese Yen Spot", dividend=0.0, cross=(-0.7, 0.8)),
    )
}  # fmt: skip
OPTIONABLE = ("SPX", "SPY", "QQQ", "NDX")
"""Those that options are listed on."""


def of_service(service: str) -> dict[str, Instrument]:
    """Return the instruments of a level-one service by Schwab's spelling."""
    kinds = {
        EQUITIES: ("index", "volatility", "share"),
        FUTURES: ("future",),
        FOREX: ("forex",),
    }[service]
    return {each.vendor_name: each for each in INSTRUMENTS.values() if each.kind in kinds}


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
