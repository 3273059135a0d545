"""What runs, how fresh each figure is, and whether questions can be answered now."""

from typing import Any

import msgspec

from gex_pipeline import __version__
from gex_pipeline.errors import GexError, UnavailableError
from gex_pipeline.gateway.answer import stamp
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.read import CONVENTION, SCOPES, Gateway
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS


class Readiness(msgspec.Struct, frozen=True):
    """Whether the API can answer; a closed market is no reason not to."""

    ready: bool
    reasons: tuple[str, ...]


async def readiness(gateway: Gateway) -> Readiness:
    """Return whether the hot store answers and some symbol has figures, or its market is closed."""
    if not gateway.connected:
        return Readiness(ready=False, reasons=("The hot store does not answer.",))
    problems = [await _problem(gateway, symbol) for symbol in gateway.place.symbols]
    reasons = tuple(problem for problem in problems if problem)
    return Readiness(ready=len(reasons) < len(problems), reasons=reasons)


async def overview(gateway: Gateway) -> dict[str, Any]:
    """Return mode, market time, each symbol's freshness and each service's own words.

    `futures` are those that answer with an index's levels, by index; `cache` counts what the
    caches of this process did.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    place = gateway.place
    return {
        "version": __version__,
        "mode": place.mode,
        **({"replayed": True, "session": place.session} if place.session else {}),
        "convention": CONVENTION,
        "market_time_ns": _market_time(gateway),
        "connected": gateway.connected,
        "scopes": SCOPES,
        "symbols": [await _symbol(gateway, symbol) for symbol in place.symbols],
        "futures": {index: roots_of(index) for index in place.symbols if roots_of(index)},
        "services": await _services(gateway),
        "cache": {name: msgspec.structs.asdict(each) for name, each in gateway.caches.items()},
    }


async def _problem(gateway: Gateway, symbol: str) -> str | None:
    """Return why the symbol has no answer, or None."""
    try:
        await gateway.gex(symbol, "all")
    except UnavailableError as error:
        return None if _is_closed(gateway, symbol) else str(error)
    return None


def _is_closed(gateway: Gateway, symbol: str) -> bool:
    try:
        return gateway.market(symbol) == "closed"
    except GexError:
        return False


async def _symbol(gateway: Gateway, symbol: str) -> dict[str, Any]:
    try:
        snapshot = await gateway.gex(symbol, "all")
    except UnavailableError as error:
        return {"symbol": symbol, "reason": error.reason, "detail": str(error)}
    return {"symbol": symbol, **stamp(snapshot.mode, snapshot.fresh, snapshot.session)}


def _market_time(gateway: Gateway) -> int | None:
    try:
        return gateway.now_ns()
    except UnavailableError:
        return None


async def _services(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """Return the heartbeat and counters of each service as it wrote them, with the beat's age."""
    prefix = gateway.place.keys.status("")
    try:
        found = [key.decode() async for key in gateway.store.scan_iter(f"{prefix}*", count=500)]
    except STORE_ERRORS as error:
        raise store_away(error) from error
    now_ns = gateway.wall_ns()
    return {
        key.removeprefix(prefix): _with_age(await gateway.hash(key), now_ns)
        for key in sorted(found)
    }


def beat_age_s(fields: dict[str, str], now_ns: int) -> float | None:
    """Return how long ago a service wrote its status; None: it has written none."""
    beat_ns = fields.get("ts_ns", "")
    return round((now_ns - int(beat_ns)) / SECOND_NS, 3) if beat_ns.isdigit() else None


def _with_age(fields: dict[str, str], now_ns: int) -> dict[str, Any]:
    age_s = beat_age_s(fields, now_ns)
    return dict(fields) if age_s is None else {**fields, "age_s": age_s}
