"""Newest market data: /api/v1/market/{symbol} and /api/v1/options/{symbol}."""

from typing import Annotated, Any, Final

from litestar import Router, get
from litestar.params import QueryParameter

from gex_pipeline.gateway.market import MOST_OPTIONS, newest_market, newest_options
from serving.asked import Session, asked
from serving.auth import READ
from serving.routes.gex import AnyRequest, Symbol

_FIRST: Final = 200
Limit = Annotated[
    int, QueryParameter(name="limit", ge=1, le=MOST_OPTIONS, description="Most rows.")
]


@get("/market/{symbol:str}", summary="Newest trade and quote")
async def market(request: AnyRequest, symbol: Symbol, replay: Session = "") -> dict[str, Any]:
    """Return the newest trade and quote of a symbol, and whether they were streamed.

    One that is not streamed is asked for, `source` is then `rest`; an option has `option` too.
    """
    return await newest_market(await asked(request, replay), symbol)


@get("/options/{symbol:str}", summary="Newest option quotes")
async def options(
    request: AnyRequest, symbol: Symbol, limit: Limit = _FIRST, replay: Session = ""
) -> dict[str, Any]:
    """Return the newest quote of each contract that moved in the last minutes."""
    return await newest_options(await asked(request, replay), symbol, limit)


def market_routes() -> Router:
    """Return the routes of market data."""
    return Router("/api/v1", route_handlers=[market, options], opt=READ, tags=["market"])
