"""Ours against the vendor's greeks, bucket by bucket: how far they are apart, and where.

Buckets are days to settlement and distance from spot, because a vendor's mistakes are: gamma that
is rounded away far from the money, volatilities that are stubs, rows that have settled, and another
clock near expiry. What each figure means is told by its column in market/tables.py.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, MULTIPLIER, Chain
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.greeks import ONE_PERCENT, line_greeks
from gex_pipeline.exposure.smile import OWN, Smile
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.sessions import et_datetime

ALL: Final = "all"
EXPIRED: Final = "expired"
"""Days of what has settled and is still in the chain: it is in no other bucket."""
DTE: Final = ("0dte", "1-7", "8-45", "46+")
MONEYNESS: Final = ("0-1%", "1-3%", "3-10%", "10%+")
_LAST_DAYS: Final = (0, 7, 45)
"""The last day of each bucket but the last one."""
_LAST_DISTANCES: Final = (0.01, 0.03, 0.10)
"""|log(K/S)|, likewise."""
_LEAST_GAMMA: Final = 1e-12
"""Below it a gamma is no number to divide by."""
_POINTS: Final = 100


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of one chain; None where there is nothing to say it of."""

    dte: str
    moneyness: str
    contracts: int
    compared: int
    gamma_none: int
    gamma_zero: int
    ours_none: int
    iv_none: int
    iv_stub: int
    iv_compared: int
    open_interest: float
    net_gex: float | None
    call_gex: float | None
    put_gex: float | None
    gross_gex: float | None
    vendor_net_gex: float | None
    vendor_call_gex: float | None
    vendor_put_gex: float | None
    vendor_gross_gex: float | None
    difference: float | None
    difference_to_gross: float | None
    gamma_error_median: float | None
    gamma_error_p90: float | None
    gamma_error_max: float | None
    gamma_error_mean: float | None
    zero_oi_share: float | None
    zero_gross_gex: float | None
    iv_difference_median: float | None
    iv_difference_p90: float | None


