"""The stream's frames to events: items change the state of their symbol, events show it whole.

Each item that is taken gives at least one event; each that is not is counted by its reason. Of the
updates that an item brings (one per table), those that became no event are told as refusals.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, UnsetType

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.feeds.schwab.fields import ITEMS, OPTIONS, Given, Item, Service
from gex_pipeline.feeds.schwab.updates import NOWHERE, Place, calendar_of_key
from gex_pipeline.market.contracts import parse_occ
from gex_pipeline.market.events import Event, OptionQuote, Quote, Trade
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import INDEXES, calendar_of, kind_of, to_canonical

_NS_PER_MS = 1_000_000
_ABSENT = -999.0
_BIGGEST = 1e15
_PERCENT = 100.0
_SERVICES = frozenset(get_args(Service))
_QUOTED = ("bid", "ask", "bid_size", "ask_size")

_TRADED = ("last", "last_size", "volume", "trade_ms")
_TABLE_OF: dict[type[Event], str] = {Quote: "quotes", Trade: "trades"}

Reason = Literal["json", "service", "item", "symbol", "empty", "index_quote", "no_price"]
"""json: unreadable. service, symbol: not one that we know. item: a field is of a wrong kind. empty:
no field of ours. index_quote: an index has no quote. no_price: a sale whose price never came."""


class Block(msgspec.Struct):
    """One service's part of a data frame; its items are decoded by the service's own types."""

    service: str
    content: msgspec.Raw
    timestamp: int = 0


class Tally(msgspec.Struct):
    """What became of the items: received = taken + rejected."""

    received: int = 0
    taken: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)


class Refusal(NamedTuple):
    """An update that became no event."""

    place: Place
    reason: Reason
    item: bytes
    """The JSON that it came in."""


class _Subject:
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


class Decoder:
    """Holds the state of every symbol of one connection."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.refusals: list[Refusal] = []
        """Of the blocks since the last `drain`."""
        self._subjects: dict[Service, dict[str, _Subject | None]] = {name: {} for name in ITEMS}
        self._items = {name: msgspec.json.Decoder(list[kind]) for name, kind in ITEMS.items()}  # type: ignore[valid-type]
        self._one = {name: msgspec.json.Decoder(kind) for name, kind in ITEMS.items()}
        self._raws = msgspec.json.Decoder(list[msgspec.Raw])

    def forget(self) -> None:
        """Drop every state: a new connection sends full images first."""
        for subjects in self._subjects.values():
            subjects.clear()

    def events(self, block: Block, ts_recv_ns: int) -> Iterator[tuple[Calendar, Event]]:
        """Yield the events of one block with the calendar of their tape."""
        if block.service not in _SERVICES:
            self._reject("service", block.content)
            return
        service: Service = block.service  # type: ignore[assignment] # it is one of them
        sent_ns = block.timestamp * _NS_PER_MS
        for item in self._decoded(service, block.content):
            self.tally.received += 1
            subject = self._subject(service, item.key)
            if subject is None:
                self._refuse("symbol", item, _places(service, item.key, _given(item)))
                continue
            changed = _merge(subject.state, item)
            events = _EVENTS[service](subject, changed, sent_ns, ts_recv_ns)
            if service != OPTIONS or not events:
                self._tell_missing(service, subject, item, changed, events)
            if not events:
                self.tally.rejected["empty"] += 1
                continue
            self.tally.taken += 1
            for event in events:
                yield subject.calendar, event

    def drain(self) -> list[Refusal]:
        """Return what was refused since the last time."""
        refused, self.refusals = self.refusals, []
        return refused

    def _decoded(self, service: Service, content: msgspec.Raw) -> Sequence[Item]:
        """Return the items; a bad one among them costs itself only."""
        try:
            return self._items[service].decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return list(self._one_by_one(service, content))

    def _one_by_one(self, service: Service, content: msgspec.Raw) -> Iterator[Item]:
        try:
            raws = self._raws.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._reject("json", content)
            return
        for raw in raws:
            try:
                yield self._one[service].decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._reject("item", raw, _places_of_raw(service, raw))

    def _subject(self, service: Service, key: str) -> _Subject | None:
        subjects = self._subjects[service]
        try:
            return subjects[key]
        except KeyError:
            found = subjects[key] = _subject(service, key)
            return found

    def _tell_missing(
        self,
        service: Service,
        subject: _Subject,
        item: Item,
        changed: frozenset[str],
        events: tuple[Event, ...],
    ) -> None:
        """Note the updates of an item of which no event tells."""
        made = {_TABLE_OF.get(type(event), "option_quotes") for event in events}
        for place in _places(service, item.key, changed):
            if place.table in made:
                continue
            reason: Reason = "empty"
            if place.table == "quotes" and subject.is_index:
                reason = "index_quote"
            elif place.table == "trades":
                reason = "no_price"
            self._note(reason, msgspec.json.encode(item), (place,))

    def _reject(
        self, reason: Reason, raw: msgspec.Raw, places: Sequence[Place] = (NOWHERE,)
    ) -> None:
        """Count what did not even become an item."""
        self.tally.received += 1
        self.tally.rejected[reason] += 1
        self._note(reason, bytes(raw), places)

    def _refuse(self, reason: Reason, item: Item, places: Sequence[Place]) -> None:
        self.tally.rejected[reason] += 1
        self._note(reason, msgspec.json.encode(item), places)

    def _note(self, reason: Reason, item: bytes, places: Sequence[Place]) -> None:
        self.refusals.extend(Refusal(place, reason, item) for place in places)


