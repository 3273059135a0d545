"""What is known of one streamed symbol: items change it, events show it whole."""

from typing import Any

from msgspec import UNSET, UnsetType

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.feeds.schwab.fields import OPTIONS, Given, Item, Service
from gex_pipeline.market.contracts import parse_occ
from gex_pipeline.market.events import Event, OptionQuote, Quote, Trade
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import INDEXES, calendar_of, kind_of, to_canonical

NS_PER_MS = 1_000_000
QUOTED = ("bid", "ask", "bid_size", "ask_size")
TRADED = ("last", "last_size", "volume", "trade_ms")
TEXTS = ("settlement", "contract")
_ABSENT = -999.0
_BIGGEST = 1e15
_PERCENT = 100.0


class Subject:
    """What is known of one streamed symbol."""

    __slots__ = ("calendar", "is_index", "state", "symbol", "underlying")

    def __init__(self, symbol: str, service: Service) -> None:
        self.symbol = symbol
        self.calendar: Calendar = calendar_of(symbol)
        self.is_index = symbol in INDEXES
        self.underlying = ""
        if service == OPTIONS:
            self.underlying = option_root(parse_occ(symbol).root).underlying
        self.state: dict[str, Any] = {}


def subject_of(service: Service, key: str) -> Subject | None:
    """Return a new subject, None if the key is none of the service."""
    try:
        symbol = to_canonical(key)
        fits = (kind_of(symbol) == "option") == (service == OPTIONS)
        return Subject(symbol, service) if fits else None
    except (SymbolError, ContractError):
        return None


# --- items into states ----------------------------------------------------------------------------


def merge(state: dict[str, Any], item: Item) -> frozenset[str]:
    """Put an item's fields into the state; return the names that it had."""
    changed = []
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if value is not UNSET and name != "key":
            state[name] = value if name in TEXTS else _number(value)
            changed.append(name)
    return frozenset(changed)


def _number(value: Given) -> float | None:
    """Return a number, or None for what is none: null, "NaN", -999, what no field can hold."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if value is None or isinstance(value, UnsetType) or value == _ABSENT:
        return None
    return value if abs(value) < _BIGGEST else None  # NaN compares as False


def _count(value: float | None) -> int | None:
    return None if value is None or value < 0 else int(value)


def _size(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _ns(*milliseconds: float | None) -> int:
    return max((int(each) for each in milliseconds if each and each > 0), default=0) * NS_PER_MS


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


def _quote(subject: Subject, sent_ns: int, ts_recv_ns: int) -> Quote:
    get = subject.state.get
    return Quote(
        symbol=subject.symbol,
        ts_event_ns=_ns(get("quote_ms")) or sent_ns,
        ts_recv_ns=ts_recv_ns,
        bid=get("bid"),
        ask=get("ask"),
        bid_size=_size(get("bid_size")),
        ask_size=_size(get("ask_size")),
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
        ts_event_ns=_ns(get("trade_ms")) or sent_ns,
        ts_recv_ns=ts_recv_ns,
        price=price,
        size=None if subject.is_index else _size(get("last_size")),
        volume=None if subject.is_index else _count(get("volume")),
    )


def _option(
    subject: Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...]:
    """Return the option's whole picture."""
    if not changed:
        return ()
    get = subject.state.get
    iv_percent, settlement = get("iv_percent"), get("settlement")
    return (
        OptionQuote(
            symbol=subject.symbol,
            ts_event_ns=_ns(get("quote_ms"), get("trade_ms")) or sent_ns,
            ts_recv_ns=ts_recv_ns,
            underlying=subject.underlying,
            bid=get("bid"),
            ask=get("ask"),
            bid_size=_size(get("bid_size")),
            ask_size=_size(get("ask_size")),
            last=get("last"),
            last_size=_size(get("last_size")),
            mark=get("mark"),
            iv=None if iv_percent is None else iv_percent / _PERCENT,
            delta=get("delta"),
            gamma=get("gamma"),
            theta=get("theta"),
            vega=get("vega"),
            rho=get("rho"),
            open_interest=_count(get("open_interest")),
            volume=_count(get("volume")),
            underlying_price=get("underlying_price"),
            settlement=settlement if settlement in ("A", "P") else None,
        ),
    )


EVENTS = {
    "LEVELONE_EQUITIES": _level_one,
    "LEVELONE_FUTURES": _level_one,
    "LEVELONE_OPTIONS": _option,
}
