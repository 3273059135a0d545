"""The socket's own count: how many updates of which table a frame or an answer brings.

It looks at what came, not at what the decoder makes of it, by a rule that another reader can repeat
(docs/quality.md, "What counts as one update"), so that the decoder cannot lose one unseen.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.feeds.schwab.fields import EQUITIES, FOREX, FUTURES, ONE_TABLE
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of, to_canonical

UNTOLD = ""
"""Table of what cannot be told to be of any; such updates count on the equity tape."""
UNTOLD_CALENDAR: Calendar = "equity"


class Place(NamedTuple):
    """The tape's calendar, and the table that an update is meant for."""

    calendar: Calendar
    table: str


NOWHERE = Place(UNTOLD_CALENDAR, UNTOLD)

_TABLES = frozenset({"quotes", "trades", *ONE_TABLE.values()})

_Field = Raw | UnsetType


class _KeyedItem(msgspec.Struct, gc=False):
    key: str


class _EquityItem(msgspec.Struct):
    key: str
    bid: _Field = field(default=UNSET, name="1")
    ask: _Field = field(default=UNSET, name="2")
    bid_size: _Field = field(default=UNSET, name="4")
    ask_size: _Field = field(default=UNSET, name="5")
    quote_ms: _Field = field(default=UNSET, name="34")
    last: _Field = field(default=UNSET, name="3")
    volume: _Field = field(default=UNSET, name="8")
    last_size: _Field = field(default=UNSET, name="9")
    trade_ms: _Field = field(default=UNSET, name="35")


class _FutureItem(msgspec.Struct):
    key: str
    bid: _Field = field(default=UNSET, name="1")
    ask: _Field = field(default=UNSET, name="2")
    bid_size: _Field = field(default=UNSET, name="4")
    ask_size: _Field = field(default=UNSET, name="5")
    quote_ms: _Field = field(default=UNSET, name="10")
    last: _Field = field(default=UNSET, name="3")
    volume: _Field = field(default=UNSET, name="8")
    last_size: _Field = field(default=UNSET, name="9")
    trade_ms: _Field = field(default=UNSET, name="11")


class _ForexItem(msgspec.Struct):
    key: str
    bid: _Field = field(default=UNSET, name="1")
    ask: _Field = field(default=UNSET, name="2")
    bid_size: _Field = field(default=UNSET, name="4")
    ask_size: _Field = field(default=UNSET, name="5")
    quote_ms: _Field = field(default=UNSET, name="8")
    last: _Field = field(default=UNSET, name="3")
    volume: _Field = field(default=UNSET, name="6")
    last_size: _Field = field(default=UNSET, name="7")
    trade_ms: _Field = field(default=UNSET, name="9")


_LevelOneItem = _EquityItem | _FutureItem | _ForexItem
_ITEMS: dict[str, type[msgspec.Struct]] = {
    EQUITIES: _EquityItem,
    FUTURES: _FutureItem,
    FOREX: _ForexItem,
    **dict.fromkeys(ONE_TABLE, _KeyedItem),
}


class _Chain(msgspec.Struct, rename="camel"):
    call_exp_date_map: dict[str, dict[str, list[Raw]]] | None = None
    put_exp_date_map: dict[str, dict[str, list[Raw]]] | None = None


_chains = msgspec.json.Decoder(_Chain)
_raws = msgspec.json.Decoder(list[Raw])


class SocketCount:
    """Counts frames; it remembers only which tape a key belongs to."""

    def __init__(self) -> None:
        self._places = {name: _Places(name) for name in _TABLES}
        self._lists = {name: msgspec.json.Decoder(list[kind]) for name, kind in _ITEMS.items()}  # type: ignore[valid-type] # a value
        self._ones = {name: msgspec.json.Decoder(kind) for name, kind in _ITEMS.items()}

    def of_block(self, service: str, content: Raw) -> Mapping[Place, int]:
        """Return the updates of one service's part of a frame."""
        if service not in _ITEMS:
            return {NOWHERE: 1}
        try:
            items: Sequence[Any] = self._lists[service].decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._one_by_one(service, content)
        return self._counted(service, items)

    def _one_by_one(self, service: str, content: Raw) -> Mapping[Place, int]:
        try:
            raws: Sequence[Raw] = _raws.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {NOWHERE: 1}
        found: Counter[Place] = Counter()
        for raw in raws:
            try:
                item = self._ones[service].decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                found[NOWHERE] += 1
            else:
                found.update(self._counted(service, [item]))
        return found

    def _counted(self, service: str, items: Sequence[Any]) -> Mapping[Place, int]:
        if table := ONE_TABLE.get(service):
            places = self._places[table]
            return Counter([places[item.key] for item in items])
        found: Counter[Place] = Counter()
        for item in items:
            quoted, sold = _is_quote(item), _is_sale(item)
            if quoted:
                found[self._places["quotes"][item.key]] += 1
            if sold:
                found[self._places["trades"][item.key]] += 1
            if not quoted and not sold:
                found[NOWHERE] += 1
        return found


class _Places(dict[str, Place]):
    """Places of one table by key; they are worked out once."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __missing__(self, key: str) -> Place:
        place = self[key] = Place(calendar_of_key(key), self._table)
        return place


def calendar_of_key(key: str) -> Calendar:
    """Return the calendar of a key; a key that names nothing counts on the equity tape."""
    try:
        return calendar_of(to_canonical(key))
    except (SymbolError, ContractError):
        return UNTOLD_CALENDAR


def count_chain(data: bytes) -> int | None:
    """Return how many contracts a chain's answer lists; None: it is no such answer."""
    try:
        answer = _chains.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return sum(
        len(rows)
        for dates in (answer.call_exp_date_map, answer.put_exp_date_map)
        for strikes in (dates or {}).values()
        for rows in strikes.values()
    )


class _QuotedFields(msgspec.Struct, rename="camel"):
    bid_price: float | str | None = None
    ask_price: float | str | None = None
    last_price: float | str | None = None


class _QuotedOne(msgspec.Struct, rename="camel"):
    symbol: str = ""
    asset_main_type: str = ""
    quote: _QuotedFields | None = None


_quoted = msgspec.json.Decoder(dict[str, Raw])
_quoted_one = msgspec.json.Decoder(_QuotedOne)


def count_quotes(data: bytes) -> Mapping[Place, int]:
    """Return the updates of an answer of /quotes for shares, funds, indexes and futures."""
    found: Counter[Place] = Counter()
    try:
        ones = _quoted.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {NOWHERE: 1}
    for key, raw in ones.items():
        if key == "errors":
            continue
        try:
            one = _quoted_one.decode(raw)
        except msgspec.DecodeError:
            return {NOWHERE: 1}
        fields = one.quote or _QuotedFields()
        calendar, is_index = calendar_of_key(key), one.asset_main_type == "INDEX"
        sides = fields.bid_price is not None or fields.ask_price is not None
        found[Place(calendar, "quotes")] += sides and not is_index
        found[Place(calendar, "trades")] += _is_price(fields.last_price)
    return +found


def _is_price(value: float | str | None) -> bool:
    try:
        return value is not None and 0 < float(value) < math.inf
    except ValueError:
        return False


def _is_sale(item: _LevelOneItem) -> bool:
    return not (item.last is item.volume is item.last_size is item.trade_ms is UNSET)


def _is_quote(item: _LevelOneItem) -> bool:
    """Whether a side of the quote is there, or the quote's time and nothing of a sale."""
    if not (item.bid is item.ask is item.bid_size is item.ask_size is UNSET):
        return True
    return item.quote_ms is not UNSET and not _is_sale(item)
