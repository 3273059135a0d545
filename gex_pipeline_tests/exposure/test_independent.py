"""The whole convention written a second time, straight from the sheet, and compared with fold().

Nothing of gex_pipeline.exposure is used but to lay out the rows and to run what is judged: plain
numpy, bisection for volatilities, the textbook's gamma at each hypothetical spot.
"""

import datetime
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from scipy.special import ndtr

from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.snapshot import Exposure
from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.sessions import settlement_ns
from gex_pipeline_tests.exposure.builders import ASOF_NS, TODAY
from gex_pipeline_tests.synthetic import synthetic_chain

CALL, PUT = 0, 1


class Group:
    """Quotes of one expiry and root; matrices are (call or put, strike)."""

    def __init__(self, rows: OptionChain, expiry: datetime.date, root: str, mask: Bools) -> None:
        self.key = (expiry, root)
        self.t = (settlement_ns(root, expiry) - ASOF_NS) / 6e10 / 525_600
        self.today = expiry == TODAY
        self.european = root in {"SPX", "SPXW"}
        self.tick = 0.05 if self.european else 0.01
        self.k = np.unique(rows.strike[mask])
        at = (np.where(rows.right[mask] > 0, CALL, PUT), np.searchsorted(self.k, rows.strike[mask]))

        def laid(column: Floats) -> Floats:
            out = np.full((2, self.k.size), np.nan)
            out[at] = column[mask]
            return out

        self.bid, self.ask, self.vendor = laid(rows.bid), laid(rows.ask), laid(rows.iv)
        self.oi, self.volume = (np.nan_to_num(laid(c)) for c in (rows.open_interest, rows.volume))
        self.mid = (self.bid + self.ask) / 2
        self.quoted = (self.bid > 0) & (self.ask >= self.bid)
        self.vendor[~((self.vendor > 0.02) & (self.vendor <= 5))] = np.nan
        self.forward = math.nan
        self.parity = False

    def rate(self, spot: float) -> float:
        """Section 2: the slope of C - P over the strikes within 10%."""
        use = self.quoted.all(axis=0) & (np.abs(np.log(self.k / spot)) <= 0.1)
        if not self.european or not 30 / 365 <= self.t <= 1.5 or use.sum() < 8:
            return math.nan
        discount = -np.polyfit(self.k[use], (self.mid[CALL] - self.mid[PUT])[use], 1)[0]
        return float(-np.log(discount) / self.t)

    def find_forward(self, spot: float, r: float) -> None:
        """Section 2: the median over the ten strikes with the smallest |C - P|."""
        use = (self.quoted & (self.ask - self.bid <= 0.5 * self.mid)).all(axis=0)
        rows = sorted(
            (abs(c - p), k, c - p) for k, (c, p) in zip(self.k[use], self.mid.T[use], strict=True)
        )
        k, gap = (np.array([row[i] for row in rows[:10]]) for i in (1, 2))
        if k.size < 3:
            return
        each = k + gap * np.exp(r * self.t)
        value = float(np.median(each))
        narrow = np.median(np.abs(each - value)) <= 0.002 * spot
        sane = value > 0 and abs(np.log(value / spot)) <= 0.02 + 0.15 * self.t
        if narrow and sane and k.min() <= value <= k.max():
            self.forward, self.parity = value, True


def bisected(price: Floats, forward: float, k: Floats, t: float, sign: float) -> Floats:
    """Return volatilities in [0.01, 5], by halving log sigma; NaN outside."""
    low, high = np.full(k.shape, np.log(1e-4)), np.full(k.shape, np.log(20.0))
    for _ in range(90):
        sigma = np.exp((low + high) / 2)
        v = sigma * np.sqrt(t)
        d1 = np.log(forward / k) / v + v / 2
        value = sign * (forward * ndtr(sign * d1) - k * ndtr(sign * (d1 - v)))
        low = np.where(value < price, (low + high) / 2, low)
        high = np.where(value < price, high, (low + high) / 2)
    return np.where((sigma >= 0.01) & (sigma <= 5), sigma, np.nan)


