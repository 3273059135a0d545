"""Change over time: what the newest second of the ring is compared to, as it is answered."""

from typing import Final

import msgspec

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.change import Changes, shifted
from gex_pipeline.exposure.futures import NO_BASIS, InForce
from gex_pipeline.exposure.moment import RING
from gex_pipeline.exposure.snapshot import DEALER, UNIT
from gex_pipeline.exposure.trace import Figures
from gex_pipeline.gateway.age import Market
from gex_pipeline.gateway.answer import FuturePrice, Mode, stamp
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.ring import Moments, Ring

SCOPES: Final = RING
"""Whose changes are kept."""
_encoder: Final = msgspec.json.Encoder()


class MaxChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in one scope up to its newest complete second, $ per 1% of spot."""

    symbol: str
    scope: str
    source: str
    """schwab, simulator and so on; lake: recorded figures."""
    spot: float | None
    ts_event_ns: int
    """The second that is compared with those before it, UTC nanoseconds."""
    resolution_s: int = 1
    """Between the moments that are kept to compare: live a second, in the lake more."""
    convention: str
    unit: str = UNIT
    dealer: str = DEALER
    contracts: int | None
    confidence: float | None
    confidence_level: str | None
    gap_s: float | None
    """Seconds of the feed that were lost and that no whole chain has made up for; 0: none."""
    gap_causes: tuple[str, ...] | None
    """Null: they were not kept."""
    net_gex: float | None
    net_gex_volume: float | None
    null_reasons: dict[str, str]
    changes: tuple[Changes, ...]
    """Since the second before, and since 1, 5, 10, 15 and 30 minutes ago."""


class MaxChangeAnswer(MaxChange, frozen=True, kw_only=True):
    """The changes with what holds at the moment of the answer."""

    mode: Mode
    """simulated: made-up figures."""
    market: Market
    age_s: float
    """In market time, since the second that is compared."""
    stale: bool
    replayed: bool = False
    """True, and the replay's id in `session`: not the market of now."""
    session: str | None = None
    index: str | None = None
    """Of a future or view: the index whose strikes these are, moved by the basis."""
    basis: InForce | None = None
    """Of a future or view: what they are moved by, its source and age."""
    future_price: FuturePrice | None = None
    """Of a future or view: its own price, beside spot, which is the index's moved."""


async def max_change(gateway: Gateway, ring: Ring, symbol: str, scope: str) -> bytes:
    """Return the JSON of what changed in a scope, stamped.

    Raises:
        ConventionError: no change of that scope is kept.
        UnavailableError: there are no figures, or none young enough, and why.
    """
    if scope not in SCOPES:
        raise ConventionError("Scope", scope, SCOPES)
    seen = await ring.seen(gateway, symbol)
    answer = _answer(symbol, scope, seen.moments)
    if seen.basis is not None:
        answer = moved_changes(answer, symbol, seen.basis)
    stamped = stamp(gateway.place.mode, seen.fresh, gateway.place.session) | seen.beside
    return _encoder.encode({**msgspec.structs.asdict(answer), **stamped})


def moved_changes(answer: MaxChange, symbol: str, basis: InForce) -> MaxChange:
    """Return an index's changes as those of its future or view."""
    points, reason = basis.points, basis.reason or NO_BASIS
    spot = None if answer.spot is None or points is None else answer.spot + points
    reasons = answer.null_reasons if points is not None else {"spot": reason} | answer.null_reasons
    return msgspec.structs.replace(
        answer,
        symbol=symbol,
        spot=spot,
        changes=shifted(answer.changes, points, reason),
        null_reasons=reasons,
    )


def _answer(symbol: str, scope: str, moments: Moments) -> MaxChange:
    now = moments.now
    figures = now.figures.get(scope, Figures())
    return MaxChange(
        symbol=symbol,
        scope=scope,
        source=now.source,
        spot=now.spot,
        ts_event_ns=now.ts_ns,
        convention=now.convention,
        contracts=figures.contracts,
        confidence=figures.confidence,
        confidence_level=figures.confidence_level,
        gap_s=now.gap_s,
        gap_causes=now.gap_causes,
        net_gex=figures.open_interest.net_gex,
        net_gex_volume=figures.volume.net_gex,
        null_reasons=null_reasons(now.spot, now.gap_s, figures),
        changes=moments.changes(scope),
    )


def null_reasons(spot: float | None, gap_s: float | None, figures: Figures) -> dict[str, str]:
    """Return why each of those figures is null that is."""
    reasons = {
        "spot": "no_spot" if spot is None else None,
        "gap_s": "no_heartbeat" if gap_s is None else None,
        "net_gex": figures.open_interest.reason,
        "net_gex_volume": figures.volume.reason,
        "confidence": figures.open_interest.reason if figures.confidence is None else None,
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}
