"""The textbook in forty lines: what a careful trader would write in numpy, against fold().

Index chains with a parity forward in every expiry. What else the convention settles (fallbacks of
the forward, American roots, stale spots) is written a second time in test_independent.
"""

import datetime
import math
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline_tests.exposure.builders import Row, source

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime.datetime(2026, 11, 19, 15, tzinfo=NEW_YORK)
"""The eve of an OPEX Friday: SPX settles at its open, SPXW of the same date at its close."""
EXPIRIES = [
    (datetime.date(2026, 11, 20), "SPX"),
    (datetime.date(2026, 11, 20), "SPXW"),
    (datetime.date(2026, 11, 23), "SPXW"),
    (datetime.date(2026, 12, 18), "SPX"),
    (datetime.date(2026, 12, 18), "SPXW"),
    (datetime.date(2027, 1, 15), "SPX"),
    (datetime.date(2027, 1, 15), "SPXW"),
    (datetime.date(2027, 3, 19), "SPX"),
]
TOTALS = ("call_gex", "put_gex", "net_gex", "dex", "vex", "cex")


# --- the peer -------------------------------------------------------------------------------------


def peer(rows: OptionChain, held: Floats) -> tuple[Floats, Floats]:
    """Return the totals, and net GEX at 61 spots, with `held` contracts in each row."""
    groups = [laid_out(rows, held, *key) for key in EXPIRIES]
    rates = [implied_rate(t, rows.spot, *of) for t, *of in groups if t >= 30 / 365]
    r, totals, profile = float(np.median(rates)), np.zeros(6), np.zeros(61)
    for t, k, bid, ask, vendor, n in groups:
        f = forward(math.exp(-r * t), k, bid, ask)
        iv = volatility(math.exp(-r * t), f, t, k, bid, ask, vendor)
        g, v = math.exp(-r * t) * f / rows.spot, iv * t**0.5
        d1 = np.log(f / k) / v + v / 2
        bell, d2 = g * np.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi), d1 - v
        for sign, c in ((1, n[0]), (-1, n[1])):
            gex = (sign * bell / v * c * rows.spot).sum()
            delta, vanna = sign * g * ndtr(sign * d1), -bell * d2 / iv
            charm = r * delta + bell * d2 / (2 * t)
            dollars = [(sign * x * c).sum() * rows.spot for x in (100 * delta, vanna, charm / 3.65)]
            totals += [gex * (sign > 0), gex * (sign < 0), gex, *dollars]
            for at, x in enumerate(math.log(1.1) * np.arange(-30, 31) / 30):  # all again, elsewhere
                gamma = g * np.exp(-((d1 + x / v) ** 2) / 2) / math.sqrt(2 * math.pi) / v
                profile[at] += (sign * gamma * c).sum() * rows.spot * math.exp(x)
    return totals, profile


def forward(df: float, k: Floats, bid: Floats, ask: Floats) -> float:
    """Return the median of K + (C - P)/df over the ten strikes where they differ least."""
    tight = ((bid > 0) & (ask - bid <= (ask + bid) / 4)).all(axis=0)
    apart = ((bid + ask)[0] - (bid + ask)[1])[tight] / 2
    best = np.argsort(np.abs(apart), kind="stable")[:10]
    return float(np.median(k[tight][best] + apart[best] / df))


def volatility(
    df: float, f: float, t: float, k: Floats, bid: Floats, ask: Floats, vendor: Floats
) -> Floats:
    """Return our own of each strike: out of the money, blended next to it, else kappa x vendor."""
    own = np.stack([bisect(s, (bid + ask)[i] / 2 / df, f, k, t) for i, s in enumerate((1, -1))])
    own[(bid <= 0) | (bid + ask < 0.1)] = np.nan
    iv, theirs = np.where(k >= f, own, own[::-1])[0], np.where(k >= f, vendor, vendor[::-1])[0]
    for at in (np.flatnonzero(k < f)[-1], np.flatnonzero(k >= f)[0]):
        iv[at] = own[:, at].mean() if np.isfinite(own[:, at]).all() else iv[at]
    ratio = (iv / theirs)[(np.abs(np.log(k / f)) <= 0.05) & np.isfinite(iv)]
    kappa = np.clip(np.median(ratio), 0.5, 2) if ratio.size >= 5 else 1.0
    return np.asarray(np.where(np.isnan(iv), kappa * theirs, iv))


def bisect(sign: int, price: Floats, f: float, k: Floats, t: float) -> Floats:
    """Return the Black-76 volatility of undiscounted prices, by halving its log."""
    low, high = np.full(k.size, math.log(1e-4)), np.full(k.size, math.log(20.0))
    for _ in range(80):
        v = np.exp((low + high) / 2) * t**0.5
        d1 = np.log(f / k) / v + v / 2
        dear = sign * (f * ndtr(sign * d1) - k * ndtr(sign * (d1 - v))) > price
        low, high = np.where(dear, low, (low + high) / 2), np.where(dear, (low + high) / 2, high)
    return np.asarray(np.where((v >= 0.01 * t**0.5) & (v <= 5 * t**0.5), v / t**0.5, np.nan))