def volatilities(group: Group, r: float, *, vendor_first: bool) -> Floats:
    """Section 3: own, blended at the money; kappa x vendor; or none."""
    k, forward, t = group.k, group.forward, group.t
    priced = np.where(group.quoted & (group.mid >= group.tick), group.mid * np.exp(r * t), np.nan)
    sides = np.stack(
        [bisected(p, forward, k, t, s) for p, s in zip(priced, (1.0, -1.0), strict=True)]
    )
    sides[np.isnan(priced)] = np.nan
    call = k >= forward
    own = np.where(call, sides[CALL], sides[PUT])
    for near in (np.flatnonzero(~call)[-1:], np.flatnonzero(call)[:1]):
        both = sides[:, near].mean(axis=0)
        own[near] = np.where(np.isnan(both), own[near], both)
    vendor = np.where(call, group.vendor[CALL], group.vendor[PUT])
    vendor = np.where(
        np.isnan(vendor), np.where(call, group.vendor[PUT], group.vendor[CALL]), vendor
    )
    ratio = (own / vendor)[np.abs(np.log(k / forward)) <= 0.05]
    ratio = ratio[~np.isnan(ratio)]
    kappa = float(np.clip(np.median(ratio), 0.5, 2)) if ratio.size >= 5 else 1.0
    first, second = (vendor, own) if vendor_first else (own, kappa * vendor)
    return np.asarray(np.where(np.isnan(first), second, first))


def fill_forwards(groups: list[Group], spot: float) -> None:
    """Section 2: sibling, neighbour, spot."""
    known = sorted((g for g in groups if g.parity), key=lambda g: (g.t, *g.key))
    t = np.array([g.t for g in known])
    carry = np.array([np.log(g.forward / spot) for g in known])
    for group in (g for g in groups if not g.parity):
        sibling = [i for i, g in enumerate(known) if g.key[0] == group.key[0]]
        if sibling:
            log = carry[sibling[0]] * group.t / t[sibling[0]]
        elif not known:
            log = 0.0
        elif t[0] < group.t < t[-1]:
            log = float(np.interp(group.t, t, carry))
        else:
            end = 0 if group.t <= t[0] else -1
            log = carry[end] * group.t / t[end]
        group.forward = spot * math.exp(log)


def spot_gap(groups: list[Group], spot: float, r: float) -> float:
    """Section 9, sync: the median of y - b t, b by Theil and Sen."""
    known = [(g.t, math.log(g.forward / spot)) for g in groups if g.parity and g.t <= 45 / 365]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a in known for b in known if b[0] - a[0] > 1 / 365]
    slope = np.median(slopes) if len(slopes) >= 3 else r
    return float(np.median([y - slope * t for t, y in known])) if known else 0.0


class Totals(NamedTuple):
    """What the second writing gives: sums, the scale of each, and the profile."""

    sums: dict[str, float]
    scale: dict[str, float]
    profile: Floats


def second_writing(rows: OptionChain) -> Iterator[Totals]:
    """Yield the totals by open interest and by volume."""
    spot = rows.spot
    pairs = list(zip(rows.expiry.tolist(), rows.root.tolist(), strict=True))
    masks = {key: np.array([pair == key for pair in pairs]) for key in sorted(set(pairs))}
    groups = [Group(rows, *key, mask) for key, mask in masks.items()]
    groups = [group for group in groups if group.t > 0]
    rates = [r for r in (group.rate(spot) for group in groups) if not math.isnan(r)]
    r = float(np.median(rates)) if len(rates) >= 3 else 0.0
    for group in groups:
        group.find_forward(spot, r)
    fill_forwards(groups, spot)
    stale = abs(spot_gap(groups, spot, r)) > 0.001
    columns: list[Floats] = []
    for group in groups:
        swap = stale and not group.european and group.t <= 45 / 365 and not group.today
        iv = volatilities(group, r, vendor_first=swap)
        same = np.ones(iv.size)
        table = np.stack(
            (group.k, iv, group.t * same, group.forward * same, *group.oi, *group.volume)
        )
        columns.append(table[:, ~np.isnan(iv)])
    k, iv, t, forward, *held = np.concatenate(columns, axis=1)
    yield textbook(spot, r, (k, iv, t, forward), held[0], held[1])
    yield textbook(spot, r, (k, iv, t, forward), held[2], held[3])


