"""Coverage: each factor's formula on chains small enough to count by hand."""

import datetime
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.coverage import Coverage, Factors, confidence_level
from gex_pipeline.exposure.feed import FILE, Feed
from gex_pipeline.exposure.fold import fold
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.exposure.builders import (
    ASOF_NS,
    LATER,
    NAN,
    NEXT,
    SPOT,
    TODAY,
    Row,
    chain,
    change,
    ladder,
    quoted,
    years,
)

STRIKES = [4800.0, 4900.0, 5000.0, 5100.0, 5200.0]
"""All within 5% of the forward, 5000."""
FAR = datetime.date(2025, 9, 19)


def rows(expiry: datetime.date = LATER, root: str = "SPXW", **fields: Any) -> list[Row]:
    """Return five strikes of calls and puts, ten contracts each, quoted tightly."""
    return quoted(STRIKES, expiry, root, **({"oi": 10.0} | fields))


def coverage(found: Chain, scope: str = "all", feed: Feed = FILE) -> Coverage:
    """Return the coverage of a scope."""
    snapshot = fold(found, (scope,), feed=feed)[scope]
    assert snapshot.coverage is not None
    assert snapshot.confidence == snapshot.coverage.factors.product
    assert snapshot.confidence_level == snapshot.coverage.level
    return snapshot.coverage


def of(many: list[Row], symbol: str = "SPX", **options: Any) -> Coverage:
    """Return the coverage of rows."""
    return coverage(chain(many, symbol=symbol), **options)


def test_a_perfect_chain() -> None:
    """Own volatilities, parity, two sides: only the band is a little below 1."""
    found = of(rows())

    assert (found.oi_own, found.oi_vendor, found.oi_none, found.no_oi) == (1, 0, 0, False)
    names = ("greeks", "forward", "two_sided", "quote_time", "feed")
    assert [getattr(found.factors, name) for name in names] == [1] * 5
    assert found.factors.sync == pytest.approx(1, abs=1e-9)
    assert 0.99 < found.factors.band < 1
    assert (found.level, found.reasons) == ("high", ())


@pytest.mark.parametrize(("root", "worth"), [("SPXW", 0.7), ("SPY", 0.9)])
def test_greeks_counts_the_vendors_for_less(root: str, worth: float) -> None:
    """20 of 100 contracts on the vendor's volatility: 0.8 + 0.7 x 0.2, American 0.9 x 0.2."""
    found = of(change(rows(root=root, iv=NAN), 4800, -1, bid=0.0, iv=0.25), symbol=root)

    assert (found.oi_own, found.oi_vendor, found.oi_none) == (0.8, 0.2, 0)
    assert found.factors.greeks == pytest.approx(0.8 + worth * 0.2, rel=1e-14)


def test_greeks_counts_excluded_contracts_as_nothing() -> None:
    """20 of 100 without any volatility: 0.8."""
    found = of(change(rows(), 4800, -1, bid=0.0))

    assert (found.oi_own, found.oi_none) == (0.8, 0.2)
    assert (found.excluded_contracts, found.excluded_oi) == (2, 20)
    assert found.factors.greeks == pytest.approx(0.8, rel=1e-14)


def test_shares_are_of_the_window() -> None:
    """Strikes beyond 10% of spot count neither way; exactly in the window they do."""
    outside = [Row(4500, -1, iv=0.3, oi=1e6), Row(5510, 1, oi=1e6)]
    assert of(rows() + outside).factors.greeks == 1

    inside = [Row(4550, -1, oi=100.0)]
    assert of(rows() + inside).factors.greeks == pytest.approx(0.5, rel=1e-14)


def test_no_open_interest() -> None:
    """Shares are 0 and say so."""
    found = of(rows(oi=0.0))

    assert found.no_oi
    assert (found.factors.greeks, found.factors.forward, found.factors.band) == (0, 0, 0)
    assert (found.iv_band, found.level) == (None, "unusable")


def test_forward_counts_borrowed_carry_by_half() -> None:
    """100 contracts on parity, 25 on the neighbour's carry: (100 + 12.5) / 125."""
    borrowed = [Row(5000, 1, expiry=NEXT, iv=0.2, oi=25.0)]
    found = of(rows() + borrowed)

    assert (found.forwards.parity, found.forwards.neighbour) == (1, 1)
    assert found.factors.forward == pytest.approx(112.5 / 125, rel=1e-14)
    assert found.forwards.fallbacks == (f"{NEXT} SPXW: quotes:0",)


