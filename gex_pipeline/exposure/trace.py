"""A trace: what a second leaves of one scope, so that a later one can be compared with it."""

import datetime
from typing import Final, Literal

import msgspec

from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats

Weight = Literal["open_interest", "volume"]
WEIGHTS: Final[tuple[Weight, ...]] = ("open_interest", "volume")
NOT_RECORDED: Final = "not_recorded"
DATES_KEPT: Final = 3
"""Front0, front1 and the one behind it."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """One scope's figures under one weight, as the snapshot has them."""

    net_gex: float | None = None
    zero_gamma: float | None = None
    max_net_strike: float | None = None
    min_net_strike: float | None = None
    reason: str | None = NOT_RECORDED
    """Why net_gex is null."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One scope's figures that are not by strike."""

    contracts: int | None = None
    confidence: float | None = None
    confidence_level: str | None = None
    open_interest: Totals = Totals()
    volume: Totals = Totals()


class Trace(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One scope at one second."""

    ts_ns: int
    spot: float | None
    convention: str
    strikes: Floats
    """(N,) ascending."""
    open_interest: Floats
    """(N,) net GEX of the strike; NaN where it has none: absent is not 0."""
    volume: Floats
    """(N,) the same by volume."""
    figures: Figures = Figures()

    def net(self, weight: Weight) -> Floats:
        """Return net GEX by strike under a weight."""
        return self.open_interest if weight == "open_interest" else self.volume

    def totals(self, weight: Weight) -> Totals:
        """Return the scope's totals under a weight."""
        return self.figures.open_interest if weight == "open_interest" else self.figures.volume


def figures_of(snapshot: GexSnapshot) -> Figures:
    """Return what a snapshot says beside its strikes."""
    return Figures(
        contracts=snapshot.contracts,
        confidence=snapshot.confidence,
        confidence_level=snapshot.confidence_level,
        open_interest=_totals(snapshot),
        volume=_totals(snapshot.volume or Exposure(weight="volume")),
    )


def dates_of(snapshot: GexSnapshot) -> tuple[datetime.date, ...]:
    """Return the first settlement dates that a snapshot's expiries have."""
    dates: list[datetime.date] = []
    for row in snapshot.expiries:
        date = sessions.et_datetime(row.settle_ns).date()
        if date not in dates:
            dates.append(date)
        if len(dates) == DATES_KEPT:
            break
    return tuple(dates)


def _totals(exposure: Exposure) -> Totals:
    reason = None
    if exposure.net_gex is None:
        reason = exposure.null_reasons.get("net_gex", NOT_RECORDED)
    return Totals(
        net_gex=exposure.net_gex,
        zero_gamma=exposure.zero_gamma,
        max_net_strike=exposure.max_net_strike,
        min_net_strike=exposure.min_net_strike,
        reason=reason,
    )
