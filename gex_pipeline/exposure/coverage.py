"""Coverage and confidence: how much of the answer stands on good quotes, as one number 0 to 1.

confidence is the product of seven factors, because each of them alone can ruin the answer:
docs/conventions.md, "Confidence", has formula and reason of each.
"""

import math
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, AsofRule, Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.exposure.smile import NEAR_MONEY, NONE, OWN, SHORT_YEARS, VENDOR, Smile
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.options.black76 import INV_SQRT_2PI
from gex_pipeline.options.forward import carry_gap

ConfidenceLevel = Literal["high", "low", "unusable"]

HIGH: Final = 0.6
LOW: Final = 0.2
REASON_BELOW: Final = 0.8
_VENDOR_WORTH: Final = 0.7
_VENDOR_WORTH_AMERICAN: Final = 0.9
_BORROWED_FORWARD_WORTH: Final = 0.5
_BAND_SCALE: Final = 0.15
_GAP_SCALE: Final = 0.005
_NO_GAP: Final = 0.5
_LAST_CLOSE: Final = 0.9
_FRESH_S: Final = 60
_STALE_SPAN_S: Final = 1740


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of confidence, each 0 to 1."""

    greeks: float
    forward: float
    two_sided: float
    band: float
    sync: float
    quote_time: float
    feed: float

    @property
    def product(self) -> float:
        """The confidence."""
        return math.prod(msgspec.structs.astuple(self))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The factors that lower it most: those below 0.8."""
        fields = self.__struct_fields__
        return tuple(name for name in fields if getattr(self, name) < REASON_BELOW)


class Forwards(msgspec.Struct, frozen=True, kw_only=True):
    """How the forwards of the scope came about; names are "expiry root: reason"."""

    parity: int
    sibling: int
    neighbour: int
    rate: int
    zero: int
    fallbacks: tuple[str, ...]


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures of one scope stand on. Shares are of open interest within +-10% of spot."""

    oi_own: float
    """Priced by our own volatility."""
    oi_vendor: float
    """By the vendor's, as a fallback."""
    oi_none: float
    """Not at all: left out of every greek sum."""
    no_oi: bool
    """There is no open interest in the window, so the shares are 0."""
    excluded_contracts: int
    """Unexpired contracts without a usable volatility, all strikes."""
    excluded_oi: float
    expired_contracts: int
    expired_oi: float
    forwards: Forwards
    rate: float
    """Continuous."""
    rate_source: str
    sync_gap: float | None
    """Spot against the options' own view of it, a log; None without near parity forwards."""
    iv_band: float | None
    """Half the spread of near-money quotes as a share of volatility."""
    quote_age_s: float | None
    """Median age of near-money quotes; None for a file, whose quotes share one moment."""
    asof_rule: AsofRule
    floored: tuple[str, ...]
    """Expiries so near that the floor of five minutes stands in."""
    duplicates: int
    dropped: dict[str, int]
    factors: Factors
    level: ConfidenceLevel
    reasons: tuple[str, ...]
    """The factors below 0.8."""


def measure_coverage(
    chain: Chain, smile: Smile, scope: Bools, convention: Convention, feed: float = 1.0
) -> Coverage:
    """Return the coverage of the groups in `scope`, (G,).

    `feed` is 0 when a feeding tape is silent or frozen, else the share of complete chain windows;
    a file's is 1.
    """
    in_scope = scope[chain.group]
    window = in_scope & (np.abs(np.log(chain.strike / chain.spot)) <= convention.window)
    oi = chain.open_interest.sum(axis=0)
    shares = _shares(oi, window, smile.iv_source)
    near = _near(chain, smile, scope)
    age_s = _median_age_s(chain, near) if chain.live else None
    iv_band = _iv_band(chain, smile, near, oi)
    gap = _gap(chain, smile, scope)
    factors = Factors(
        greeks=_greeks_factor(chain, smile, oi, window),
        forward=_forward_factor(chain, smile, oi, window),
        two_sided=_two_sided_share(chain, smile, near),
        band=0.0 if iv_band is None else 1 / (1 + (iv_band / _BAND_SCALE) ** 2),
        sync=_NO_GAP if gap is None else math.exp(-((gap / _GAP_SCALE) ** 2)),
        quote_time=_quote_time_factor(chain.asof_rule, age_s),
        feed=feed,
    )
    listed = chain.listed & in_scope
    excluded = listed & (smile.iv_source == NONE)
    expired = chain.listed & ~smile.live[chain.group]
    return Coverage(
        oi_own=shares[OWN],
        oi_vendor=shares[VENDOR],
        oi_none=shares[NONE],
        no_oi=not oi[window].any(),
        excluded_contracts=int(np.count_nonzero(excluded)),
        excluded_oi=float(chain.open_interest[excluded].sum()),
        expired_contracts=int(np.count_nonzero(expired)),
        expired_oi=float(chain.open_interest[expired].sum()),
        forwards=_forward_counts(chain, smile, scope),
        rate=smile.rate.value,
        rate_source=smile.rate.source,
        sync_gap=gap,
        iv_band=iv_band,
        quote_age_s=age_s,
        asof_rule=chain.asof_rule,
        floored=tuple(_name(chain, g) for g in np.flatnonzero(smile.floored & scope)),
        duplicates=chain.duplicates,
        dropped=chain.dropped,
        factors=factors,
        level=confidence_level(factors.product),
        reasons=factors.reasons,
    )


