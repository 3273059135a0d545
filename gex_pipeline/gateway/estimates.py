"""The estimate of open interest as it is answered: its figures, and the plain ones beside."""

from typing import Any, Final

import msgspec

from gex_pipeline.errors import SwitchedOffError
from gex_pipeline.exposure.crossings import Flip
from gex_pipeline.exposure.estimate import METHOD, WEIGHT, Signed
from gex_pipeline.exposure.moment import LiveSnapshot
from gex_pipeline.exposure.scopes import check_scope
from gex_pipeline.gateway.age import Market
from gex_pipeline.gateway.answer import Image, Mode, header_of
from gex_pipeline.gateway.read import Gateway, Snapshot

_FIGURES: Final = (
    "net_gex",
    "call_gex",
    "put_gex",
    "gross_gex",
    "dex",
    "vex",
    "cex",
    "zero_gamma",
    "flips",
    "call_wall",
    "put_wall",
    "abs_gamma_strike",
    "max_net_strike",
    "min_net_strike",
    "max_pain",
    "null_reasons",
)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one weight; units as everywhere."""

    net_gex: float | None
    call_gex: float | None
    put_gex: float | None
    gross_gex: float | None
    dex: float | None
    vex: float | None
    cex: float | None
    zero_gamma: float | None
    flips: tuple[Flip, ...]
    call_wall: float | None
    put_wall: float | None
    abs_gamma_strike: float | None
    max_net_strike: float | None
    min_net_strike: float | None
    max_pain: float | None
    null_reasons: dict[str, str]
    """Why a figure is null."""


class EstimateStrike(msgspec.Struct, frozen=True):
    """One strike of the scope, weighted by the estimate."""

    strike: float
    call_gex: float | None
    put_gex: float | None
    net_gex: float | None
    call_oi: float
    """Contracts, by the estimate."""
    put_oi: float


class EstimateAnswer(Figures, frozen=True, kw_only=True):
    """Figures weighted by an estimate of open interest; they are never recorded."""

    symbol: str
    scope: str
    source: str
    mode: Mode
    market: Market
    age_s: float
    stale: bool
    spot: float | None
    ts_event_ns: int
    ts_recv_ns: int
    convention: str
    unit: str
    dealer: str
    final: bool
    contracts: int
    tapes: dict[str, str]
    gap_s: float | None
    gap_causes: tuple[str, ...]
    estimate: bool
    """True: not what is held, a guess at it."""
    weight: str
    method: str
    signed: Signed
    strikes: tuple[EstimateStrike, ...]
    plain: Figures
    """By open interest at the open."""
    confidence: float | None
    """Of the plain figures: of an estimate nobody knows it."""
    confidence_level: str | None


async def newest_estimate(gateway: Gateway, symbol: str, scope: str) -> Snapshot:
    """Return the newest figures weighted by the estimate of open interest.

    Raises:
        SwitchedOffError: it is not switched on.
        ConventionError: a scope of an unknown name.
        UnavailableError: there is no chain, or none young enough, and why.
    """
    if not gateway.place.oi_estimate:
        raise SwitchedOffError("The estimate of open interest", "GEX_OI_ESTIMATE=1")
    asked = ("estimate", check_scope(scope))
    return await gateway.folded(symbol, asked, lambda it, data: it.fold_estimate(data, scope))


def with_estimate(header: Image, ours: LiveSnapshot, plain: LiveSnapshot, by: Signed) -> Image:
    """Return an estimate under the header of its scope's plain snapshot."""
    fields: dict[str, Any] = _figures(ours) | {
        "estimate": True,
        "weight": WEIGHT,
        "method": METHOD,
        "signed": by,
        "strikes": [
            EstimateStrike(s.strike, s.call_gex, s.put_gex, s.net_gex, s.call_oi, s.put_oi)
            for s in ours.strikes
        ],
        "plain": _figures(plain),
    }
    own = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return Image(header.value, header_of(header) | own, header.ts_ns)


def _figures(snapshot: LiveSnapshot) -> dict[str, Any]:
    found = {name: getattr(snapshot, name) for name in _FIGURES}
    reasons = found["null_reasons"]
    return found | {"null_reasons": {name: why for name, why in reasons.items() if name in found}}
