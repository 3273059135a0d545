"""The stream's frames to events: items change the state of their symbol, events show it whole.

Each item that is taken gives at least one event; each that is not is counted by its reason. Of the
updates that an item brings (one per table), those that became no event are told as refusals.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET

from gex_pipeline.feeds.schwab.fields import (
    EQUITIES,
    ITEMS,
    ONE_TABLE,
    OPTIONS,
    BookItem,
    EquityCandleItem,
    FutureCandleItem,
    Item,
    Service,
)
from gex_pipeline.feeds.schwab.numbers import newest_ns
from gex_pipeline.feeds.schwab.optionrows import Fields, made_usual, put, read_usual
from gex_pipeline.feeds.schwab.subject import EVENTS, QUOTED, TRADED, Subject, merge, subject_of
from gex_pipeline.feeds.schwab.updates import NOWHERE, Place, calendar_of_key
from gex_pipeline.feeds.schwab.whole import book_events, candle_events
from gex_pipeline.market.codec import Row, event_of
from gex_pipeline.market.events import Event, Quote, Trade
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import to_schwab

_SERVICES = frozenset(get_args(Service))

_TABLE_OF: dict[type[Event], str] = {Quote: "quotes", Trade: "trades"}

Reason = Literal[
    "json",
    "service",
    "item",
    "symbol",
    "empty",
    "index_quote",
    "no_price",
    "incomplete",
    "level",
]
"""json: unreadable. service, symbol: not one that we know. item: a field is of a wrong kind. empty:
no field of ours. index_quote: an index has no quote. no_price: a sale whose price never came.
incomplete: a candle without a price or its time, a book without a side. level: of a book, a price
or size that is no number."""


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


class Decoder:
    """Holds the state of every symbol of one connection."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.refusals: list[Refusal] = []
        """Of the blocks since the last `drain`."""
        self._subjects: dict[Service, dict[str, Subject | None]] = {name: {} for name in ITEMS}
        self._items = {name: msgspec.json.Decoder(list[kind]) for name, kind in ITEMS.items()}  # type: ignore[valid-type] # a value
        self._one = {name: msgspec.json.Decoder(kind) for name, kind in ITEMS.items()}
        self._raws = msgspec.json.Decoder(list[msgspec.Raw])

    def forget(self) -> None:
        """Drop every state: a new connection sends full images first."""
        for subjects in self._subjects.values():
            subjects.clear()

    def price(self, symbol: str) -> float | None:
        """Return the newest price of a share or index; None: this connection has told of none."""
        subject = self._subjects[EQUITIES].get(to_schwab(symbol))
        return None if subject is None else subject.state.get("last")

    def events(self, block: Block, ts_recv_ns: int) -> Iterator[tuple[Calendar, Event]]:
        """Yield the events of one block with the calendar of their tape, tape after tape."""
        for calendar, found in self.rows(block, ts_recv_ns).items():
            for each in found:
                yield calendar, event_of(each) if isinstance(each, list) else each

    def rows(self, block: Block, ts_recv_ns: int) -> Mapping[Calendar, list[Event | Row]]:
        """Return the events of one block by their tape's calendar, those of options as rows."""
        found: defaultdict[Calendar, list[Event | Row]] = defaultdict(list)
        sent_ns = newest_ns(block.timestamp) or ts_recv_ns
        if block.service == OPTIONS:
            self._options(block.content, (sent_ns, ts_recv_ns), found)
        elif block.service in _SERVICES:
            service: Service = block.service  # type: ignore[assignment] # it is one of them
            for item in self._decoded(service, block.content):
                self.tally.received += 1
                subject = self._subject_of(service, item)
                if subject is None:
                    continue
                if events := self._events(service, subject, item, (sent_ns, ts_recv_ns)):
                    self.tally.taken += 1
                    found[subject.calendar] += events
        else:
            self._reject("service", block.content)
        return found

    def _options(
        self,
        content: msgspec.Raw,
        stamps: tuple[int, int],
        found: defaultdict[Calendar, list[Event | Row]],
    ) -> None:
        """Add the rows of a block of options. Stamps: sent, received."""
        subjects, received, taken = self._subjects[OPTIONS], 0, 0
        for item, fields in self._read_options(content):
            subject = subjects.get(fields["key"]) or self._subject(OPTIONS, fields["key"])
            if subject is None:
                self._refuse("symbol", item, [_option_place(calendar_of_key(fields["key"]))])
            elif len(fields) == 1:
                self._refuse("empty", item, [_option_place(subject.calendar)])
            else:
                found[subject.calendar].append(put(subject.known, fields, *stamps))
                taken += 1
            received += 1
        self.tally.received += received
        self.tally.taken += taken

    def _read_options(self, content: msgspec.Raw) -> Iterable[tuple[Item | Fields, Fields]]:
        """Return the items of a block and their fields."""
        try:
            usual = read_usual(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            items = self._decoded(OPTIONS, content)
            return [(item, made_usual(item)) for item in items]
        return zip(usual, usual, strict=True)

    def _subject_of(self, service: Service, item: Item) -> Subject | None:
        """Return the subject of an item; one whose symbol is none of the service is refused."""
        subject = self._subject(service, item.key)
        if subject is None:
            places = _places(service, calendar_of_key(item.key), _given(item))
            self._refuse("symbol", item, places)
        return subject

    def _events(
        self, service: Service, subject: Subject, item: Item, stamps: tuple[int, int]
    ) -> tuple[Event, ...]:
        """Return what an item becomes; what became nothing is refused. Stamps: sent, received."""
        read = EVENTS.get(service)
        if read is None:
            return self._whole(service, subject, item, stamps)
        changed = merge(subject.state, item)
        events = read(subject, changed, *stamps)
        if service not in ONE_TABLE or not events:
            self._tell_missing(service, subject, item, changed, events)
        if not events:
            self.tally.rejected["empty"] += 1
        return events

    def _whole(
        self, service: Service, subject: Subject, item: Item, stamps: tuple[int, int]
    ) -> tuple[Event, ...]:
        """Return a candle or a book, or nothing where it is refused."""
        if isinstance(item, BookItem):
            found = book_events(subject, service, item, *stamps)
        elif isinstance(item, EquityCandleItem | FutureCandleItem):
            found = candle_events(subject, item, stamps[1])
        else:
            raise TypeError(service)
        if isinstance(found, str):
            self._refuse(found, item, _places(service, subject.calendar, frozenset()))
            return ()
        return found

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

    def _subject(self, service: Service, key: str) -> Subject | None:
        subjects = self._subjects[service]
        try:
            return subjects[key]
        except KeyError:
            found = subjects[key] = subject_of(service, key)
            return found

    def _tell_missing(
        self,
        service: Service,
        subject: Subject,
        item: Item,
        changed: frozenset[str],
        events: tuple[Event, ...],
    ) -> None:
        """Note the updates of an item of which no event tells."""
        made = {_TABLE_OF.get(type(event), "option_quotes") for event in events}
        for place in _places(service, subject.calendar, changed):
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

    def _refuse(self, reason: Reason, item: Item | Fields, places: Sequence[Place]) -> None:
        self.tally.rejected[reason] += 1
        self._note(reason, msgspec.json.encode(item), places)

    def _note(self, reason: Reason, item: bytes, places: Sequence[Place]) -> None:
        self.refusals.extend(Refusal(place, reason, item) for place in places)


# --- which updates an item brings -----------------------------------------------------------------


def _option_place(calendar: Calendar) -> Place:
    return Place(calendar, ONE_TABLE[OPTIONS])


def _places(service: Service, calendar: Calendar, given: frozenset[str]) -> list[Place]:
    """Return a place for each update of an item with these fields."""
    if table := ONE_TABLE.get(service):
        return [Place(calendar, table)]
    sold = not given.isdisjoint(TRADED)
    quoted = not given.isdisjoint(QUOTED) or ("quote_ms" in given and not sold)
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
    given = frozenset(names[each] for each in fields if each in names)
    return _places(service, calendar_of_key(key), given)


def _given(item: Item) -> frozenset[str]:
    names = item.__struct_fields__
    return frozenset(name for name in names if name != "key" and getattr(item, name) is not UNSET)
