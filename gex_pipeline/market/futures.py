"""Index futures: which index a future follows, and when a contract of it expires.

The Dow's future is not among them: DJX, whose options there are, is a hundredth of what it follows.
"""

import datetime
from typing import Final

from gex_pipeline.market.sessions import opex_of_month, regular_open_ns
from gex_pipeline.market.symbology import FUTURES

INDEX_OF: Final = {
    "/ES": "SPX",
    "/MES": "SPX",
    "/NQ": "NDX",
    "/MNQ": "NDX",
    "/RTY": "RUT",
    "/M2K": "RUT",
}
"""Futures that stand a few points from an index, by root; big ones before their micros."""
ROOT_OF_VIEW: Final = {f"{root[1:]}_{index}": root for root, index in INDEX_OF.items()}
"""ES_SPX is /ES by its own name: the index's levels in the future's points."""
TWIN_OF: Final = {
    "/ES": "/MES",
    "/MES": "/ES",
    "/NQ": "/MNQ",
    "/MNQ": "/NQ",
    "/RTY": "/M2K",
    "/M2K": "/RTY",
}
"""The micro of a big one and the big one of a micro: the same points, the same expiries."""
_MONTHS: Final = "FGHJKMNQUVXZ"
_CENTURY: Final = 2000


def root_of(symbol: str) -> str:
    """Return the root of a canonical future or view: /ES of /ESZ26 and ES_SPX; "" of all else."""
    if symbol in ROOT_OF_VIEW:
        return ROOT_OF_VIEW[symbol]
    if not symbol.startswith("/"):
        return ""
    return symbol if symbol[1:] in FUTURES else symbol[:-3]


def month_of(symbol: str) -> str:
    """Return the month code of a futures contract: Z26 of /ESZ26; "" of all else."""
    dated = symbol.startswith("/") and symbol[1:] not in FUTURES
    return symbol[-3:] if dated else ""


def index_of(symbol: str) -> str | None:
    """Return the index whose levels a future or view shows in its own points; None of all else."""
    return INDEX_OF.get(root_of(symbol))


def roots_of(index: str) -> tuple[str, ...]:
    """Return the futures of an index, the big one first."""
    return tuple(root for root, its in INDEX_OF.items() if its == index)


def expiry_of(contract: str) -> datetime.date:
    """Return the day on which a quarterly index future settles: the third Friday of its month."""
    code = month_of(contract)
    return opex_of_month(_CENTURY + int(code[1:]), _MONTHS.index(code[0]) + 1)


def expiry_ns(contract: str) -> int:
    """Return the instant at which it settles: 09:30 New York of that day."""
    return regular_open_ns(expiry_of(contract))