class _Pairs(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Each listed contract by both; NaN where one of them has nothing."""

    days: Ints
    """Which of DTE; one more is settled."""
    distance: Ints
    """Which of MONEYNESS."""
    call: Bools
    weight: Floats
    """Open interest."""
    ours: Floats
    """Gamma."""
    vendor: Floats
    """Gamma as printed."""
    believed: Floats
    """The same, NaN throughout where the vendor gives no contract of the chain a gamma."""
    vendor_iv: Floats
    stub: Bools
    unit: float
    """Dollars per 1% of one contract with a gamma of 1."""
    error: Floats
    """|vendor / ours - 1| of gamma, where there is open interest."""
    iv_difference: Floats
    """Ours less the vendor's in volatility points, likewise."""

    def take(self, where: Bools) -> "_Pairs":
        at = np.flatnonzero(where)
        fields: dict[str, Any] = msgspec.structs.asdict(self)
        columns = {name: each[at] for name, each in fields.items() if isinstance(each, np.ndarray)}
        return _Pairs(**(fields | columns))


def compare(chain: Chain, smile: Smile, convention: Convention = GEXC_1) -> tuple[Compared, ...]:
    """Return each bucket that has contracts; `smile` is the chain's under that convention."""
    return tuple(_buckets(_pair(chain, smile, convention)))


def _buckets(pairs: _Pairs) -> Iterator[Compared]:
    """Yield them by days, then by distance; of both "all" comes first."""
    live = pairs.days < len(DTE)
    by_days = [(ALL, live), *((name, pairs.days == n) for n, name in enumerate((*DTE, EXPIRED)))]
    for dte, chosen in by_days:
        if not chosen.any():
            continue
        part = pairs.take(chosen)
        yield _compared(part, dte, ALL)
        for n, moneyness in enumerate(MONEYNESS):
            if (inside := part.distance == n).any():
                yield _compared(part.take(inside), dte, moneyness)


def _pair(chain: Chain, smile: Smile, convention: Convention) -> _Pairs:
    side, line = np.nonzero(chain.listed)
    weight, vendor = chain.open_interest[side, line], chain.gamma[side, line]
    greeks = line_greeks(chain, smile)
    gamma = np.full(chain.strike.size, np.nan)
    gamma[greeks.line] = greeks.gamma
    ours = gamma[line]
    believed = vendor if (vendor > 0).any() else np.full_like(vendor, np.nan)
    vendor_iv = np.where(chain.iv[side, line] > 0, chain.iv[side, line], np.nan)
    stub = vendor_iv <= convention.vendor_iv_min
    own_iv = np.where(smile.iv_source == OWN, smile.iv, np.nan)[line]
    usable = (weight > 0) & ~stub & (vendor_iv <= convention.iv_max)
    return _Pairs(
        days=_days(chain, smile)[line],
        distance=np.searchsorted(_LAST_DISTANCES, np.abs(np.log(chain.strike / chain.spot)))[line],
        call=side == CALL,
        weight=weight,
        ours=ours,
        vendor=vendor,
        believed=believed,
        vendor_iv=vendor_iv,
        stub=stub,
        unit=MULTIPLIER * chain.spot * chain.spot * ONE_PERCENT,
        error=_error(ours, believed, weight),
        iv_difference=np.where(usable, _POINTS * (own_iv - vendor_iv), np.nan),
    )


def _days(chain: Chain, smile: Smile) -> Ints:
    """Return (L,) the bucket of days, by the settlement date and New York's of the chain."""
    today = et_datetime(chain.asof_ns).date()
    days = np.array([(group.settle_date - today).days for group in chain.groups], dtype=np.int64)
    bucket = np.where(smile.live, np.searchsorted(_LAST_DAYS, days), len(DTE))
    return np.asarray(bucket[chain.group])


def _error(ours: Floats, vendor: Floats, weight: Floats) -> Floats:
    divisible = np.where((ours >= _LEAST_GAMMA) & (weight > 0), ours, np.nan)
    return np.asarray(np.abs(vendor / divisible - 1))


def _compared(pairs: _Pairs, dte: str, moneyness: str) -> Compared:
    no_ours, none, zero = np.isnan(pairs.ours), np.isnan(pairs.vendor), pairs.vendor == 0
    held = float(pairs.weight.sum())
    ours = _exposure(pairs, pairs.ours)
    vendor = _exposure(pairs, pairs.believed)
    net, gross = ours["net_gex"], vendor["gross_gex"]
    difference = None if net is None or vendor["net_gex"] is None else net - vendor["net_gex"]
    printed_zero = _exposure(pairs, np.where(zero, pairs.ours, np.nan))
    return Compared(
        dte=dte,
        moneyness=moneyness,
        contracts=pairs.weight.size,
        compared=int(np.count_nonzero(~no_ours & ~none)),
        gamma_none=int(np.count_nonzero(none)),
        gamma_zero=int(np.count_nonzero(zero)),
        ours_none=int(np.count_nonzero(no_ours)),
        iv_none=int(np.count_nonzero(np.isnan(pairs.vendor_iv))),
        iv_stub=int(np.count_nonzero(pairs.stub)),
        iv_compared=int(np.count_nonzero(~np.isnan(pairs.iv_difference))),
        open_interest=held,
        **ours,
        **{f"vendor_{name}": value for name, value in vendor.items()},
        difference=difference,
        difference_to_gross=None if difference is None or not gross else difference / gross,
        **_errors(pairs),
        zero_oi_share=float(pairs.weight[zero].sum()) / held if held else None,
        zero_gross_gex=printed_zero["gross_gex"],
        **_iv_differences(pairs.iv_difference),
    )


def _exposure(pairs: _Pairs, gamma: Floats) -> dict[str, float | None]:
    """Return the sums by a gamma; None where no contract that is held has one."""
    known = (pairs.weight > 0) & ~np.isnan(gamma)
    if not known.any():
        return dict.fromkeys(("net_gex", "call_gex", "put_gex", "gross_gex"))
    dollars = np.where(known, gamma, 0.0) * pairs.weight * pairs.unit
    call = float(dollars[pairs.call].sum())
    put = 0.0 - float(dollars[~pairs.call].sum())
    return {"net_gex": call + put, "call_gex": call, "put_gex": put, "gross_gex": call - put}


def _errors(pairs: _Pairs) -> dict[str, float | None]:
    names = ("gamma_error_median", "gamma_error_p90", "gamma_error_max", "gamma_error_mean")
    known = ~np.isnan(pairs.error)
    if not known.any():
        return dict.fromkeys(names)
    error = pairs.error[known]
    mean = np.average(error, weights=pairs.weight[known])
    return dict(
        zip(names, (*np.quantile(error, (0.5, 0.9, 1.0)).tolist(), float(mean)), strict=True)
    )


def _iv_differences(difference: Floats) -> dict[str, float | None]:
    known = difference[~np.isnan(difference)]
    if not known.size:
        return {"iv_difference_median": None, "iv_difference_p90": None}
    return {
        "iv_difference_median": float(np.median(known)),
        "iv_difference_p90": float(np.quantile(np.abs(known), 0.9)),
    }
