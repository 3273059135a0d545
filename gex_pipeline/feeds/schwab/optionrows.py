"""LEVELONE_OPTIONS by the short way: most of a stream is changes of a few numbers of an option.

An item is decoded to the fields that it has, in the kinds that the event wants, and put over what
is known of its option in the order of the event's row: a copy of the values is the row. What no
usual item has (text for a number, -999, a size below 0) takes the long way, a field at a time.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Required, TypedDict

import msgspec
from msgspec import UNSET, Meta

from gex_pipeline.feeds.schwab.fields import Item, OptionItem
from gex_pipeline.feeds.schwab.numbers import (
    ABSENT,
    BIGGEST,
    LAST_MS,
    NS_PER_MS,
    count_of,
    newest_ns,
    number_of,
    size_of,
)
from gex_pipeline.market.codec import Row, row_of
from gex_pipeline.market.events import OptionQuote

Fields = dict[str, Any]
"""Of an item, by number, `key` beside them; None: Schwab says that there is none."""

_PERCENT: Final = 100.0
_NUMBER: Final = {each.name: each.encode_name for each in msgspec.structs.fields(OptionItem)}
_IV, _QUOTE_MS, _TRADE_MS = (_NUMBER[name] for name in ("iv_percent", "quote_ms", "trade_ms"))
_BESIDE: Final = {_QUOTE_MS: 0, _TRADE_MS: 0, "key": ""}
_ORDER: Final = (
    "",
    *({"iv": _IV, **_NUMBER}.get(name, name) for name in OptionQuote.__struct_fields__),
    *_BESIDE,
)
_PLACE: Final = {name: place for place, name in enumerate(_ORDER)}
"""By number, or by the name of what no item has."""
_SIZE: Final = len(_ORDER) - len(_BESIDE)
_EVENT_NS, _RECV_NS = _PLACE["ts_event_ns"], _PLACE["ts_recv_ns"]
_QUOTE_AT, _TRADE_AT = _PLACE[_QUOTE_MS], _PLACE[_TRADE_MS]

_Price = Annotated[float, Meta(gt=ABSENT, lt=BIGGEST)] | None
_Size = Annotated[float, Meta(ge=0, lt=BIGGEST)] | None
_Count = Annotated[int, Meta(ge=0, lt=int(BIGGEST))] | None
_Time = Annotated[int, Meta(ge=0, le=LAST_MS)] | None
_Settlement = Literal["A", "P"] | None

_KINDS: Final[dict[str, tuple[object, Callable[[Any], object]]]] = {
    **dict.fromkeys(_NUMBER, (_Price, number_of)),
    **dict.fromkeys(
        ("bid_size", "ask_size", "last_size"), (_Size, lambda given: size_of(number_of(given)))
    ),
    **dict.fromkeys(
        ("volume", "open_interest"), (_Count, lambda given: count_of(number_of(given)))
    ),
    **dict.fromkeys(
        ("quote_ms", "trade_ms"), (_Time, lambda given: newest_ns(number_of(given)) // NS_PER_MS)
    ),
    "settlement": (_Settlement, lambda given: given if given in ("A", "P") else None),
    "key": (Required[str], str),
}
"""By name: what a usual value is, and what makes a usual one of any other."""


_Usual: Any = TypedDict(  # type: ignore[misc] # its fields are those of the item
    "_Usual", {_NUMBER[name]: kind for name, (kind, _) in _KINDS.items()}, total=False
)
_decoder: Any = msgspec.json.Decoder(list[_Usual])


def read_usual(content: msgspec.Raw) -> list[Fields]:
    """Return the items of a block.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: one of them is unusual, or none of ours.
    """
    items: list[Fields] = _decoder.decode(content)
    return items


def made_usual(item: Item) -> Fields:
    """Return the fields of any item of an option."""
    given = {name: getattr(item, name) for name in _NUMBER}
    return {
        _NUMBER[name]: _KINDS[name][1](value) for name, value in given.items() if value is not UNSET
    }


def blank(symbol: str, underlying: str) -> Row:
    """Return what is known of an option before its first item: its row, then what it is made of."""
    return [*row_of(OptionQuote(symbol, 0, 0, underlying=underlying)), *_BESIDE.values()]


def put(known: Row, item: Fields, sent_ns: int, ts_recv_ns: int) -> Row:
    """Put an item over what is known and return the option's whole picture."""
    for number, value in item.items():
        known[_PLACE[number]] = value
    if iv_percent := item.get(_IV):
        known[_PLACE[_IV]] = iv_percent / _PERCENT
    quote_ms, trade_ms = known[_QUOTE_AT] or 0, known[_TRADE_AT] or 0
    newest_ms = quote_ms if quote_ms > trade_ms else trade_ms  # max() takes longer
    known[_EVENT_NS] = newest_ms * NS_PER_MS or sent_ns
    known[_RECV_NS] = ts_recv_ns
    return known[:_SIZE]
