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
from gex_pipeline.exposure.scopes import lines_of
from gex_pipeline.exposure.smile import NEAR_MONEY, NONE, OWN, SHORT_YEARS, VENDOR, Smile
from gex_pipeline.exposure.tallies import per_group
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.options.black76 import INV_SQRT_2PI
from gex_pipeline.options.forward import carry_gap

ConfidenceLevel = Literal["high", "low", "unusable"]

HIGH: Final = 0.6
LOW: Final = 0.2
REASON_BELOW: Final = 0.8
_VENDOR_WORTH: Final = 0.7
_VENDOR_WORTH_AMERICAN: Final = 0.9
_FORWARD_WORTH: Final = {"parity": 1.0, "sibling": 0.5, "neighbour": 0.5}
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
        return float(math.prod(msgspec.structs.astuple(self)))

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


class Evidence(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What each group says of its own quotes, (G,) unless said; scopes only sum over it."""

    chain: Chain
    smile: Smile
    oi: Floats
    """(3, G) open interest in the window, by source of the volatility: NONE, OWN, VENDOR."""
    greeks_worth: Floats
    """The same, each contract counted by what its source is worth."""
    forward_worth: Floats
    excluded_contracts: Floats
    excluded_oi: Floats
    expired_contracts: int
    expired_oi: float
    near: Ints
    """(P,) lines within 5% of their forward."""
    near_start: Ints
    """(G + 1,) the first of them in each group."""
    near_two_sided: Bools
    """(P,) their out-of-the-money side has a usable bid and ask."""
    near_blur: Floats
    """(P,) half the spread as a share of volatility; NaN where not two-sided."""
    near_oi: Floats
    """(P,)"""


def gather_evidence(chain: Chain, smile: Smile, convention: Convention) -> Evidence:
    """Return the evidence of all groups of a chain."""
    count = len(chain.groups)
    oi = chain.open_interest.sum(axis=0)
    window = np.abs(np.log(chain.strike / chain.spot)) <= convention.window
    key = chain.group + count * smile.iv_source
    by_source = np.bincount(key, weights=oi * window, minlength=3 * count).reshape(3, count)
    european = np.array([group.european for group in chain.groups], dtype=bool)
    vendor = np.where(european, _VENDOR_WORTH, _VENDOR_WORTH_AMERICAN)
    worth = np.array([_FORWARD_WORTH.get(f.method, 0.0) if f else 0.0 for f in smile.forwards])
    excluded = chain.listed & (smile.iv_source == NONE)
    expired = chain.listed & ~smile.live[chain.group]
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(np.abs(smile.log_moneyness) <= NEAR_MONEY)
    two_sided, blur = _near_quotes(chain, smile, near)
    return Evidence(
        chain=chain,
        smile=smile,
        oi=by_source,
        greeks_worth=by_source[OWN] + vendor * by_source[VENDOR],
        forward_worth=worth * by_source.sum(axis=0),
        excluded_contracts=per_group(chain, excluded.sum(axis=0)),
        excluded_oi=per_group(chain, (chain.open_interest * excluded).sum(axis=0)),
        expired_contracts=int(np.count_nonzero(expired)),
        expired_oi=float(chain.open_interest[expired].sum()),
        near=near,
        near_start=np.searchsorted(near, chain.group_start),
        near_two_sided=two_sided,
        near_blur=blur,
        near_oi=oi[near],
    )


def measure_coverage(evidence: Evidence, scope: Bools, feed: float = 1.0) -> Coverage:
    """Return the coverage of the groups in `scope`, (G,).

    `feed` is 0 when a feeding tape is silent or frozen, else the share of complete chain windows;
    a file's is 1.
    """
    chain, smile = evidence.chain, evidence.smile
    none, own, vendor = evidence.oi[:, scope].sum(axis=1).tolist()
    total = none + own + vendor
    near = _near(evidence, scope)
    age_s = _median_age_s(chain, evidence.near[near]) if chain.live else None
    blur = evidence.near_blur[near]
    iv_band = _lower_median(blur, evidence.near_oi[near])
    gap = _gap(chain, smile, scope)
    factors = Factors(
        greeks=_ratio(float(evidence.greeks_worth[scope].sum()), total),
        forward=_ratio(float(evidence.forward_worth[scope].sum()), total),
        two_sided=_ratio(np.count_nonzero(evidence.near_two_sided[near]), blur.size),
        band=0.0 if iv_band is None else 1 / (1 + (iv_band / _BAND_SCALE) ** 2),
        sync=_NO_GAP if gap is None else math.exp(-((gap / _GAP_SCALE) ** 2)),
        quote_time=_quote_time_factor(chain.asof_rule, age_s),
        feed=feed,
    )
    return Coverage(
        oi_own=_ratio(own, total),
        oi_vendor=_ratio(vendor, total),
        oi_none=_ratio(none, total),
        no_oi=total == 0,
        excluded_contracts=int(evidence.excluded_contracts[scope].sum()),
        excluded_oi=float(evidence.excluded_oi[scope].sum()),
        expired_contracts=evidence.expired_contracts,
        expired_oi=evidence.expired_oi,
        forwards=_forward_counts(chain, smile, scope),
        rate=smile.rate.value,
        rate_source=smile.rate.source,
        sync_gap=gap,
        iv_band=iv_band,
        quote_age_s=age_s,
        asof_rule=chain.asof_rule,
        floored=tuple(_name(chain, g) for g in np.flatnonzero(smile.floored & scope).tolist()),
        duplicates=chain.duplicates,
        dropped=chain.dropped,
        factors=factors,
        level=confidence_level(factors.product),
        reasons=factors.reasons,
    )


def confidence_level(confidence: float) -> ConfidenceLevel:
    """Return the word for a confidence: high from 0.6, low from 0.2, else unusable."""
    return "high" if confidence >= HIGH else "low" if confidence >= LOW else "unusable"


def _ratio(part: float, total: float) -> float:
    return part / total if total > 0 else 0.0


def _near_quotes(chain: Chain, smile: Smile, near: Ints) -> tuple[Bools, Floats]:
    """Return which near lines are two-sided out of the money, and their blur of volatility."""
    side = np.where(smile.log_moneyness[near] >= 0, CALL, PUT)
    two_sided = smile.two_sided[side, near]
    at, iv = chain.group[near], smile.iv[near]
    stdev = iv * np.sqrt(smile.years)[at]
    d1 = stdev / 2 - smile.log_moneyness[near] / stdev
    forward = (smile.df * smile.forward)[at]
    vega = forward * np.exp(-0.5 * d1 * d1) * INV_SQRT_2PI * stdev
    half_spread = (chain.ask[side, near] - chain.bid[side, near]) / 2
    blur = half_spread / np.maximum(vega, np.finfo(np.float64).tiny)
    return two_sided, np.where(two_sided, blur, np.nan)


def _near(evidence: Evidence, scope: Bools) -> slice | Ints:
    """Return which of the near lines judge the scope: those of its groups within 45 days.

    A scope that starts later is judged by its first expiry: it has no nearer quotes to be judged by.
    """
    years = evidence.smile.years
    horizon = max(SHORT_YEARS, float(years[scope].min(initial=np.inf)))
    return lines_of(evidence.near_start, scope & (years <= horizon))


def _lower_median(values: Floats, weights: Floats) -> float | None:
    """Return the weighted lower median of the known values; None without weight."""
    known = ~np.isnan(values)
    values, weights = values[known], weights[known]
    if not weights.any():
        return None
    order = np.argsort(values, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(values[order[min(int(reached), order.size - 1)]])


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
    found = [(g, smile.forwards[g]) for g in np.flatnonzero(scope).tolist()]
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
