"""An answer of /quotes as typed facts: the newest trade and quote of each symbol asked for.

Schwab answers "/ES" under the name of the contract that it stands for, and names what it does not
know in `errors.invalidSymbols`. Greeks have 8 decimals here, those of a chain 3.
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw

from gex_pipeline.errors import ChainFileError, SymbolError
from gex_pipeline.feeds.document import decode_document
from gex_pipeline.feeds.numbers import Number, ns_of_milliseconds
from gex_pipeline.feeds.schwab.answers import known, size_of
from gex_pipeline.feeds.schwab.numbers import count_of
from gex_pipeline.market.contracts import parse_occ
from gex_pipeline.market.events import Event, OptionQuote, Quote, Trade
from gex_pipeline.market.futures import root_of
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.symbology import kind_of, to_canonical, to_schwab

_ERRORS = "errors"
_PERCENT = 100.0


class _Quote(msgspec.Struct, frozen=True, rename="camel"):
    bid_price: Number = None
    ask_price: Number = None
    bid_size: Number = None
    ask_size: Number = None
    last_price: Number = None
    last_size: Number = None
    total_volume: Number = None
    quote_time: Number = None
    trade_time: Number = None
    mark: Number = None
    volatility: Number = None
    delta: Number = None
    gamma: Number = None
    theta: Number = None
    vega: Number = None
    rho: Number = None
    open_interest: Number = None
    underlying_price: Number = None


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    settlement_type: str | None = None


class _One(msgspec.Struct, frozen=True, rename="camel"):
    realtime: bool | None = None
    quote: _Quote | None = None
    reference: _Reference | None = None


class _Errors(msgspec.Struct, frozen=True, rename="camel"):
    invalid_symbols: list[str] = []


class QuoteAnswer(msgspec.Struct, frozen=True):
    """What one answer says."""

    events: dict[str, tuple[Event, ...]]
    """By the canonical symbol that was asked for: an OptionQuote; of all else a Quote where it has
    one, and a Trade where it has a price."""
    delayed: frozenset[str]
    """Symbols whose quotes Schwab calls not real-time."""
    unknown: tuple[str, ...]
    """Canonical symbols that Schwab calls none; one that is simply not answered is in neither."""


def read_quotes(data: bytes, asked: Iterable[str], ts_recv_ns: int) -> QuoteAnswer:
    """Return what an answer says of the symbols asked for, stamped as received then.

    Raises:
        ChainFileError: no such JSON.
    """
    found = decode_document(data, dict[str, Raw], "a Schwab quotes JSON")
    events: dict[str, tuple[Event, ...]] = {}
    delayed, unknown, invalid = set(), [], _invalid(found)
    for symbol in asked:
        name, raw = _answer_of(found, symbol)
        one = None if raw is None else _decoded(raw)
        if one is None or one.quote is None:
            unknown += [symbol] if to_schwab(symbol) in invalid else []
            continue
        events[symbol] = _events(symbol, name, one, one.quote, ts_recv_ns)
        if one.realtime is False:
            delayed.add(symbol)
    return QuoteAnswer(events, frozenset(delayed), tuple(unknown))


def _invalid(found: Mapping[str, Raw]) -> frozenset[str]:
    """Return the names, as they were sent, that an answer says are none."""
    try:
        said = msgspec.json.decode(found.get(_ERRORS, b"{}"), type=_Errors)
    except msgspec.DecodeError:
        return frozenset()
    return frozenset(said.invalid_symbols)


def _answer_of(found: Mapping[str, Raw], symbol: str) -> tuple[str, Raw | None]:
    """Return the name under which a symbol was answered, and the answer."""
    name = to_schwab(symbol)
    if name in found:
        return name, found[name]
    if kind_of(symbol) == "future" and root_of(symbol) == symbol:
        for other, raw in found.items():
            if other.startswith("/") and _root(other) == symbol:
                return other, raw
    return name, None


def _root(name: str) -> str:
    try:
        return root_of(to_canonical(name))
    except SymbolError:
        return ""


def _decoded(raw: Raw) -> _One:
    try:
        return msgspec.json.decode(raw, type=_One)
    except msgspec.DecodeError as error:
        raise ChainFileError(f"a quote that is none ({error})") from error


def _events(symbol: str, name: str, one: _One, of: _Quote, ts_recv_ns: int) -> tuple[Event, ...]:
    kind = kind_of(symbol)
    if kind == "option":
        return (_option(symbol, one, of, ts_recv_ns),)
    events: tuple[Event, ...] = ()
    if kind != "index" and (of.bid_price is not None or of.ask_price is not None):
        contract = to_canonical(name) if name != to_schwab(symbol) else None
        events = (_quote(symbol, contract, of, ts_recv_ns),)
    price = known(of.last_price)
    if price is not None and price > 0:
        events += (_trade(symbol, price, of, ts_recv_ns, is_index=kind == "index"),)
    return events


def _quote(symbol: str, contract: str | None, of: _Quote, ts_recv_ns: int) -> Quote:
    return Quote(
        symbol,
        _ns(of.quote_time) or ts_recv_ns,
        ts_recv_ns,
        bid=known(of.bid_price),
        ask=known(of.ask_price),
        bid_size=size_of(of.bid_size),
        ask_size=size_of(of.ask_size),
        contract=contract,
        streamed=False,
    )


def _trade(symbol: str, price: float, of: _Quote, ts_recv_ns: int, *, is_index: bool) -> Trade:
    return Trade(
        symbol,
        _ns(of.trade_time) or ts_recv_ns,
        ts_recv_ns,
        price=price,
        size=None if is_index else size_of(of.last_size),
        volume=None if is_index else count_of(known(of.total_volume)),
        streamed=False,
    )


def _option(symbol: str, one: _One, of: _Quote, ts_recv_ns: int) -> OptionQuote:
    percent = known(of.volatility)
    settlement = one.reference.settlement_type if one.reference else None
    return OptionQuote(
        symbol,
        _ns(of.quote_time, of.trade_time) or ts_recv_ns,
        ts_recv_ns,
        underlying=option_root(parse_occ(symbol).root).underlying,
        bid=known(of.bid_price),
        ask=known(of.ask_price),
        bid_size=size_of(of.bid_size),
        ask_size=size_of(of.ask_size),
        last=known(of.last_price),
        last_size=size_of(of.last_size),
        mark=known(of.mark),
        iv=None if percent is None else percent / _PERCENT,
        delta=known(of.delta),
        gamma=known(of.gamma),
        theta=known(of.theta),
        vega=known(of.vega),
        rho=known(of.rho),
        open_interest=count_of(known(of.open_interest)),
        volume=count_of(known(of.total_volume)),
        underlying_price=known(of.underlying_price),
        settlement=settlement if settlement in ("A", "P") else None,  # type: ignore[arg-type] # checked
        streamed=False,
    )


def _ns(*milliseconds: Number) -> int:
    return int(ns_of_milliseconds(milliseconds).max())
