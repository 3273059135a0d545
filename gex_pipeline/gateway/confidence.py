"""How the confidence of a symbol's figures went, as readers saw it, newest change first."""

from typing import Any, Final

import msgspec

from gex_pipeline.gateway.age import Market
from gex_pipeline.gateway.answer import Mode
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.read import CONVENTION, Gateway
from gex_pipeline.hot.confidence import LEVELS_KEPT, LevelSeen, read_levels

MOST_EVENTS: Final = LEVELS_KEPT


class LevelEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of confidence level of a symbol's published scopes."""

    symbol: str
    mode: Mode
    market: Market
    convention: str
    replayed: bool
    """True, and the replay's id in `session`: not the market of now."""
    session: str | None
    count: int
    events: list[LevelSeen]
    """Newest first."""


async def level_events(gateway: Gateway, text: str, limit: int) -> LevelEvents:
    """Return the newest changes of level; none: the level never changed.

    Raises:
        SymbolError: not a symbol.
        NotServedError: a symbol of which there are no figures.
        UnavailableError: the hot store does not answer.
    """
    symbol, place = gateway.symbol(text), gateway.place
    try:
        entries: Any = await gateway.store.xrevrange(place.keys.confidence(symbol), count=limit)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    events = read_levels(entries)
    return LevelEvents(
        symbol=symbol,
        mode=place.mode,
        market=gateway.market(symbol),
        convention=CONVENTION,
        replayed=bool(place.session),
        session=place.session or None,
        count=len(events),
        events=events,
    )