def test_forward_counts_the_sibling_by_half() -> None:
    """The AM root of the same date without quotes."""
    found = of([*rows(), Row(5000, 1, "SPX", iv=0.2, oi=100.0)])

    assert (found.forwards.parity, found.forwards.sibling) == (1, 1)
    assert found.factors.forward == pytest.approx(150 / 200, rel=1e-14)


def test_forward_at_spot_counts_nothing() -> None:
    """No parity anywhere."""
    found = of([Row(5000, 1, iv=0.2, oi=10.0)])

    assert found.forwards.zero == 1
    assert (found.factors.forward, found.factors.sync) == (0, 0.5)


def test_two_sided_looks_at_the_out_of_the_money_side() -> None:
    """One of five puts below the forward without a bid: 4 of 5; a call there does not matter."""
    assert of(change(rows(), 4800, -1, bid=0.0)).factors.two_sided == 0.8
    assert of(change(rows(), 4800, 1, bid=0.0)).factors.two_sided == 1


def test_two_sided_looks_near_the_money() -> None:
    """Strikes more than 5% from the forward are not asked."""
    assert of([*rows(), Row(4750, -1, oi=1.0)]).factors.two_sided == 1
    assert of([*rows(), Row(4760, -1, oi=1.0)]).factors.two_sided == pytest.approx(5 / 6)


def test_two_sided_looks_at_the_near_expiries() -> None:
    """Beyond 45 days a missing bid does not matter to the chain."""
    far = change(rows(FAR), 4800, -1, bid=0.0)

    assert of(rows() + far).factors.two_sided == 1


def test_two_sided_on_the_day_of_expiry() -> None:
    """5.5 hours left at 20%: two deviations are 1.0%; nobody bids for what lies further out."""
    many = quoted(ladder(), TODAY, oi=10.0)
    bare = sum(row.right < 0 and row.strike < SPOT and row.bid < 0 for row in many)
    assert bare >= 3
    assert of(many, scope="0dte").factors.two_sided == 1

    inside = math.floor(SPOT * math.exp(-2 * 0.2 * math.sqrt(years(TODAY))) / 25) * 25 + 25
    assert inside == 4975
    lines = [4975.0, 5000.0, 5025.0, 5050.0]
    assert of(change(many, inside, -1, bid=0.0), scope="0dte").factors.two_sided == 1 - 1 / len(
        lines
    )
    assert of(change(many, inside - 25, -1, bid=0.0), scope="0dte").factors.two_sided == 1


def test_two_sided_where_two_deviations_reach_no_strike() -> None:
    """The two lines nearest to the forward count: 5000, quoted, and 5050, for which nobody bids."""
    many = quoted(ladder(step=50), TODAY, sigma=0.02, oi=10.0)
    assert of(many, scope="0dte").factors.two_sided == 0.5


def test_two_sided_without_a_volatility_near_the_money() -> None:
    """An expiry of today that nobody quotes is judged by 5%, as on any other day: nothing is."""
    silent = [row._replace(bid=0.0) for row in quoted(ladder(), TODAY, oi=10.0)]
    assert of(silent, scope="0dte").factors.two_sided == 0


def test_band_by_hand() -> None:
    """Half a spread of 0.5 on a vega of F phi sqrt(T) at the money: u, and 1/(1+(u/0.15)^2)."""
    found = of(change(change(rows(half=0.5, oi=0.0), 5000, 1, oi=10.0), 5000, -1, oi=10.0))
    d1 = 0.1 * math.sqrt(years(LATER))
    vega = SPOT * math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi) * math.sqrt(years(LATER))
    u = 0.5 / (vega * 0.2)

    assert found.iv_band == pytest.approx(u, rel=1e-6)
    assert found.factors.band == pytest.approx(1 / (1 + (u / 0.15) ** 2), rel=1e-6)


def test_band_is_the_weighted_lower_median() -> None:
    """Of two lines with the same open interest the sharper; with a contract more, the other."""
    base = rows(half=0.5, oi=0.0)
    bands = []
    for at_5000, at_5100 in ((10.0, 10.0), (10.0, 11.0), (10.0, 0.0), (0.0, 10.0)):
        found = of(change(change(base, 5000, 1, oi=at_5000), 5100, 1, oi=at_5100))
        bands.append(found.iv_band)
    equal, heavier, sharp, blunt = bands

    assert equal == sharp
    assert heavier == blunt
    assert sharp is not None
    assert blunt is not None
    assert sharp < blunt


