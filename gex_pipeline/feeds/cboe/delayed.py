"""Cboe's delayed quotes as JSON: the document behind the web page's quote table."""

import datetime
from collections.abc import Sequence
from operator import attrgetter

import msgspec
import numpy as np

from gex_pipeline.feeds.document import decode_document
from gex_pipeline.feeds.numbers import Number, floats, number
from gex_pipeline.feeds.sieve import canonical_symbol, is_adjusted, sift
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.contracts import parse_occ_columns
from gex_pipeline.market.sessions import SECOND_NS

_YEARS = range(2000, 2100)


class _Option(msgspec.Struct, frozen=True):
    option: str | None = None
    bid: Number = None
    ask: Number = None
    iv: Number = None
    gamma: Number = None
    open_interest: Number = None
    volume: Number = None


class _Chain(msgspec.Struct, frozen=True):
    options: list[_Option]
    current_price: Number = None
    symbol: str | None = None


class _Document(msgspec.Struct, frozen=True):
    data: _Chain
    timestamp: str | float | None = None
    symbol: str | None = None


def read_delayed(data: bytes) -> OptionChain:
    """Return the chain of Cboe's delayed-quotes JSON; it has no quote times.

    A number that is null, absent or a text such as "NaN" is NaN. The timestamp is UTC.
    Format: never documented; read off files of 2023.

    Raises:
        ChainFileError: no such JSON; zero options are no error.
    """
    document = decode_document(data, _Document, "a Cboe option JSON")
    options = document.data.options
    occ = parse_occ_columns([option.option or "" for option in options])
    usable, dropped = sift({"symbol": ~occ.ok, "adjusted": is_adjusted(occ.root)})
    return OptionChain(
        symbol=canonical_symbol(document.symbol or document.data.symbol, occ.root[usable]),
        source="cboe-json",
        spot=number(document.data.current_price),
        ts_source_ns=_utc_ns(document.timestamp),
        root=occ.root[usable],
        expiry=occ.expiry[usable],
        right=occ.right[usable],
        strike=occ.strike[usable],
        bid=_column(options, "bid")[usable],
        ask=_column(options, "ask")[usable],
        iv=_column(options, "iv")[usable],
        gamma=_column(options, "gamma")[usable],
        open_interest=_column(options, "open_interest")[usable],
        volume=_column(options, "volume")[usable],
        ts_quote_ns=np.zeros(usable.sum(), np.int64),
        settlement=np.full(usable.sum(), "", "U1"),
        dropped=dropped,
    )


def _column(options: Sequence[_Option], name: str) -> Floats:
    return floats(list(map(attrgetter(name), options)))


def _utc_ns(text: str | float | None) -> int:
    """Return the instant of "2023-09-21 03:17:42", UTC unless it says otherwise; 0 if unknown."""
    if not isinstance(text, str):
        return 0
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return 0
    if moment.year not in _YEARS:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * SECOND_NS
