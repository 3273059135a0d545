"""gexbot's own JSON of a symbol (package "classic"), made from our figures.

A client of gexbot's REST API only changes its base URL. Dollars are millions per 1% of spot here,
rounded to a whole dollar; what is null in ours is null there, never 0. By their own words zero is
the first expiry, one the second and full the next 90 days. docs/conventions.md has each field.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.change import LookBack, priors, shifted, usable
from gex_pipeline.exposure.convention import LOG_1_1
from gex_pipeline.exposure.futures import NO_BASIS
from gex_pipeline.exposure.trace import Trace
from gex_pipeline.gateway.ring import Moments
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.futures import ROOT_OF_VIEW, index_of
from gex_pipeline.market.symbology import kind_of, to_gexbot

CATEGORIES: Final = {
    "zero": "front0",
    "one": "front1",
    "full": "full90",
    "gex_zero": "front0",
    "gex_one": "front1",
    "gex_full": "full90",
}
"""Their names, older and newer, to our scopes."""
PRIORS: Final[tuple[LookBack, ...]] = ("one", "five", "ten", "fifteen", "thirty")
_MILLION: Final = 1e6
_DIGITS: Final = 6
"""Of a million dollars, to one dollar."""
Pair = tuple[float | None, float | None]
Strike = tuple[float, float | None, float | None, tuple[float | None, ...]]


class Subject(msgspec.Struct, frozen=True):
    """What is asked for: our scope of a symbol, and how far its levels are moved.

    A view (ES_SPX) is its index at the prices of the future. Without a basis `points` is None: then
    whatever stands at a price is null.
    """

    symbol: str
    scope: str
    points: float | None = 0.0


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """What /{ticker}/classic/{category} answers."""

    timestamp: int
    ticker: str
    min_dte: int | None
    sec_min_dte: int | None
    spot: float | None
    zero_gamma: float | None
    """By volume."""
    major_pos_vol: float | None
    major_pos_oi: float | None
    major_neg_vol: float | None
    major_neg_oi: float | None
    strikes: tuple[Strike, ...]
    """Within 10% of spot: [strike, by volume, by OI, [by volume 1, 5, 10, 15, 30 minutes ago]]."""
    sum_gex_vol: float | None
    sum_gex_oi: float | None
    delta_risk_reversal: None = None
    """Theirs is not defined anywhere; another number under its name would mislead."""
    max_priors: tuple[Pair, ...]
    """[strike, change] by volume: current, 1, 5, 10, 15, 30 minutes."""


class Tickers(msgspec.Struct, frozen=True, kw_only=True):
    """What /tickers answers: the symbols with figures here."""

    stocks: tuple[str, ...]
    indexes: tuple[str, ...]
    futures: tuple[str, ...]


class Majors(msgspec.Struct, frozen=True, kw_only=True):
    """What …/majors answers."""

    timestamp: int
    ticker: str
    spot: float | None
    mpos_vol: float | None
    mpos_oi: float | None
    mneg_vol: float | None
    mneg_oi: float | None
    zero_gamma: float | None
    net_gex_vol: float | None
    net_gex_oi: float | None


class Largest(msgspec.Struct, frozen=True, kw_only=True):
    """What …/maxchange answers: [strike, change] by volume."""

    timestamp: int
    ticker: str
    current: Pair
    one: Pair
    five: Pair
    ten: Pair
    fifteen: Pair
    thirty: Pair


def scope_of(category: str) -> str:
    """Return our scope of one of their categories.

    Raises:
        ConventionError: there is none of that name, or it is not of the package classic.
    """
    if category not in CATEGORIES:
        raise ConventionError("Category", category, tuple(CATEGORIES))
    return CATEGORIES[category]


def tickers(symbols: Sequence[str]) -> Tickers:
    """Return which symbols have figures where these are computed, by their kinds."""
    kinds = {symbol: kind_of(symbol) for symbol in symbols}
    return Tickers(
        stocks=tuple(symbol for symbol, kind in kinds.items() if kind == "share"),
        indexes=tuple(symbol for symbol, kind in kinds.items() if kind == "index"),
        futures=tuple(view for view in ROOT_OF_VIEW if index_of(view) in symbols),
    )


def chart(subject: Subject, moments: Moments) -> Chart:
    """Return the chart of a scope."""
    now, points = moments.now.trace(subject.scope), subject.points
    by_oi, by_volume = now.totals("open_interest"), now.totals("volume")
    first, second = _days(subject.scope, moments)
    return Chart(
        **_head(subject, moments),
        spot=_level(now.spot, points),
        min_dte=first,
        sec_min_dte=second,
        zero_gamma=_level(by_volume.zero_gamma, points),
        major_pos_vol=_level(by_volume.max_net_strike, points),
        major_pos_oi=_level(by_oi.max_net_strike, points),
        major_neg_vol=_level(by_volume.min_net_strike, points),
        major_neg_oi=_level(by_oi.min_net_strike, points),
        strikes=_strikes(now, moments.traces(subject.scope), points),
        sum_gex_vol=_millions(by_volume.net_gex),
        sum_gex_oi=_millions(by_oi.net_gex),
        max_priors=tuple(_pairs(subject, moments).values()),
    )


def majors(subject: Subject, moments: Moments) -> Majors:
    """Return the levels of a scope."""
    now, points = moments.now.trace(subject.scope), subject.points
    by_oi, by_volume = now.totals("open_interest"), now.totals("volume")
    return Majors(
        **_head(subject, moments),
        spot=_level(now.spot, points),
        mpos_vol=_level(by_volume.max_net_strike, points),
        mpos_oi=_level(by_oi.max_net_strike, points),
        mneg_vol=_level(by_volume.min_net_strike, points),
        mneg_oi=_level(by_oi.min_net_strike, points),
        zero_gamma=_level(by_volume.zero_gamma, points),
        net_gex_vol=_millions(by_volume.net_gex),
        net_gex_oi=_millions(by_oi.net_gex),
    )


def largest(subject: Subject, moments: Moments) -> Largest:
    """Return the largest changes of a scope."""
    return Largest(**_head(subject, moments), **_pairs(subject, moments))


def _head(subject: Subject, moments: Moments) -> dict[str, Any]:
    return {
        "timestamp": moments.now.ts_ns // sessions.SECOND_NS,
        "ticker": to_gexbot(subject.symbol),
    }


def _days(scope: str, moments: Moments) -> tuple[int | None, int | None]:
    """Return the days to the scope's first expiry and to the one behind it."""
    today = sessions.et_datetime(moments.now.ts_ns).date()
    days: list[int | None] = [(date - today).days for date in moments.now.dates]
    days += [None] * 3
    first = 1 if scope == "front1" else 0
    return days[first], days[first + 1]


