"""Futures as their tape tells of them: the newest quote of each, and which counts for a root.

Nothing is known of what was said longer than a minute ago: so whoever reads the tape on from a
minute before a second knows of it what one who read everything does.
"""

import datetime
from collections.abc import Mapping
from typing import Final

import msgspec

from gex_pipeline.market.events import Event, Quote, Trade
from gex_pipeline.market.futures import INDEX_OF, TWIN_OF, expiry_of, month_of, root_of
from gex_pipeline.market.sessions import SECOND_NS

FRESH_NS: Final = 5 * SECOND_NS
"""A price that was received longer ago is none of this second."""
LOOK_BACK_NS: Final = 60 * SECOND_NS


class Seen(msgspec.Struct, frozen=True):
    """The newest that was said of one symbol."""

    symbol: str
    """As it is asked for: a root, or a contract."""
    contract: str | None = None
    """That it stands for, as far as the source says."""
    mid: float | None = None
    """None: one side of the quote is missing."""
    quote_ns: int = 0
    """Receipt of the quote."""
    volume: int = 0
    """Of the session, at the newest trade."""
    trade_ns: int = 0


class Taken(msgspec.Struct, frozen=True):
    """What counts for a root at one second; without a fresh quote nothing does."""

    contract: str | None = None
    """Of that root, whoever is quoted."""
    quoted: str | None = None
    mid: float | None = None


Book = Mapping[str, Seen]
NOTHING: Final = Taken()


def with_event(book: Book, event: Event) -> Book:
    """Return the book with what an event says of an index future; the same one if nothing."""
    if not isinstance(event, Quote | Trade) or root_of(event.symbol) not in INDEX_OF:
        return book
    known = book.get(event.symbol) or Seen(event.symbol)
    if isinstance(event, Quote):
        new = msgspec.structs.replace(
            known, contract=_contract(event), mid=_mid(event), quote_ns=event.ts_recv_ns
        )
    else:
        new = msgspec.structs.replace(
            known, volume=event.volume or known.volume, trade_ns=event.ts_recv_ns
        )
    return {**book, event.symbol: new}


def taken(book: Book, root: str, ts_ns: int) -> Taken:
    """Return whose quote counts for a root: its own, its contracts', else those of its twin.

    Of several contracts the one with the highest volume is the front, and no other stands in for
    it; of equal ones the nearest.
    """
    for each in (root, TWIN_OF[root]):
        for seen in (book.get(each), _front(book, each, ts_ns)):
            if seen and seen.mid is not None and ts_ns - seen.quote_ns <= FRESH_NS:
                contract = f"{root}{month_of(seen.contract)}" if seen.contract else None
                return Taken(contract, seen.symbol, seen.mid)
    return NOTHING


def _front(book: Book, root: str, ts_ns: int) -> Seen | None:
    """Return the contract of a root that trades most, of those that are asked for by themselves."""
    since_ns = ts_ns - LOOK_BACK_NS
    dated = [
        seen
        for seen in book.values()
        if root_of(seen.symbol) == root != seen.symbol
        and max(seen.quote_ns, seen.trade_ns) >= since_ns
    ]

    def rank(seen: Seen) -> tuple[int, datetime.date]:
        volume = seen.volume if seen.trade_ns >= since_ns else 0
        return -volume, expiry_of(seen.symbol)

    return min(dated, key=rank, default=None)


def _contract(quote: Quote) -> str | None:
    """Return the contract of a quote: its own symbol, or what its root stands for."""
    told = quote.symbol if month_of(quote.symbol) else quote.contract
    return told if told and root_of(told) == root_of(quote.symbol) and month_of(told) else None


def _mid(quote: Quote) -> float | None:
    if quote.bid is None or quote.ask is None or not 0 < quote.bid <= quote.ask:
        return None
    return (quote.bid + quote.ask) / 2
