"""Coverage and confidence: how much of the answer stands on good quotes, as one number 0 to 1.

confidence is the product of seven factors, because each of them alone can ruin the answer:
docs/conventions.md, "Confidence", has formula and reason of each.
"""

import math
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.carry import SHORT_YEARS, spot_gap
from gex_pipeline.exposure.chain import QUOTE_AGE_MAX_S, AsofRule, Chain
from gex_pipeline.exposure.evidence import Evidence
from gex_pipeline.exposure.feed import FILE, Feed, FeedReason
from gex_pipeline.exposure.scopes import lines_of
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.market.arrays import Bools, Floats, Ints

ConfidenceLevel = Literal["high", "low", "unusable"]

HIGH: Final = 0.6
LOW: Final = 0.2
REASON_BELOW: Final = 0.8
_BAND_SCALE: Final = 0.15
_GAP_SCALE: Final = 0.005
_NO_GAP: Final = 0.5
_LAST_CLOSE: Final = 0.9
_FRESH_S: Final = 60
_STALE_SPAN_S: Final = 1740
_NO_AGES: Final = np.zeros(0)


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

    def reasons(self, feed_reason: str | None = None) -> tuple[str, ...]:
        """Return the factors that lower it most: those below 0.8, the feed's with its cause."""
        low = [name for name in self.__struct_fields__ if getattr(self, name) < REASON_BELOW]
        return tuple(
            f"{name}:{feed_reason}" if name == "feed" and feed_reason else name for name in low
        )


class Forwards(msgspec.Struct, frozen=True, kw_only=True):
    """How the forwards of the scope came about; names are "expiry root: reason"."""

    parity: int
    sibling: int
    neighbour: int
    rate: int
    zero: int
    fallbacks: tuple[str, ...]


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What only a feed has: how much of the figures is streamed and fresh, and whether it comes."""

    streamed_share: float | None
    """Of gross GEX by open interest: contracts whose newest word a stream pushed that is heard;
    None without any GEX."""
    quote_age_p90_s: float | None
    """So old are nine in ten of the near-money quotes at most; None without a timed one."""
    old_quotes: float | None
    """Share of them older than 300 s, which count as no quotes."""
    windows: int
    """Answers that the chain comes in, of expiries that are not over."""
    windows_complete: int
    """Those that came whole the last time, and not too long ago."""
    windows_age_s: float | None
    """Since the newest whole answer of the one that has waited longest; None: one never came."""
    feed_reason: FeedReason | None
    """Why the factor `feed` is below 1."""


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
    parity_share: float
    """Share whose expiry has a parity forward."""
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
    vanished: int
    """Contracts of the underlying that the feed stopped listing: not in the figures."""
    live: Live | None
    """None for a file."""
    factors: Factors
    level: ConfidenceLevel
    reasons: tuple[str, ...]
    """The factors below 0.8, the feed's with its cause: feed:silent."""


def measure_coverage(evidence: Evidence, scope: Bools, feed: Feed = FILE) -> Coverage:
    """Return the coverage of the groups in `scope`, (G,)."""
    chain, smile = evidence.chain, evidence.smile
    none, own, vendor = evidence.oi[:, scope].sum(axis=1).tolist()
    total = none + own + vendor
    near = _near(evidence, scope)
    ages_s = _ages_s(chain, evidence.near[near]) if chain.live else _NO_AGES
    age_s = _middle(ages_s)
    blur = evidence.near_blur[near]
    iv_band = _lower_median(blur, evidence.near_oi[near])
    gap = spot_gap(chain, smile.years, smile.forwards, smile.carry.rate.value, scope)
    factors = Factors(
        greeks=_ratio(float(evidence.greeks_worth[scope].sum()), total),
        forward=_ratio(float(evidence.forward_worth[scope].sum()), total),
        two_sided=_ratio(int(np.count_nonzero(evidence.near_two_sided[near])), blur.size),
        band=0.0 if iv_band is None else 1 / (1 + (iv_band / _BAND_SCALE) ** 2),
        sync=_NO_GAP if gap is None else math.exp(-((gap / _GAP_SCALE) ** 2)),
        quote_time=_quote_time_factor(chain, age_s),
        feed=feed.factor,
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
        parity_share=_ratio(float(evidence.parity_oi[scope].sum()), total),
        forwards=_forward_counts(chain, smile, scope),
        rate=smile.carry.rate.value,
        rate_source=smile.carry.rate.source,
        sync_gap=gap,
        iv_band=iv_band,
        quote_age_s=age_s,
        asof_rule=chain.asof_rule,
        floored=tuple(_name(chain, g) for g in np.flatnonzero(smile.floored & scope).tolist()),
        duplicates=chain.duplicates,
        dropped=chain.dropped,
        vanished=chain.vanished,
        live=_live(evidence, scope, feed, ages_s) if chain.live else None,
        factors=factors,
        level=confidence_level(factors.product),
        reasons=factors.reasons(feed.reason),
    )


def confidence_level(confidence: float) -> ConfidenceLevel:
    """Return the word for a confidence: high from 0.6, low from 0.2, else unusable."""
    return "high" if confidence >= HIGH else "low" if confidence >= LOW else "unusable"


def _ratio(part: float, total: float) -> float:
    return part / total if total > 0 else 0.0


def _near(evidence: Evidence, scope: Bools) -> slice | Ints:
    """Return which of the near lines judge the scope: those of its groups within 45 days.

    A scope that starts later is judged by its first expiry: it has no nearer quotes.
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


def _live(evidence: Evidence, scope: Bools, feed: Feed, ages_s: Floats) -> Live:
    gross = float(evidence.gross[scope].sum())
    fresh = int(np.searchsorted(ages_s, QUOTE_AGE_MAX_S, side="right"))
    tenth = math.ceil(0.9 * ages_s.size) - 1
    return Live(
        streamed_share=float(evidence.streamed[scope].sum()) / gross if gross > 0 else None,
        quote_age_p90_s=float(ages_s[tenth]) if ages_s.size else None,
        old_quotes=1 - fresh / ages_s.size if ages_s.size else None,
        windows=feed.windows,
        windows_complete=feed.windows_complete,
        windows_age_s=feed.windows_age_s,
        feed_reason=feed.reason,
    )


def _ages_s(chain: Chain, near: Ints) -> Floats:
    """Return the ages of timed quotes of lines, youngest first."""
    quoted = chain.ts_quote_ns[:, near]
    return np.sort((chain.asof_ns - quoted[quoted > 0]) / 1e9)


def _middle(ordered: Floats) -> float | None:
    """Return the median of ordered values; None without any."""
    if not ordered.size:
        return None
    half = ordered.size // 2
    return float(ordered[half] if ordered.size % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _quote_time_factor(chain: Chain, age_s: float | None) -> float:
    """Return 1 for quotes as old as a file says, less for old or guessed ones, 0 without any."""
    if not chain.live:
        return _LAST_CLOSE if chain.asof_rule == "last_close" else 1.0
    if age_s is None:
        return 0.0
    return float(1 - np.clip((age_s - _FRESH_S) / _STALE_SPAN_S, 0, 1))


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