def implied_rate(t: float, spot: float, k: Floats, bid: Floats, ask: Floats, *_: Floats) -> float:
    """Return the slope of call less put over the strikes within 10%, as a rate."""
    use = (bid > 0).all(axis=0) & (np.abs(np.log(k / spot)) <= 0.1)
    apart = ((bid + ask)[0] - (bid + ask)[1]) / 2
    return -math.log(-np.polyfit(k[use], apart[use], 1)[0]) / t


def laid_out(
    rows: OptionChain, held: Floats, expiry: datetime.date, root: str
) -> tuple[float, Floats, Floats, Floats, Floats, Floats]:
    """Return years left, strikes, and (call or put, strike) bid, ask, vendor's IV and contracts."""
    own = (rows.expiry == np.datetime64(expiry)) & (rows.root == root)
    k = np.unique(rows.strike[own])
    laid = np.zeros((4, 2, k.size))
    for matrix, column in zip(laid, (rows.bid, rows.ask, rows.iv, held), strict=True):
        matrix[(rows.right[own] < 0).astype(int), np.searchsorted(k, rows.strike[own])] = column[
            own
        ]
    return years(expiry, root), k, laid[0], laid[1], laid[2], laid[3]


def years(expiry: datetime.date, root: str) -> float:
    """Return the elapsed minutes to settlement in years of 525,600 of them."""
    settles = datetime.time(9, 30) if root == "SPX" else datetime.time(16)
    moment = datetime.datetime.combine(expiry, settles, NEW_YORK)
    return (moment.timestamp() - NOW.timestamp()) / 60 / 525_600


# --- random chains --------------------------------------------------------------------------------


def random_chain(seed: int) -> OptionChain:
    """Return quotes around a smile with holes: no bids, thin wings, contracts that nobody holds."""
    rng = np.random.default_rng(seed)
    spot, rate = float(rng.uniform(3000, 8000)), float(rng.uniform(0.02, 0.06))
    rows: list[Row] = []
    for expiry, root in EXPIRIES:
        strikes = np.asarray(5.0 * (round(spot / 5) + np.unique(rng.integers(-90, 90, 200))))
        for right in (1, -1):
            rows += _quoted(rng, (spot, rate), strikes, right, (expiry, root))
    made_ns = round(NOW.timestamp()) * 10**9
    shuffled = [rows[at]._replace(ts=made_ns) for at in rng.permutation(len(rows))]
    return source(shuffled, spot=spot, ts_source_ns=made_ns)


def _quoted(
    rng: np.random.Generator,
    market: tuple[float, float],
    k: Floats,
    right: int,
    of: tuple[datetime.date, str],
) -> list[Row]:
    (spot, rate), t, size = market, years(*of), k.size
    f = spot * math.exp((rate - 0.013) * t)
    x = np.log(k / f) / math.sqrt(t + 0.02)
    iv = np.clip(0.15 - 0.1 * x + 0.2 * x**2, 0.08, 1.0)
    d1 = np.log(f / k) / (iv * t**0.5) + iv * t**0.5 / 2
    value = right * (f * ndtr(right * d1) - k * ndtr(right * (d1 - iv * t**0.5)))
    fair = math.exp(-rate * t) * value
    half = 0.05 + 0.01 * fair * rng.uniform(0, 1, size)
    bid = np.maximum(np.round((fair - half) / 0.05), 0) * 0.05 * (rng.random(size) > 0.08)
    ask = np.round((fair + half) / 0.05) * 0.05
    held = rng.poisson(800 * np.exp(-(x**2)), (2, size)) * (rng.random((2, size)) > 0.2)
    columns = np.stack([k, bid.round(2), ask.round(2), iv * rng.uniform(1.1, 1.3), *held])
    return [
        Row(strike, right, of[1], of[0], bid, ask, iv, oi=oi, volume=volume)
        for strike, bid, ask, iv, oi, volume in columns.T.tolist()
    ]


# --- the test -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_forty_lines_of_numpy_agree(seed: int) -> None:
    """Totals and all 61 points of the profile, by open interest and by volume, to 1e-9 of gross."""
    rows = random_chain(seed)
    found = fold(clean_chain(rows))["all"]
    assert found.coverage is not None
    assert found.volume is not None
    assert [row.forward_method for row in found.expiries] == ["parity"] * len(EXPIRIES)
    assert 0 < found.coverage.oi_vendor < found.coverage.oi_own

    for view, held in ((found, rows.open_interest), (found.volume, rows.volume)):
        totals, profile = peer(rows, held)
        within = 1e-9 * float(totals[0] - totals[1])
        given = [getattr(view, name) for name in TOTALS]
        assert given == pytest.approx(totals.tolist(), rel=1e-9, abs=within)
        assert [point.gex for point in view.profile] == pytest.approx(profile.tolist(), abs=within)
