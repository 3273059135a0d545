"""Quotes of symbols that are not streamed: the streamer asks the vendor for them."""

from typing import Final

import msgspec

from gex_pipeline.errors import UnavailableError, UnknownSymbolError
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.requests import ask
from gex_pipeline.gateway.streamer import STREAMER, streamer_lives
from gex_pipeline.hot.control import new_request
from gex_pipeline.market.events import OptionQuote, Quote, Trade
from gex_pipeline.market.symbology import to_schwab

_VERB: Final = "quote"
_VENDOR: Final = "Schwab"
_WITHIN_S: Final = 25.0
"""The streamer itself gives up after 20 s."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor said of one symbol when it was asked."""

    symbol: str
    known: bool
    source: str
    delayed: bool = False
    trade: Trade | None = None
    quote: Quote | None = None
    option: OptionQuote | None = None

    @property
    def ts_recv_ns(self) -> int:
        """When it was received, market time; 0: it says nothing."""
        events = (self.trade, self.quote, self.option)
        return max((event.ts_recv_ns for event in events if event is not None), default=0)


async def look_up(gateway: Gateway, symbol: str) -> Looked:
    """Return what the vendor says of a canonical symbol now.

    Raises:
        SymbolError: the vendor can have no such symbol.
        UnknownSymbolError: the vendor does not know it.
        UnavailableError: no streamer is there to ask, or it cannot ask for now, and why.
    """
    to_schwab(symbol)
    await _check_alive(gateway, symbol)
    keys, request = gateway.place.keys, new_request(_VERB, symbol, by="api")
    answer = await ask(gateway.store, keys, STREAMER, request, _WITHIN_S)
    if answer is None:
        raise UnavailableError(
            "no_answer",
            f"{symbol} is not streamed, and the streamer left the question for it unanswered.",
            "See what it does: GET /api/v1/status",
        )
    if not answer.ok:
        raise UnavailableError(
            "not_asked",
            f"{symbol} is not streamed, and {_VENDOR} cannot be asked for it now. {answer.detail}",
            "What is streamed is answered all the while.",
        )
    looked = msgspec.json.decode(answer.detail, type=list[Looked])[0]
    if not looked.known or not looked.ts_recv_ns:
        raise UnknownSymbolError(symbol, _VENDOR)
    return looked


async def _check_alive(gateway: Gateway, symbol: str) -> None:
    """Pass while a streamer gives signs of life: nobody else would answer."""
    if await streamer_lives(gateway):
        return
    raise UnavailableError(
        "no_streamer",
        f"{symbol} is not streamed, and no streamer runs that could ask {_VENDOR} for it.",
        "Start it: gex up",
    )