def textbook(spot: float, r: float, lines: tuple[Floats, ...], c: Floats, p: Floats) -> Totals:
    """Sections 4 and 5: exposures at spot, and net GEX at 61 hypothetical spots."""
    k, iv, t, forward = lines
    v = iv * np.sqrt(t)

    def gamma(at: float) -> tuple[Floats, Floats]:
        d1 = np.log(forward * at / spot / k) / v + v / 2
        phi = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        return np.exp(-r * t) * forward / spot * phi / (at * v), d1

    g, d1 = gamma(spot)
    carry = np.exp(-r * t) * forward / spot
    d2, density = d1 - v, g * spot * v
    parts = {
        "call_gex": g * c * spot**2,
        "put_gex": -g * p * spot**2,
        "net_gex": g * (c - p) * spot**2,
        "gross_gex": g * (c + p) * spot**2,
        "dex": (carry * ndtr(d1) * c + carry * ndtr(-d1) * p) * (spot * 100),
        "vex": -density * d2 / iv * (c - p) * spot,
        "cex": (density * d2 / (2 * t) * (c - p) + r * carry * (ndtr(d1) * c + ndtr(-d1) * p))
        * (spot * 100 / 365),
    }
    x = math.log(1.1) * np.arange(-30, 31) / 30
    profile = [float((gamma(at)[0] * (c - p)).sum() * at**2) for at in spot * np.exp(x)]
    return Totals(
        {name: float(part.sum()) for name, part in parts.items()},
        {name: float(np.abs(part).sum()) for name, part in parts.items()},
        np.array(profile),
    )


def roughened(seed: int, symbol: str) -> OptionChain:
    """Return a synthetic chain with all that real ones have wrong."""
    rng = np.random.default_rng(seed)
    spot = 6000.0 if symbol == "SPX" else 600.0
    rows = synthetic_chain(1500, 21, spot=spot, seed=seed, symbol=symbol)
    count = len(rows)
    days = np.unique(rows.expiry)
    root = rows.root.copy()
    if symbol == "SPX":  # some dates are AM, and some have both roots
        root[np.isin(rows.expiry, days[15:18])] = "SPX"
        root[(rows.expiry == days[19]) & (rng.random(count) < 0.4)] = "SPX"
    dark = np.isin(rows.expiry, rng.choice(days[:20], 5, replace=False))  # no bids on these dates
    dark |= rng.random(count) < 0.1
    return msgspec.structs.replace(
        rows,
        spot=spot * (1 + rng.choice([0.0, 0.0008, -0.0025])),  # a stale spot
        root=root,
        expiry=np.where(rows.expiry == days[3], np.datetime64("2025-05-30"), rows.expiry),
        bid=np.where(dark, 0.0, rows.bid),
        ask=np.where(rng.random(count) < 0.02, rows.bid - 0.1, rows.ask),
        iv=np.where(rng.random(count) < 0.1, 0.02, rows.iv * rng.uniform(0.7, 1.4, count)),
        open_interest=np.floor(rows.open_interest * rng.pareto(1.5, count)),
    )


@pytest.mark.parametrize("symbol", ["SPX", "SPY"])
@pytest.mark.parametrize("seed", range(6))
def test_two_writings_agree(seed: int, symbol: str) -> None:
    """Every sum by both weights, and the profile at 61 spots, to 1e-9 of gross."""
    rows = roughened(seed, symbol)
    found = fold(clean_chain(rows))["all"]
    assert found.coverage is not None
    assert found.ts_event_ns == ASOF_NS
    assert found.coverage.excluded_contracts > 0

    views: tuple[Any, ...] = (found, found.volume)
    for view, expected in zip(views, second_writing(rows), strict=True):
        assert isinstance(view, Exposure)
        for name, value in expected.sums.items():
            assert getattr(view, name) == pytest.approx(value, abs=1e-9 * expected.scale[name])
        profile = [point.gex for point in view.profile]
        gross = expected.scale["gross_gex"]
        assert profile == pytest.approx(expected.profile, abs=1e-9 * gross)


def test_the_chains_are_as_rough_as_they_should_be() -> None:
    """Between them they use every fallback, both sources of volatility and an ex-dividend eve."""
    methods: set[str | None] = set()
    vendor_first = False
    for symbol in ("SPX", "SPY"):
        for seed in range(6):
            found = fold(clean_chain(roughened(seed, symbol)))["all"]
            assert found.coverage is not None
            methods |= {row.forward_method for row in found.expiries}
            assert 0 < found.coverage.oi_vendor < 1
            assert found.coverage.expired_contracts > 0
            gap = found.coverage.sync_gap or 0.0
            vendor_first |= symbol == "SPY" and abs(gap) > 0.001

    assert methods == {"parity", "sibling", "neighbour"}
    assert vendor_first
