"""The surface as it is asked for and answered: header of the scope's snapshot, axes, matrices."""

import datetime
from typing import Any, Final, Literal

import msgspec

from gex_pipeline.exposure.scopes import check_scope
from gex_pipeline.exposure.surface import SPAN, Asked, Kind, Surface
from gex_pipeline.gateway.age import Market
from gex_pipeline.gateway.answer import Image, Mode, header_of
from gex_pipeline.gateway.read import Gateway, Snapshot

__all__ = [
    "SPAN",
    "Kind",
    "Roots",
    "SurfaceAnswer",
    "Weights",
    "ask_surface",
    "newest_surface",
    "with_surface",
]

Weights = Literal["open_interest", "volume", "both"]
Roots = Literal["summed", "each"]
Matrix = list[list[float | None]]
"""A row per strike, a number per column."""
_encoder: Final = msgspec.json.Encoder(enc_hook=lambda numbers: numbers.tolist())


class CellsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The matrices of one weight: null where nothing is listed, or nothing has a volatility."""

    call: Matrix
    put: Matrix
    net: Matrix


class ColumnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One column."""

    date: datetime.date
    """Of settlement."""
    roots: tuple[str, ...]
    settle_ns: int
    """UTC nanoseconds; of several roots the last."""


class SurfaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Exposure by strike and settlement date."""

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
    dealer: str
    final: bool
    contracts: int
    tapes: dict[str, str]
    gap_s: float | None
    gap_causes: tuple[str, ...]
    confidence: float | None
    confidence_level: str | None
    exposure: Kind
    unit: str
    """Of the exposure."""
    roots: Roots
    """each: a column per root and expiry."""
    span: float | None
    """Largest |log(strike/spot)| of a row; null: all strikes."""
    strikes: list[float]
    strikes_left_out: int
    """Listed beyond the span."""
    columns: list[ColumnAnswer]
    open_interest: CellsAnswer | None
    volume: CellsAnswer | None
    """By day volume: a flow, not a position."""
    null_reasons: dict[str, str]
    """Why a weight that was asked for is null."""


def ask_surface(
    scope: str, exposure: Kind, weights: Weights, *, each_root: bool, span: str
) -> Asked:
    """Return what is asked for; `span` is a number or all."""
    return Asked(
        scope=scope,
        exposure=exposure,
        weights=("open_interest", "volume") if weights == "both" else (weights,),
        each_root=each_root,
        span=None if span == "all" else float(span),
    )


async def newest_surface(gateway: Gateway, symbol: str, asked: Asked) -> Snapshot:
    """Return the newest surface.

    Raises:
        ConventionError: a scope of an unknown name.
        UnavailableError: there is no chain, or none young enough, and why.
    """
    check_scope(asked.scope)
    return await gateway.folded(symbol, asked, lambda it, data: it.fold_surface(data, asked))


def with_surface(snapshot: Image, found: Surface, asked: Asked) -> Image:
    """Return a surface under the header of its scope's snapshot."""
    fields: dict[str, Any] = {
        "exposure": found.exposure,
        "unit": found.unit,
        "roots": "each" if asked.each_root else "summed",
        "span": found.span,
        "strikes": found.strikes,
        "strikes_left_out": found.strikes_left_out,
        "columns": found.columns,
        "open_interest": found.open_interest,
        "volume": found.volume,
        "null_reasons": found.null_reasons,
    }
    own = {name: msgspec.Raw(_encoder.encode(value)) for name, value in fields.items()}
    return Image(snapshot.value, header_of(snapshot) | own, snapshot.ts_ns)
