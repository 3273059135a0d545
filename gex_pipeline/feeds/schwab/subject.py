"""What is known of one streamed symbol: items change it, events show it whole."""

from typing import Any

from msgspec import UNSET

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.feeds.schwab.fields import KINDS, OPTIONS, Item, Service
from gex_pipeline.feeds.schwab.numbers import count_of, newest_ns, number_of, size_of
from gex_pipeline.feeds.schwab.optionrows import blank
from gex_pipeline.market.codec import Row
from gex_pipeline.market.contracts import parse_occ
from gex_pipeline.market.events import LEVEL_ONE, BookUpdate, Event, OptionQuote, Quote, Trade
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import INDEXES, calendar_of, kind_of, to_canonical

QUOTED = ("bid", "ask", "bid_size", "ask_size")
TRADED = ("last", "last_size", "volume", "trade_ms")
TEXTS = ("settlement", "contract", "underlying")


class Subject:
    """What is known of one streamed symbol."""

    __slots__ = ("calendar", "is_index", "known", "state", "symbol")

    def __init__(self, symbol: str, service: Service) -> None:
        self.symbol = symbol
        self.calendar: Calendar = calendar_of(symbol)
        self.is_index = symbol in INDEXES
        self.state: dict[str, Any] = {}
        self.known: Row = []
        """Of an option; of all else it is in the state."""
        if service == OPTIONS:
            self.known = blank(symbol, option_root(parse_occ(symbol).root).underlying)


def subject_of(service: Service, key: str) -> Subject | None:
    """Return a new subject, None if the key is none of the service."""
    try:
        symbol = to_canonical(key)
        return Subject(symbol, service) if kind_of(symbol) in KINDS[service] else None
    except (SymbolError, ContractError):
        return None


# --- items into states ----------------------------------------------------------------------------


def merge(state: dict[str, Any], item: Item) -> frozenset[str]:
    """Put an item's fields into the state; return the names that it had."""
    changed = []
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if value is not UNSET and name != "key":
            state[name] = value if name in TEXTS else number_of(value)
            changed.append(name)
    return frozenset(changed)


# --- states into events ---------------------------------------------------------------------------


def _level_one(
    subject: Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...]:
    """Return a Quote if the quote changed, a Trade if the last sale did, or both."""
    quoted = not subject.is_index and (
        not changed.isdisjoint(QUOTED) or ("quote_ms" in changed and changed.isdisjoint(TRADED))
    )
    last = subject.state.get("last")
    events: tuple[Event, ...] = (_quote(subject, sent_ns, ts_recv_ns),) if quoted else ()
    if last is not None and not changed.isdisjoint(TRADED):
        events += (_trade(subject, last, sent_ns, ts_recv_ns),)
    return events


def _future(
    subject: Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...]:
    """Return the same, and the top of the book that Schwab has not, if it changed."""
    events = _level_one(subject, changed, sent_ns, ts_recv_ns)
    top = () if changed.isdisjoint(QUOTED) else _top_of_book(subject, sent_ns, ts_recv_ns)
    return events + top


def _top_of_book(subject: Subject, sent_ns: int, ts_recv_ns: int) -> tuple[Event, ...]:
    """Return the best bid and ask as a book; a side without a price or a size has no level."""
    get = subject.state.get
    bid = _level(get("bid"), size_of(get("bid_size")))
    ask = _level(get("ask"), size_of(get("ask_size")))
    if not bid and not ask:
        return ()
    return (
        BookUpdate(
            symbol=subject.symbol,
            ts_event_ns=newest_ns(get("quote_ms")) or sent_ns,
            ts_recv_ns=ts_recv_ns,
            bid_prices=bid[:1],
            bid_sizes=bid[1:],
            ask_prices=ask[:1],
            ask_sizes=ask[1:],
            venue=LEVEL_ONE,
        ),
    )


def _level(price: float | None, size: float | None) -> tuple[float, ...]:
    return () if price is None or size is None else (price, size)


def _quote(subject: Subject, sent_ns: int, ts_recv_ns: int) -> Quote:
    get = subject.state.get
    return Quote(
        symbol=subject.symbol,
        ts_event_ns=newest_ns(get("quote_ms")) or sent_ns,
        ts_recv_ns=ts_recv_ns,
        bid=get("bid"),
        ask=get("ask"),
        bid_size=size_of(get("bid_size")),
        ask_size=size_of(get("ask_size")),
        contract=_contract(get("contract")),
    )


def _contract(text: str | None) -> str | None:
    """Return a contract's canonical symbol; what names none is as good as nothing."""
    try:
        return to_canonical(text) if text else None
    except SymbolError:
        return None


def _trade(subject: Subject, price: float, sent_ns: int, ts_recv_ns: int) -> Trade:
    get = subject.state.get
    return Trade(
        symbol=subject.symbol,
        ts_event_ns=newest_ns(get("trade_ms")) or sent_ns,
        ts_recv_ns=ts_recv_ns,
        price=price,
        size=None if subject.is_index else size_of(get("last_size")),
        volume=None if subject.is_index else count_of(get("volume")),
    )


def _future_option(
    subject: Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...]:
    """Return the option's whole picture: Schwab gives neither greeks nor a volatility."""
    if not changed:
        return ()
    get = subject.state.get
    return (
        OptionQuote(
            symbol=subject.symbol,
            ts_event_ns=newest_ns(get("quote_ms"), get("trade_ms")) or sent_ns,
            ts_recv_ns=ts_recv_ns,
            underlying=_future_named(get("underlying")),
            bid=get("bid"),
            ask=get("ask"),
            bid_size=size_of(get("bid_size")),
            ask_size=size_of(get("ask_size")),
            last=get("last"),
            last_size=size_of(get("last_size")),
            mark=get("mark"),
            open_interest=count_of(get("open_interest")),
            volume=count_of(get("volume")),
        ),
    )


def _future_named(text: str | None) -> str:
    """Return the future that Schwab names, "" if it names none: nothing else tells of it.

    A name without its slash is a future all the same; bare, GC would be read as a share.
    """
    return _contract(f"/{text.strip().lstrip('/')}") or "" if text else ""


EVENTS = {
    "LEVELONE_EQUITIES": _level_one,
    "LEVELONE_FUTURES": _future,
    "LEVELONE_FUTURES_OPTIONS": _future_option,
    "LEVELONE_FOREX": _level_one,
}
"""Of the services whose items are changes; those of options are in `optionrows`."""
