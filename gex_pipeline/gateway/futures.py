"""Figures of futures and views: those of their index, moved by the newest basis."""

import time
from typing import TYPE_CHECKING, Final

import msgspec

from gex_pipeline.errors import CodecError, NoIndexError, NotFrontError, NotServedError
from gex_pipeline.exposure.futures import FutureBasis, InForce, in_force, moved, of_row
from gex_pipeline.gateway.age import Freshness
from gex_pipeline.gateway.answer import FuturePrice, Image, split_snapshot
from gex_pipeline.market.codec import decode_json
from gex_pipeline.market.events import Basis, Quote
from gex_pipeline.market.futures import (
    ROOT_OF_VIEW,
    TWIN_OF,
    index_of,
    month_of,
    root_of,
)
from gex_pipeline.market.sessions import SECOND_NS

if TYPE_CHECKING:
    from gex_pipeline.gateway.read import Gateway, Snapshot

_QUOTE_EVERY_S: Final = 1.0
_MOST_KEPT: Final = 64
_board = msgspec.json.Decoder(dict[str, FutureBasis])


class _Move(msgspec.Struct, frozen=True):
    made_from: bytes
    by: tuple[float | None, str | None]
    image: Image


class Moves:
    """Snapshots that were moved, each made once, and the futures' newest quotes, a second long."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, str], _Move] = {}
        self._quotes: dict[str, tuple[float, Quote | None]] = {}

    def image(self, symbol: str, scope: str, index: Image, basis: InForce) -> Image:
        """Return an index's snapshot as that of a future or view."""
        known, by = self._images.get((symbol, scope)), (basis.points, basis.reason)
        if known is not None and known.made_from is index.value and known.by == by:
            return known.image
        figures = moved(msgspec.json.decode(index.value), symbol, basis)
        image = split_snapshot(msgspec.json.encode(figures))
        self._images.pop((symbol, scope), None)
        while len(self._images) >= _MOST_KEPT:  # any date is a scope
            self._images.pop(next(iter(self._images)))
        self._images[symbol, scope] = _Move(index.value, by, image)
        return image

    async def quote(self, gateway: "Gateway", symbol: str) -> Quote | None:
        """Return the newest quote of a future, read from the store once a second at most.

        Raises:
            UnavailableError: the hot store does not answer.
        """
        read_s, quote = self._quotes.get(symbol, (-_QUOTE_EVERY_S, None))
        if time.monotonic() - read_s >= _QUOTE_EVERY_S:
            fields = await gateway.hash(gateway.place.keys.last(symbol))
            quote = _quote(fields.get("quote"))
            self._quotes[symbol] = (time.monotonic(), quote)
        return quote


def check_future(symbol: str, served: tuple[str, ...]) -> str:
    """Return the future or view, if the index whose levels it shows is among those served.

    Raises:
        NotServedError: it is not, or there is no such index.
    """
    index = index_of(symbol)
    if index is None:
        raise NoIndexError(symbol, tuple(ROOT_OF_VIEW))
    if index not in served:
        raise NotServedError(symbol, served, index=index)
    return symbol


async def future_snapshot(gateway: "Gateway", symbol: str, scope: str) -> "Snapshot":
    """Return the newest figures of a future or view.

    Raises:
        NotFrontError: a contract that its root does not stand for.
        ConventionError, UnavailableError: as Gateway.gex.
    """
    snapshot = await gateway.gex(index_of(symbol) or "", scope)
    basis, price = await basis_of(gateway, symbol)
    return msgspec.structs.replace(
        snapshot,
        image=gateway.moves.image(symbol, scope, snapshot.image, basis),
        fresh=aged(snapshot.fresh, basis),
        beside={"basis": basis, "future_price": price},
    )


async def basis_of(gateway: "Gateway", symbol: str) -> tuple[InForce, FuturePrice | None]:
    """Return the basis of a future or view at this moment, and the future's own price.

    Raises:
        NotFrontError: a contract that its root does not stand for.
        UnavailableError: the hot store does not answer.
    """
    root, index = root_of(symbol), index_of(symbol) or ""
    entry = await gateway.listen(gateway.place.keys.basis(index))
    known = decode_board(entry.value).get(root)
    quote = await _newest_quote(gateway, root, known)
    now_ns = gateway.now_ns()
    basis = in_force(
        root, known, now_ns, gateway.place.limits.basis_stale_after_s, _contract(root, quote)
    )
    check_front(symbol, basis.contract)
    return basis, _price(quote, now_ns)


def basis_then(
    symbol: str, row: Basis | None, then_ns: int, stale_after_s: float
) -> tuple[InForce, FuturePrice | None]:
    """Return the basis of a future as of a moment, and the future's own price.

    `row` is what was recorded of the second.

    Raises:
        NotFrontError: a contract that its root did not stand for.
    """
    root, known = root_of(symbol), of_row(row) if row else None
    basis = in_force(root, known, then_ns, stale_after_s, None)
    if known is None:
        basis = msgspec.structs.replace(basis, reason="not_recorded")
    check_front(symbol, basis.contract)
    price = None
    if known is not None and known.mid is not None:
        age_s = round((then_ns - known.ts_ns) / SECOND_NS, 3)
        price = FuturePrice(mid=known.mid, age_s=age_s, quoted=known.quoted or root)
    return basis, price


def moved_image(data: bytes, symbol: str, basis: InForce) -> Image:
    """Return an index's snapshot as that of a future or view."""
    return split_snapshot(msgspec.json.encode(moved(msgspec.json.decode(data), symbol, basis)))


def aged(fresh: Freshness, basis: InForce) -> Freshness:
    """Return how fresh an index's figures are that were moved by a basis."""
    return msgspec.structs.replace(
        fresh,
        age_s=max(fresh.age_s, basis.age_s or 0.0),
        stale=fresh.stale or basis.stale,
    )


def check_front(symbol: str, front: str | None) -> None:
    """Refuse a contract that is not the front one.

    Raises:
        NotFrontError: it is not.
    """
    if month_of(symbol) and symbol != front:
        raise NotFrontError(symbol, root_of(symbol), front)


def decode_board(value: bytes | None) -> dict[str, FutureBasis]:
    """Return the basis by root; bytes that another version wrote are as good as none."""
    try:
        return _board.decode(value) if value else {}
    except msgspec.DecodeError:
        return {}


async def _newest_quote(gateway: "Gateway", root: str, known: FutureBasis | None) -> Quote | None:
    """Return the newest quote of what is quoted for a root."""
    for name in dict.fromkeys((known.quoted if known else None, root, TWIN_OF[root])):
        quote = await gateway.moves.quote(gateway, name) if name else None
        if quote is not None:
            return quote
    return None


def _contract(root: str, quote: Quote | None) -> str | None:
    """Return what a root stands for by now; a contract that is asked for by itself says nothing."""
    if quote is None or quote.contract is None or month_of(quote.symbol):
        return None
    month = month_of(quote.contract)
    return f"{root}{month}" if month else None


def _price(quote: Quote | None, now_ns: int) -> FuturePrice | None:
    if quote is None or quote.bid is None or quote.ask is None or not 0 < quote.bid <= quote.ask:
        return None
    age_s = max(now_ns - quote.ts_recv_ns, 0) / SECOND_NS
    return FuturePrice(mid=(quote.bid + quote.ask) / 2, age_s=round(age_s, 3), quoted=quote.symbol)


def _quote(text: str | None) -> Quote | None:
    try:
        event = decode_json(text) if text else None
    except CodecError:
        return None
    return event if isinstance(event, Quote) else None
