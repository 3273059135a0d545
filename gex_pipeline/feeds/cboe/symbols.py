"""The symbols of a quote table turned into contracts: OCC's form and Cboe's old one.

The old one, up to 2019: `17 Nov 150.00 (AAPL1717K150)` is root AAPL, year 17, day 17, K for a
November call (A to L are calls, M to X puts), strike 150. `-E)` at the end is the quote of one
exchange, and no contract of its own.
"""

import datetime
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gex_pipeline.feeds.cboe.dates import row_date
from gex_pipeline.feeds.numbers import number
from gex_pipeline.feeds.sieve import is_adjusted, sift
from gex_pipeline.market.arrays import Bools, Dates, Floats, Ints, Texts
from gex_pipeline.market.contracts import parse_occ_columns

_EXCHANGE = re.compile(r"-\w\)?$")
_OLD = re.compile(
    r"(?P<outside>[^(]*)\((?P<root>[A-Z]{1,5}\d?)(?P<year>\d\d)(?P<day>\d\d)(?P<month>[A-X])"
    r"(?P<strike>\d+(?:\.\d+)?)\)"
)
_MONTHS = 12


class Contracts(NamedTuple):
    """Columns of one row per symbol; a row that is not `usable` holds no contract."""

    root: Texts
    expiry: Dates
    right: Ints
    strike: Floats
    usable: Bools
    dropped: dict[str, int]


class _Terms(NamedTuple):
    root: str
    expiry: datetime.date
    right: int
    strike: float


def read_symbols(
    symbols: Sequence[str], expiries: Sequence[str], strikes: Sequence[str]
) -> Contracts:
    """Return the contract of every symbol; `expiries` and `strikes` are the row's own cells.

    An OCC symbol alone says what the contract is; the old form takes expiry and strike from the
    row, and from itself where the row has none.
    """
    root, expiry, right, strike, known = parse_occ_columns(symbols)
    exchange_row = np.zeros_like(known)
    for row in np.flatnonzero(~known).tolist():
        exchange_row[row] = _EXCHANGE.search(symbols[row]) is not None
        terms = _old_terms(symbols[row], expiries[row], strikes[row])
        if terms is not None:
            root[row], expiry[row], right[row], strike[row] = terms
            known[row] = True
    usable, dropped = sift(
        {"exchange_row": exchange_row, "symbol": ~known, "adjusted": is_adjusted(root)}
    )
    return Contracts(root, expiry, right, strike, usable, dropped)


def _old_terms(symbol: str, expiry_cell: str, strike_cell: str) -> _Terms | None:
    match = _OLD.fullmatch(symbol)
    if match is None:
        return None
    letter = ord(match["month"]) - ord("A")
    expiry = row_date(expiry_cell) or _symbol_date(match, letter % _MONTHS + 1)
    outside = match["outside"].split()
    printed = (strike_cell, outside[-1] if outside else "", match["strike"])
    strike = next((value for value in map(number, printed) if value > 0), 0.0)
    if expiry is None or not 0 < strike < np.inf:
        return None
    return _Terms(match["root"], expiry, 1 if letter < _MONTHS else -1, strike)


def _symbol_date(match: re.Match[str], month: int) -> datetime.date | None:
    try:
        return datetime.date(2000 + int(match["year"]), month, int(match["day"]))
    except ValueError:
        return None
