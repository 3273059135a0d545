"""Schwab's answer to /marketdata/v1/chains, decoded without loss."""

import datetime
import math
import re
from collections.abc import Iterator, Sequence
from operator import attrgetter

import msgspec
import numpy as np

from gex_pipeline.errors import CalendarError
from gex_pipeline.feeds.document import decode_document
from gex_pipeline.feeds.numbers import Number, floats, ns_of_milliseconds, number
from gex_pipeline.feeds.sieve import canonical_symbol, is_adjusted, sift
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.contracts import OccColumns, parse_occ_columns
from gex_pipeline.market.sessions import NEW_YORK, in_session

_ABSENT = -999.0  # Schwab's word for a greek or a volatility that it does not have
_MULTIPLIER = 100.0
_PERCENT = 100.0
_RIGHTS = {"CALL": 1, "PUT": -1}
_ROOT = re.compile(r"[A-Z0-9]{1,6}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class _Contract(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str | None = None
    put_call: str | None = None
    option_root: str | None = None
    strike_price: Number = None
    expiration_date: Number = None
    bid: Number = None
    ask: Number = None
    volatility: Number = None
    gamma: Number = None
    open_interest: Number = None
    total_volume: Number = None
    quote_time_in_long: Number = None
    settlement_type: str | None = None
    multiplier: Number = None
    non_standard: bool | None = None
    mini: bool | None = None


class _Underlying(msgspec.Struct, frozen=True, rename="camel"):
    bid: Number = None
    ask: Number = None
    last: Number = None
    mark: Number = None
    quote_time: Number = None
    trade_time: Number = None


_Dates = dict[str, dict[str, list[_Contract]]]


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str | None = None
    is_index: bool | None = None
    is_chain_truncated: bool | None = None
    underlying_price: Number = None
    underlying: _Underlying | None = None
    call_exp_date_map: _Dates | None = None
    put_exp_date_map: _Dates | None = None


def read_chain(data: bytes) -> OptionChain:
    """Return the chain of one /chains answer, calls before puts.

    Volatility comes in percent and leaves as a fraction; a volatility or gamma of -999 is NaN.
    `dropped` also counts "truncated": 1 if Schwab says that it cut the chain short. An answer
    without contracts (status NO_DATA, FAILED) is an empty chain. Format: Schwab's Market Data
    API, option chains.

    Raises:
        ChainFileError: no such JSON.
    """
    answer = decode_document(data, _Answer, "a Schwab chain JSON")
    listed = list(_listed(answer))
    contracts = [contract for _, contract in listed]
    occ = _identities(listed)
    usable, dropped = sift(_refusals(contracts, occ))
    quoted_ns = ns_of_milliseconds([contract.quote_time_in_long for contract in contracts])[usable]
    ts_source_ns = _answered_ns(answer.underlying, quoted_ns)
    return OptionChain(
        symbol=canonical_symbol(answer.symbol, occ.root[usable]),
        source="schwab-json",
        spot=_spot(answer, _underlying_ns(answer.underlying) or ts_source_ns),
        ts_source_ns=ts_source_ns,
        root=occ.root[usable],
        expiry=occ.expiry[usable],
        right=occ.right[usable],
        strike=occ.strike[usable],
        bid=_column(contracts, "bid")[usable],
        ask=_column(contracts, "ask")[usable],
        iv=_known(_column(contracts, "volatility")[usable]) / _PERCENT,
        gamma=_known(_column(contracts, "gamma")[usable]),
        open_interest=_column(contracts, "open_interest")[usable],
        volume=_column(contracts, "total_volume")[usable],
        ts_quote_ns=quoted_ns,
        settlement=np.array([_settlement(contract) for contract in contracts], "U1")[usable],
        dropped=dropped | ({"truncated": 1} if answer.is_chain_truncated else {}),
    )


def _listed(answer: _Answer) -> Iterator[tuple[str, _Contract]]:
    """Yield every contract with its expiry key, "2025-05-20:9"."""
    for dates in (answer.call_exp_date_map, answer.put_exp_date_map):
        for key, strikes in (dates or {}).items():
            for contracts in strikes.values():
                for contract in contracts:
                    yield key, contract


def _column(contracts: Sequence[_Contract], name: str) -> Floats:
    return floats(list(map(attrgetter(name), contracts)))


def _known(values: Floats) -> Floats:
    return np.where(values == _ABSENT, np.nan, values)


def _settlement(contract: _Contract) -> str:
    return contract.settlement_type if contract.settlement_type in ("A", "P") else ""


# --- which contract -------------------------------------------------------------------------------


def _identities(listed: Sequence[tuple[str, _Contract]]) -> OccColumns:
    """Return each contract's terms: its OCC symbol's, else those of its own fields."""
    occ = parse_occ_columns([contract.symbol or "" for _, contract in listed])
    for row in np.flatnonzero(~occ.ok).tolist():
        key, contract = listed[row]
        expiry = _expiry(contract.expiration_date, key)
        right = _RIGHTS.get(contract.put_call or "", 0)
        strike = number(contract.strike_price)
        root = contract.option_root or ""
        if _ROOT.fullmatch(root) and expiry and right and 0 < strike < math.inf:
            occ.root[row], occ.expiry[row] = root, expiry
            occ.right[row], occ.strike[row] = right, strike
            occ.ok[row] = True
    return occ


def _expiry(timestamp: Number, key: str) -> datetime.date | None:
    """Return the New York date of "2025-05-20T20:00:00.000+00:00", else the date in the key."""
    try:
        moment = datetime.datetime.fromisoformat(str(timestamp))
        if moment.tzinfo is not None:
            return moment.astimezone(NEW_YORK).date()
    except (ValueError, OverflowError):
        pass
    match = _DAY.match(key)
    try:
        return datetime.date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def _refusals(contracts: Sequence[_Contract], occ: OccColumns) -> dict[str, Bools]:
    multiplier = _column(contracts, "multiplier")
    flagged = [bool(contract.non_standard or contract.mini) for contract in contracts]
    return {
        "symbol": ~occ.ok,
        "multiplier": ~(np.isnan(multiplier) | (multiplier == _MULTIPLIER)),
        "adjusted": is_adjusted(occ.root) | np.array(flagged, np.bool_),
    }


# --- the underlying -------------------------------------------------------------------------------


def _answered_ns(underlying: _Underlying | None, quoted_ns: Ints) -> int:
    """Return the newest time in the answer; 0 if there is none.

    An index stands still while its options quote on: its own time alone would be too early.
    """
    newest = int(quoted_ns.max(initial=0))
    return max(newest, _underlying_ns(underlying))


def _underlying_ns(underlying: _Underlying | None) -> int:
    if underlying is None:
        return 0
    return int(ns_of_milliseconds([underlying.quote_time, underlying.trade_time]).max())


def _spot(answer: _Answer, ts_ns: int) -> float:
    """Return the price that belongs to the chain; NaN if no field has one.

    An index: underlyingPrice. A share or fund: the middle of its quote while it trades, else its
    last price (docs/conventions.md, "Rows in").
    """
    of_chain = number(answer.underlying_price)
    underlying = answer.underlying or _Underlying()
    trade = [number(underlying.last), number(underlying.mark)]
    middle = [_middle(underlying)] if _trades(ts_ns) else []
    prices = [of_chain, *trade] if answer.is_index else [*middle, *trade, of_chain]
    return next((price for price in prices if 0 < price < math.inf), math.nan)


def _middle(underlying: _Underlying) -> float:
    bid, ask = number(underlying.bid), number(underlying.ask)
    return (bid + ask) / 2 if 0 < bid <= ask else math.nan


def _trades(ts_ns: int) -> bool:
    try:
        return in_session(ts_ns, "equity")
    except CalendarError:
        return False