def _strikes(
    now: Trace, before: dict[LookBack, Trace | None], points: float | None
) -> tuple[Strike, ...]:
    if not now.spot or points is None:
        return ()
    near = np.abs(np.log(now.strikes / now.spot)) <= LOG_1_1
    comparable = [usable(now, before.get(name)) for name in PRIORS]
    ago = _table(priors(now, comparable, "volume")[near])
    columns = (_table(column[near]) for column in (now.volume, now.open_interest))
    rows = zip((now.strikes[near] + points).tolist(), *columns, ago, strict=True)
    return tuple((strike, volume, oi, tuple(old)) for strike, volume, oi, old in rows)


def _pairs(subject: Subject, moments: Moments) -> dict[str, Any]:
    """Return strike and change by volume, by the name of their look-back."""
    found = shifted(moments.changes(subject.scope), subject.points, NO_BASIS)
    return {each.look_back: (each.volume.strike, _millions(each.volume.change)) for each in found}


def _table(dollars: Floats) -> list[Any]:
    """Return millions, null where there is no number."""
    millions = (np.round(dollars / _MILLION, _DIGITS) + 0.0).astype(object)  # no -0.0
    millions[~np.isfinite(dollars)] = None
    return millions.tolist()  # type: ignore[no-any-return] # numpy gives lists of anything


def _level(value: float | None, points: float | None) -> float | None:
    return None if value is None or points is None else value + points


def _millions(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars / _MILLION, _DIGITS) + 0.0