def _subject(service: Service, key: str) -> _Subject | None:
    try:
        symbol = to_canonical(key)
        fits = (kind_of(symbol) == "option") == (service == OPTIONS)
        return _Subject(symbol, service) if fits else None
    except (SymbolError, ContractError):
        return None


# --- which updates an item brings -----------------------------------------------------------------


def _places(service: Service, key: str, given: frozenset[str]) -> list[Place]:
    """Return a place for each update of an item with these fields."""
    calendar = calendar_of_key(key)
    if service == OPTIONS:
        return [Place(calendar, "option_quotes")]
    sold = not given.isdisjoint(_TRADED)
    quoted = not given.isdisjoint(_QUOTED) or ("quote_ms" in given and not sold)
    tables = ["quotes"] * quoted + ["trades"] * sold
    return [Place(calendar, table) for table in tables] or [NOWHERE]


def _places_of_raw(service: Service, raw: msgspec.Raw) -> list[Place]:
    """Return the same for an item that is none of ours, if it is an object with a key."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        key = msgspec.json.decode(fields["key"], type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return [NOWHERE]
    names = {each.encode_name: each.name for each in msgspec.structs.fields(ITEMS[service])}
    return _places(service, key, frozenset(names[each] for each in fields if each in names))


def _given(item: Item) -> frozenset[str]:
    names = item.__struct_fields__
    return frozenset(name for name in names if name != "key" and getattr(item, name) is not UNSET)


# --- items into states ----------------------------------------------------------------------------


def _merge(state: dict[str, Any], item: Item) -> frozenset[str]:
    """Put an item's fields into the state; return the names that it had."""
    changed = []
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if value is not UNSET and name != "key":
            state[name] = value if name == "settlement" else _number(value)
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
    return max((int(each) for each in milliseconds if each and each > 0), default=0) * _NS_PER_MS


# --- states into events ---------------------------------------------------------------------------


def _level_one(
    subject: _Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
) -> tuple[Event, ...]:
    """Return a Quote if the quote changed, a Trade if the last sale did, or both."""
    quoted = not subject.is_index and (
        not changed.isdisjoint(_QUOTED) or ("quote_ms" in changed and len(changed) == 1)
    )
    last = subject.state.get("last")
    events: tuple[Event, ...] = (_quote(subject, sent_ns, ts_recv_ns),) if quoted else ()
    if last is not None and not changed.isdisjoint(_TRADED):
        events += (_trade(subject, last, sent_ns, ts_recv_ns),)
    return events


def _quote(subject: _Subject, sent_ns: int, ts_recv_ns: int) -> Quote:
    get = subject.state.get
    return Quote(
        symbol=subject.symbol,
        ts_event_ns=_ns(get("quote_ms")) or sent_ns,
        ts_recv_ns=ts_recv_ns,
        bid=get("bid"),
        ask=get("ask"),
        bid_size=_size(get("bid_size")),
        ask_size=_size(get("ask_size")),
    )


def _trade(subject: _Subject, price: float, sent_ns: int, ts_recv_ns: int) -> Trade:
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
    subject: _Subject, changed: frozenset[str], sent_ns: int, ts_recv_ns: int
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


_EVENTS = {
    "LEVELONE_EQUITIES": _level_one,
    "LEVELONE_FUTURES": _level_one,
    "LEVELONE_OPTIONS": _option,
}
