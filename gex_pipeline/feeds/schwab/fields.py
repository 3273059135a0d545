"""Schwab's numbered stream fields: what we ask for, by service, as typed facts of one item.

A field that an item lacks is UNSET, which means unchanged; null is a number that Schwab lacks.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType, field

Service = Literal["LEVELONE_EQUITIES", "LEVELONE_OPTIONS", "LEVELONE_FUTURES"]
EQUITIES: Service = "LEVELONE_EQUITIES"
OPTIONS: Service = "LEVELONE_OPTIONS"
FUTURES: Service = "LEVELONE_FUTURES"

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


ITEMS: dict[Service, type[Item]] = {
    EQUITIES: EquityItem,
    OPTIONS: OptionItem,
    FUTURES: FutureItem,
}


def field_numbers(service: Service) -> tuple[int, ...]:
    """Return the numbers to ask for, ascending from 0, the symbol."""
    names = (each.encode_name for each in msgspec.structs.fields(ITEMS[service]))
    return (0, *sorted(int(name) for name in names if name.isdigit()))
