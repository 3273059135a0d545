"""Schwab's numbered stream fields: what we ask for, by service, as typed facts of one item.

A field that an item lacks is UNSET, which means unchanged; null is a number that Schwab lacks.
The numbers are those of the wire. Where the official guide (CHART_EQUITY) or schwab-py's names (a
market maker's time of quote is called SEQUENCE) differ from it, it is said at the field.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from gex_pipeline.market.symbology import Kind

Service = Literal[
    "LEVELONE_EQUITIES",
    "LEVELONE_OPTIONS",
    "LEVELONE_FUTURES",
    "LEVELONE_FUTURES_OPTIONS",
    "LEVELONE_FOREX",
    "CHART_EQUITY",
    "CHART_FUTURES",
    "NYSE_BOOK",
    "NASDAQ_BOOK",
    "OPTIONS_BOOK",
]
EQUITIES: Final = "LEVELONE_EQUITIES"
OPTIONS: Final = "LEVELONE_OPTIONS"
FUTURES: Final = "LEVELONE_FUTURES"
FUTURES_OPTIONS: Final = "LEVELONE_FUTURES_OPTIONS"
FOREX: Final = "LEVELONE_FOREX"
CHART_EQUITY: Final = "CHART_EQUITY"
CHART_FUTURES: Final = "CHART_FUTURES"
NYSE_BOOK: Final = "NYSE_BOOK"
NASDAQ_BOOK: Final = "NASDAQ_BOOK"
OPTIONS_BOOK: Final = "OPTIONS_BOOK"

CHARTS: Final = frozenset({CHART_EQUITY, CHART_FUTURES})
BOOKS: Final = frozenset({NYSE_BOOK, NASDAQ_BOOK, OPTIONS_BOOK})

Given = float | str | UnsetType | None
"""A number as Schwab writes it; "NaN" is text."""


class Item(msgspec.Struct):
    """One symbol's part of a frame; Schwab's key for it is in every one."""

    key: str


class EquityItem(Item):
    """LEVELONE_EQUITIES: shares, funds and cash indexes."""

    bid: Given = field(default=UNSET, name="1")
    ask: Given = field(default=UNSET, name="2")
    last: Given = field(default=UNSET, name="3")
    bid_size: Given = field(default=UNSET, name="4")
    ask_size: Given = field(default=UNSET, name="5")
    last_size: Given = field(default=UNSET, name="9")
    volume: Given = field(default=UNSET, name="8")
    quote_ms: Given = field(default=UNSET, name="34")
    trade_ms: Given = field(default=UNSET, name="35")


class FutureItem(Item):
    """LEVELONE_FUTURES."""

    bid: Given = field(default=UNSET, name="1")
    ask: Given = field(default=UNSET, name="2")
    last: Given = field(default=UNSET, name="3")
    bid_size: Given = field(default=UNSET, name="4")
    ask_size: Given = field(default=UNSET, name="5")
    last_size: Given = field(default=UNSET, name="9")
    volume: Given = field(default=UNSET, name="8")
    quote_ms: Given = field(default=UNSET, name="10")
    trade_ms: Given = field(default=UNSET, name="11")
    contract: str | UnsetType | None = field(default=UNSET, name="34")
    """That a root stands for."""


class OptionItem(Item):
    """LEVELONE_OPTIONS."""

    bid: Given = field(default=UNSET, name="2")
    ask: Given = field(default=UNSET, name="3")
    last: Given = field(default=UNSET, name="4")
    bid_size: Given = field(default=UNSET, name="16")
    ask_size: Given = field(default=UNSET, name="17")
    last_size: Given = field(default=UNSET, name="18")
    volume: Given = field(default=UNSET, name="8")
    quote_ms: Given = field(default=UNSET, name="38")
    trade_ms: Given = field(default=UNSET, name="39")
    open_interest: Given = field(default=UNSET, name="9")
    iv_percent: Given = field(default=UNSET, name="10")
    delta: Given = field(default=UNSET, name="28")
    gamma: Given = field(default=UNSET, name="29")
    theta: Given = field(default=UNSET, name="30")
    vega: Given = field(default=UNSET, name="31")
    rho: Given = field(default=UNSET, name="32")
    underlying_price: Given = field(default=UNSET, name="35")
    mark: Given = field(default=UNSET, name="37")
    settlement: str | UnsetType | None = field(default=UNSET, name="43")


class FutureOptionItem(Item):
    """LEVELONE_FUTURES_OPTIONS: neither greeks nor volatility."""

    bid: Given = field(default=UNSET, name="1")
    ask: Given = field(default=UNSET, name="2")
    last: Given = field(default=UNSET, name="3")
    bid_size: Given = field(default=UNSET, name="4")
    ask_size: Given = field(default=UNSET, name="5")
    last_size: Given = field(default=UNSET, name="9")
    volume: Given = field(default=UNSET, name="8")
    quote_ms: Given = field(default=UNSET, name="10")
    trade_ms: Given = field(default=UNSET, name="11")
    open_interest: Given = field(default=UNSET, name="18")
    mark: Given = field(default=UNSET, name="19")
    underlying: str | UnsetType | None = field(default=UNSET, name="24")
    """The future, as Schwab spells futures."""


class ForexItem(Item):
    """LEVELONE_FOREX: a pair of currencies."""

    bid: Given = field(default=UNSET, name="1")
    ask: Given = field(default=UNSET, name="2")
    last: Given = field(default=UNSET, name="3")
    bid_size: Given = field(default=UNSET, name="4")
    ask_size: Given = field(default=UNSET, name="5")
    last_size: Given = field(default=UNSET, name="7")
    volume: Given = field(default=UNSET, name="6")
    quote_ms: Given = field(default=UNSET, name="8")
    trade_ms: Given = field(default=UNSET, name="9")


class EquityCandleItem(Item):
    """CHART_EQUITY in the order of the wire; the official guide has another one, which is wrong."""

    sequence: Given = field(default=UNSET, name="1")
    """Number of the minute within the day."""
    open: Given = field(default=UNSET, name="2")
    high: Given = field(default=UNSET, name="3")
    low: Given = field(default=UNSET, name="4")
    close: Given = field(default=UNSET, name="5")
    volume: Given = field(default=UNSET, name="6")
    chart_ms: Given = field(default=UNSET, name="7")
    chart_day: Given = field(default=UNSET, name="8")
    """Days since 1970."""


class FutureCandleItem(Item):
    """CHART_FUTURES: no sequence."""

    chart_ms: Given = field(default=UNSET, name="1")
    open: Given = field(default=UNSET, name="2")
    high: Given = field(default=UNSET, name="3")
    low: Given = field(default=UNSET, name="4")
    close: Given = field(default=UNSET, name="5")
    volume: Given = field(default=UNSET, name="6")


class Level(msgspec.Struct):
    """A price of a book.

    Of each market maker in field 3 the wire has 0 its name, 1 its size, and 2 the time of its quote
    in milliseconds since midnight in New York, which schwab-py calls SEQUENCE. We keep the sums.
    """

    price: Given = field(default=UNSET, name="0")
    size: Given = field(default=UNSET, name="1")
    """Of all market makers together."""


class BookItem(Item):
    """NYSE_BOOK, NASDAQ_BOOK, OPTIONS_BOOK: the whole book each time."""

    book_ms: Given = field(default=UNSET, name="1")
    bids: list[Level] | UnsetType | None = field(default=UNSET, name="2")
    asks: list[Level] | UnsetType | None = field(default=UNSET, name="3")


ITEMS: Mapping[Service, type[Item]] = {
    EQUITIES: EquityItem,
    OPTIONS: OptionItem,
    FUTURES: FutureItem,
    FUTURES_OPTIONS: FutureOptionItem,
    FOREX: ForexItem,
    CHART_EQUITY: EquityCandleItem,
    CHART_FUTURES: FutureCandleItem,
    NYSE_BOOK: BookItem,
    NASDAQ_BOOK: BookItem,
    OPTIONS_BOOK: BookItem,
}

KINDS: Mapping[Service, frozenset[Kind]] = {
    EQUITIES: frozenset({"share", "index"}),
    OPTIONS: frozenset({"option"}),
    FUTURES: frozenset({"future"}),
    FUTURES_OPTIONS: frozenset({"future_option"}),
    FOREX: frozenset({"forex"}),
    CHART_EQUITY: frozenset({"share", "index"}),
    CHART_FUTURES: frozenset({"future"}),
    NYSE_BOOK: frozenset({"share"}),
    NASDAQ_BOOK: frozenset({"share"}),
    OPTIONS_BOOK: frozenset({"option"}),
}
"""What symbols a service has."""

ONE_TABLE: Mapping[str, str] = {
    OPTIONS: "option_quotes",
    FUTURES_OPTIONS: "option_quotes",
    **dict.fromkeys(CHARTS, "candles"),
    **dict.fromkeys(BOOKS, "depth"),
}
"""Services whose items are one update each, and the table that it is meant for."""


def field_numbers(service: Service) -> tuple[int, ...]:
    """Return the numbers to ask for, ascending from 0, the symbol."""
    names = (each.encode_name for each in msgspec.structs.fields(ITEMS[service]))
    return (0, *sorted(int(name) for name in names if name.isdigit()))