def confidence_level(confidence: float) -> ConfidenceLevel:
    """Return the word for a confidence: high from 0.6, low from 0.2, else unusable."""
    return "high" if confidence >= HIGH else "low" if confidence >= LOW else "unusable"


def _shares(oi: Floats, window: Bools, source: Ints) -> list[float]:
    sums = np.bincount(source[window], weights=oi[window], minlength=3)
    total = sums.sum()
    return (sums / total if total > 0 else np.zeros(3)).tolist()


def _greeks_factor(chain: Chain, smile: Smile, oi: Floats, window: Bools) -> float:
    european = np.array([group.european for group in chain.groups])[chain.group]
    vendor = np.where(european, _VENDOR_WORTH, _VENDOR_WORTH_AMERICAN)
    worth = np.where(smile.iv_source == OWN, 1.0, np.where(smile.iv_source == VENDOR, vendor, 0.0))
    return _weighted_mean(worth[window], oi[window])


def _forward_factor(chain: Chain, smile: Smile, oi: Floats, window: Bools) -> float:
    worth_of = {
        "parity": 1.0,
        "sibling": _BORROWED_FORWARD_WORTH,
        "neighbour": _BORROWED_FORWARD_WORTH,
    }
    worth = np.array([worth_of.get(f.method, 0.0) if f else 0.0 for f in smile.forwards])
    return _weighted_mean(worth[chain.group][window], oi[window])


def _weighted_mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0 else 0.0


def _near(chain: Chain, smile: Smile, scope: Bools) -> Ints:
    """Return the near-money lines of the scope's groups within 45 days.

    A scope that starts later is judged by its first expiry: it has no nearer quotes to be judged by.
    """
    years = smile.years[scope]
    horizon = max(SHORT_YEARS, float(years.min())) if years.size else SHORT_YEARS
    groups = scope & (smile.years <= horizon)
    with np.errstate(invalid="ignore"):
        close = np.abs(smile.log_moneyness) <= NEAR_MONEY
    return np.flatnonzero(groups[chain.group] & close)


def _otm_side(smile: Smile, line: Ints) -> Ints:
    return np.where(smile.log_moneyness[line] >= 0, CALL, PUT)


def _two_sided_share(chain: Chain, smile: Smile, near: Ints) -> float:
    if not near.size:
        return 0.0
    return float(smile.two_sided[_otm_side(smile, near), near].mean())


def _iv_band(chain: Chain, smile: Smile, near: Ints, oi: Floats) -> float | None:
    """Return the OI-weighted lower median of half the spread over vega times volatility."""
    side = _otm_side(smile, near)
    usable = smile.two_sided[side, near] & ~np.isnan(smile.iv[near])
    near, side = near[usable], side[usable]
    at, iv = chain.group[near], smile.iv[near]
    stdev = iv * np.sqrt(smile.years[at])
    d1 = stdev / 2 - smile.log_moneyness[near] / stdev
    vega = smile.df[at] * smile.forward[at] * np.exp(-0.5 * d1 * d1) * INV_SQRT_2PI * stdev
    half_spread = (chain.ask[side, near] - chain.bid[side, near]) / 2
    weight = oi[near]
    if not weight.any():
        return None
    blur = half_spread / np.maximum(vega, np.finfo(np.float64).tiny)
    order = np.argsort(blur, kind="stable")
    reached = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(blur[order[min(reached, order.size - 1)]])


def _gap(chain: Chain, smile: Smile, scope: Bools) -> float | None:
    short = [
        g
        for g, forward in enumerate(smile.forwards)
        if scope[g] and forward and forward.method == "parity" and smile.years[g] <= SHORT_YEARS
    ]
    log_carry = np.log(smile.forward[short] / chain.spot)
    return carry_gap(smile.years[short], log_carry, smile.rate.value)


def _median_age_s(chain: Chain, near: Ints) -> float | None:
    quoted = chain.ts_quote_ns[:, near]
    ages = (chain.asof_ns - quoted[quoted > 0]) / 1e9
    return float(np.median(ages)) if ages.size else None


def _quote_time_factor(rule: AsofRule, age_s: float | None) -> float:
    if age_s is not None:
        return float(1 - np.clip((age_s - _FRESH_S) / _STALE_SPAN_S, 0, 1))
    return _LAST_CLOSE if rule == "last_close" else 1.0


def _forward_counts(chain: Chain, smile: Smile, scope: Bools) -> Forwards:
    found = [(g, smile.forwards[g]) for g in np.flatnonzero(scope)]
    methods = [forward.method for _, forward in found if forward]
    return Forwards(
        parity=methods.count("parity"),
        sibling=methods.count("sibling"),
        neighbour=methods.count("neighbour"),
        rate=methods.count("rate"),
        zero=methods.count("zero"),
        fallbacks=tuple(
            f"{_name(chain, g)}: {forward.reason}"
            for g, forward in found
            if forward and forward.method != "parity"
        ),
    )


def _name(chain: Chain, group: int) -> str:
    return f"{chain.groups[group].expiry} {chain.groups[group].root}"
