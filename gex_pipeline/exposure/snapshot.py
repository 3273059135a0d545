"""The answer: all figures of one underlying, scope and moment, each with its convention.

Dollars are of dealer delta per +1% of spot unless a field says otherwise, under the naive dealer
convention (long calls, short puts). docs/conventions.md has formula, unit and source of each field.
"""

import datetime
from typing import Any, Final, Literal

import msgspec

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.coverage import Coverage
from gex_pipeline.exposure.crossings import Flip
from gex_pipeline.exposure.levels import ExpectedMove, Walls

DEALER: Final = "dealers long calls, short puts (naive): calls +, puts -"
UNIT: Final = "USD of dealer delta per +1% of spot; levels in points of the underlying"


class ProfilePoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Net GEX if spot stood elsewhere; [spot, gex] in JSON."""

    spot: float
    gex: float
    """$ per 1%."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one weight: open interest (a position) or day volume (a flow)."""

    weight: Literal["open_interest", "volume"]
    net_gex: float | None = None
    call_gex: float | None = None
    """Never negative."""
    put_gex: float | None = None
    """Never positive."""
    gross_gex: float | None = None
    """call_gex - put_gex"""
    dex: float | None = None
    """$ of delta."""
    vex: float | None = None
    """$ of delta per +1 volatility point."""
    cex: float | None = None
    """$ of delta per calendar day."""
    gamma_at_spot: float | None = None
    """The profile at spot: equals net_gex, so that regime and flip cannot contradict."""
    zero_gamma: float | None = None
    """The crossing nearest to spot."""
    flips: tuple[Flip, ...] = ()
    dead_zone_changes: int = 0
    call_wall: float | None = None
    put_wall: float | None = None
    abs_gamma_strike: float | None = None
    max_net_strike: float | None = None
    min_net_strike: float | None = None
    walls: Walls | None = None
    profile: tuple[ProfilePoint, ...] = ()
    """Over +-10%, equal steps of log spot."""
    null_reasons: dict[str, str] = {}
    """Why a field is null: field to reason."""


class StrikeRow(msgspec.Struct, frozen=True, gc=False):
    """One strike of the scope, all expiries and roots."""

    strike: float
    call_gex: float | None
    """Null, as the others, where no contract of the strike has a volatility, or none has OI."""
    put_gex: float | None
    net_gex: float | None
    net_gex_volume: float | None
    call_gex_volume: float | None
    put_gex_volume: float | None
    call_oi: float
    put_oi: float
    call_volume: float
    put_volume: float


class ExpiryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One expiry and root of the scope."""

    expiry: datetime.date
    """As listed."""
    root: str
    settle_ns: int
    """UTC nanoseconds."""
    years: float | None
    """To settlement, of 525,600 minutes."""
    contracts: int
    forward: float | None
    forward_method: str | None
    forward_reason: str | None
    """Why parity gave no forward."""
    call_gex: float | None
    """Null, as the others, where no contract has a volatility, or none of the scope has OI."""
    put_gex: float | None
    net_gex: float | None
    net_gex_volume: float | None
    share: float | None
    """Of the scope's gross."""
    max_pain: float | None


class VendorCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The same sum with the vendor's own gamma, and how far ours is from it."""

    net_gex: float
    """Unexpired rows."""
    gross_gex: float
    net_gex_all_rows: float
    """Expired rows too, as other tools print it."""
    difference: float
    """Ours less the vendor's, $."""
    difference_to_net: float | None
    difference_to_gross: float | None


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """Levels that the coverage does not carry: for study, not for trading."""

    zero_gamma: float | None
    flips: tuple[Flip, ...]
    call_wall: float | None
    put_wall: float | None
    walls: Walls | None
    expected_move: ExpectedMove | None
    volume: Exposure


class GexSnapshot(Exposure, frozen=True, kw_only=True):
    """One underlying, scope and moment; its own figures are weighted by open interest."""

    symbol: str
    scope: str
    source: str
    spot: float | None
    ts_event_ns: int
    """The moment of the quotes, UTC nanoseconds."""
    asof_rule: str
    convention: str
    """Identity; figures of different identities are never compared."""
    unit: str = UNIT
    dealer: str = DEALER
    final: bool = True
    """False: a preview of a market second that is not complete."""
    contracts: int
    """Contracts of the scope, unexpired unless the convention keeps all rows."""
    net_gex_volume: float | None = None
    volume: Exposure | None = None
    """The figures weighted by day volume: a flow, not a position."""
    max_pain: float | None = None
    expected_move: ExpectedMove | None = None
    strikes: tuple[StrikeRow, ...] = ()
    expiries: tuple[ExpiryRow, ...] = ()
    vendor: VendorCheck | None = None
    coverage: Coverage | None = None
    confidence: float | None = None
    """0 to 1; the product of coverage.factors. Null for a cross-check convention."""
    confidence_level: str | None = None
    raw: Raw | None = None
    """Set when confidence_level is unusable."""


def header(chain: Chain, scope: str, convention: str, contracts: float) -> dict[str, Any]:
    """Return the fields that say what the figures are of."""
    return {
        "symbol": chain.symbol,
        "scope": scope,
        "source": chain.source,
        "spot": chain.spot if chain.spot > 0 else None,
        "ts_event_ns": chain.asof_ns,
        "asof_rule": chain.asof_rule,
        "convention": convention,
        "contracts": int(contracts),
    }