def test_band_without_weight_is_0() -> None:
    """Two-sided lines, but none holds open interest near the money."""
    found = of([*rows(oi=0.0), Row(4700, -1, iv=0.2, oi=5.0)])

    assert (found.iv_band, found.factors.band) == (None, 0)


def test_sync_by_hand() -> None:
    """Two expiries with forwards 0.3% above spot, r = 0: exp(-(0.003/0.005)^2)."""
    forward = SPOT * math.exp(0.003)
    found = of(rows(NEXT, forward=forward) + rows(LATER, forward=forward))

    assert found.sync_gap == pytest.approx(0.003, abs=1e-9)
    assert found.factors.sync == pytest.approx(math.exp(-0.36), rel=1e-6)


def live(age_s: float) -> Chain:
    """Return a live chain whose quotes are all of one age."""
    ts = ASOF_NS - round(age_s * SECOND_NS)
    return msgspec.structs.replace(
        chain(rows(ts=ts)), live=True, asof_ns=ASOF_NS, asof_rule="given"
    )


@pytest.mark.parametrize(
    ("age_s", "factor"),
    [(0, 1.0), (60, 1.0), (234, 0.9), (300, 1500 / 1740), (1800, 0.0), (9999, 0.0)],
)
def test_quote_time_of_a_live_chain(age_s: float, factor: float) -> None:
    """1 up to a minute, then down to 0 at half an hour."""
    found = coverage(live(age_s))

    assert found.quote_age_s == age_s
    assert found.factors.quote_time == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize(("rule", "factor"), [("given", 1), ("session", 1), ("last_close", 0.9)])
def test_quote_time_of_a_file(rule: str, factor: float) -> None:
    """0.9 where the moment is inferred from the last close."""
    found = coverage(msgspec.structs.replace(chain(rows()), asof_rule=rule))

    assert found.factors.quote_time == factor
    assert (found.quote_age_s, found.asof_rule) == (None, rule)


def test_feed_is_the_callers() -> None:
    """0 for a silent tape; a file's is 1."""
    found = coverage(chain(rows()), feed=Feed(factor=0.25, reason="windows"))

    assert found.factors.feed == 0.25
    assert "feed:windows" in found.reasons


def test_confidence_is_the_product() -> None:
    """And its reasons the factors below 0.8."""
    factors = Factors(
        greeks=0.9, forward=0.8, two_sided=0.7, band=1.0, sync=0.5, quote_time=0.79, feed=1.0
    )

    assert factors.product == pytest.approx(0.9 * 0.8 * 0.7 * 0.5 * 0.79, rel=1e-14)
    assert factors.reasons() == ("two_sided", "sync", "quote_time")


@pytest.mark.parametrize(
    ("confidence", "level"),
    [
        (1.0, "high"),
        (0.6, "high"),
        (np.nextafter(0.6, 0), "low"),
        (0.2, "low"),
        (np.nextafter(0.2, 0), "unusable"),
        (0.0, "unusable"),
    ],
)
def test_levels(confidence: float, level: str) -> None:
    """High from 0.6, low from 0.2."""
    assert confidence_level(confidence) == level


def test_a_scope_is_judged_by_its_own_rows() -> None:
    """One good expiry, one without any quote."""
    many = rows() + [Row(k, -1, expiry=NEXT, iv=0.2, oi=10.0) for k in STRIKES]
    good, bad = of(many, scope=f"expiry:{LATER}"), of(many, scope="next")

    assert good.factors.greeks == 1
    assert good.factors.two_sided == 1
    assert bad.factors.greeks == pytest.approx(0.7)
    assert bad.factors.two_sided == 0
    assert of(many).factors.two_sided == 0.5


def test_what_is_counted_besides() -> None:
    """Expired rows, repeats, drops and floored expiries."""
    many = [*rows(), rows()[0], Row(5000, expiry="2025-05-30", oi=7.0), Row(NAN)]
    found = of(many)

    assert (found.expired_contracts, found.expired_oi) == (1, 7)
    assert (found.duplicates, found.dropped) == (1, {"strike": 1})
    assert found.floored == ()
    late = msgspec.structs.replace(chain(rows()), asof_ns=chain(rows()).groups[0].settle_ns - 1)
    assert coverage(late).floored == (f"{LATER} SPXW",)
