"""Newest trade and quote of a symbol, and newest quotes of its options, each with its age."""

from typing import Any, Final

import msgspec

from gex_pipeline.errors import CodecError, GexError, NoDataError, UnavailableError
from gex_pipeline.gateway.age import freshness
from gex_pipeline.gateway.answer import stamp
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.lookup import look_up
from gex_pipeline.gateway.read import CONVENTION, Gateway
from gex_pipeline.hot.batch import BATCH_FIELD, unpack_events
from gex_pipeline.market.codec import decode_json
from gex_pipeline.market.events import Event, OptionQuote, Quote, Trade
from gex_pipeline.market.symbology import to_canonical

MOST_OPTIONS: Final = 5000
_ENTRIES: Final = 400
_STREAM: Final = "stream"
_REST: Final = "rest"


async def newest_market(gateway: Gateway, text: str) -> dict[str, Any]:
    """Return the newest trade and quote of a symbol in any spelling, and where they are from.

    `price` is the trade's; of a symbol without trades, the middle of its quote. `source` is
    "stream", or "rest" for what was asked for: while the stream was down, or just now because the
    symbol is not streamed. Of a replay nothing is asked for.

    Raises:
        SymbolError: not a symbol.
        NoDataError: nothing of it is in a replay.
        UnknownSymbolError: it is not streamed, and the vendor does not know it.
        UnavailableError: the hot store does not answer; it is not streamed and nobody can ask.
    """
    symbol = to_canonical(text)
    fields = await gateway.hash(gateway.place.keys.last(symbol))
    trade, quote = _event(fields.get("trade")), _event(fields.get("quote"))
    if trade is None and quote is None:
        if gateway.place.session:
            raise NoDataError("trade or quote", symbol)
        return await _looked_up(gateway, symbol)
    try:
        return _newest(gateway, symbol, trade, quote)
    except UnavailableError as too_old:
        if gateway.place.session:
            raise
        try:  # it is streamed no more
            return await _looked_up(gateway, symbol)
        except GexError:
            raise too_old from None


async def newest_options(gateway: Gateway, text: str, limit: int) -> dict[str, Any]:
    """Return the newest quote of each contract that moved in the last minutes, newest first.

    Raises:
        SymbolError: not a symbol.
        NoDataError: no option of it has moved.
        UnavailableError: the hot store does not answer, or what it has is too old.
    """
    symbol = gateway.symbol(text)
    quotes = await _option_quotes(gateway, symbol, min(limit, MOST_OPTIONS))
    if not quotes:
        raise NoDataError("option quote", symbol)
    return {
        "symbol": symbol,
        **_stamped(gateway, symbol, max(quote.ts_recv_ns for quote in quotes)),
        "count": len(quotes),
        "options": [_shown(quote) for quote in quotes],
    }


def _newest(
    gateway: Gateway, symbol: str, trade: Event | None, quote: Event | None
) -> dict[str, Any]:
    """Return what the stream, or in its place the poll, has told last."""
    events = [event for event in (trade, quote) if isinstance(event, Trade | Quote)]
    newest = max(events, key=lambda event: event.ts_recv_ns)
    return {
        "symbol": symbol,
        **_stamped(gateway, symbol, newest.ts_recv_ns),
        "source": _REST if newest.streamed is False else _STREAM,
        "price": _price(trade, quote),
        "trade": _shown(trade),
        "quote": _shown(quote),
    }


async def _looked_up(gateway: Gateway, symbol: str) -> dict[str, Any]:
    looked = await look_up(gateway, symbol)
    option = looked.option
    answer = {
        "symbol": symbol,
        **_stamped(gateway, symbol, looked.ts_recv_ns),
        "source": looked.source,
        "delayed": looked.delayed,
        "price": _price(looked.trade, looked.quote or option),
        "trade": _shown(looked.trade),
        "quote": _shown(looked.quote),
    }
    return answer | ({"option": _shown(option)} if option is not None else {})


async def _option_quotes(gateway: Gateway, symbol: str, limit: int) -> list[OptionQuote]:
    """Return the newest quote of each contract, newest first; damaged batches are left out."""
    name = gateway.place.keys.options(symbol)
    try:
        entries: Any = await gateway.store.xrevrange(name, count=_ENTRIES)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    newest: dict[str, OptionQuote] = {}
    for _, fields in entries:
        for event in reversed(_batch(fields.get(BATCH_FIELD, b""))):
            if isinstance(event, OptionQuote):
                newest.setdefault(event.symbol, event)
        if len(newest) >= limit:
            break
    return list(newest.values())[:limit]


def _batch(data: bytes) -> list[Event]:
    try:
        return unpack_events(data)
    except CodecError:
        return []


def _stamped(gateway: Gateway, symbol: str, ts_ns: int) -> dict[str, Any]:
    place = gateway.place
    fresh = freshness(symbol, ts_ns, gateway.now_ns(), place.limits)
    if fresh.unavailable:
        raise UnavailableError(
            "too_old",
            f"The newest data of {symbol} are {fresh.age_s:.0f} s old and the market is open.",
            "See which service stands still: GET /api/v1/status",
        )
    return {
        **stamp(place.mode, fresh, place.session),
        "convention": CONVENTION,
        "ts_recv_ns": ts_ns,
    }


def _event(text: str | None) -> Event | None:
    """Return the stored event; None where there is none, or another version wrote it."""
    try:
        return decode_json(text) if text else None
    except CodecError:
        return None


def _price(trade: Event | None, quote: Event | None) -> float | None:
    if isinstance(trade, Trade):
        return trade.price
    if isinstance(quote, Quote | OptionQuote) and quote.bid is not None and quote.ask is not None:
        return (quote.bid + quote.ask) / 2
    return None


def _shown(event: Event | None) -> dict[str, Any] | None:
    """Return an event as an object of named fields."""
    return msgspec.structs.asdict(event) if event is not None else None
