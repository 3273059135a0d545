"""Rate and forwards: implied where quotes allow, else the named fallbacks, by hand."""

import datetime
import math
from typing import Any

import pytest

from gex_pipeline.exposure.carry import Carry, Configured, RateChoice, find_carry
from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.fold import fold
from gex_pipeline.options.time_to_expiry import years_to_expiry
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NEXT,
    OPEX,
    SPOT,
    TODAY,
    Row,
    chain,
    ladder,
    quoted,
    years,
)

EXPIRIES = [datetime.date(2025, month, day) for month, day in ((7, 18), (8, 15), (9, 19))]


def carry_of(found: Chain, fallback: RateChoice | None = None) -> Carry:
    """Return the carry under the default convention."""
    time = years_to_expiry(found.settle_ns, found.asof_ns, GEXC_1.floor_minutes)
    return find_carry(found, time, found.two_sided, GEXC_1, Configured(rate=fallback))


def unquoted(expiry: datetime.date, root: str = "SPXW") -> list[Row]:
    """Return a group whose contracts have no bid."""
    return [Row(k, right, root, expiry, 0.0, 0.05) for k in (4900, 5000) for right in (1, -1)]


def term(sigma: float = 0.2, **options: Any) -> list[Row]:
    """Return three monthly expiries quoted at a carry of rate - 1%."""
    rate = options.pop("rate", 0.05)
    return [
        row
        for expiry in EXPIRIES
        for row in quoted(
            ladder(),
            expiry,
            forward=SPOT * math.exp((rate - 0.01) * years(expiry)),
            rate=rate,
            sigma=sigma,
            **options,
        )
    ]


@pytest.mark.parametrize("rate", [-0.015, 0.01, 0.0534])
def test_rate_and_forwards_of_exact_quotes_come_back(rate: float) -> None:
    """The median of three slopes, and each forward on its own quotes."""
    found = carry_of(chain(term(rate=rate)))

    assert found.rate.source == "implied"
    assert found.rate.value == pytest.approx(rate, abs=1e-10)
    for forward, df, expiry in zip(found.forwards, found.df, EXPIRIES, strict=True):
        assert forward is not None
        assert forward.method == "parity"
        assert forward.value == pytest.approx(
            SPOT * math.exp((rate - 0.01) * years(expiry)), rel=1e-10
        )
        assert df == pytest.approx(math.exp(-rate * years(expiry)), rel=1e-10)


def test_two_groups_imply_no_rate() -> None:
    """Three are needed: then the caller's rate holds, and without one zero."""
    two = chain([row for row in term() if row.expiry != EXPIRIES[0]])

    assert carry_of(two).rate == RateChoice(0.0, "zero")
    assert carry_of(two, RateChoice(0.043, "parent")).rate == RateChoice(0.043, "parent")


def test_an_implied_rate_beats_the_callers() -> None:
    """The chain itself knows better than a curve."""
    assert carry_of(chain(term()), RateChoice(0.01, "config")).rate.source == "implied"


@pytest.mark.parametrize("rate", [-0.03, 0.16])
def test_an_implied_rate_out_of_all_reason_is_refused(rate: float) -> None:
    """Only -2% to 15% is believed."""
    assert carry_of(chain(term(rate=rate))).rate.source == "zero"


def test_american_options_imply_no_rate() -> None:
    """Their slope is never used; their forward is."""
    rows = [row._replace(root="SPY") for row in term(rate=0.0)]
    found = carry_of(chain(rows, symbol="SPY"))

    assert found.rate.source == "zero"
    assert {f.method for f in found.forwards if f} == {"parity"}


def test_only_expiries_between_30_days_and_18_months_imply_the_rate() -> None:
    """Three near ones give none."""
    near = [
        row
        for expiry in (NEXT, LATER, OPEX)
        for row in quoted(ladder(), expiry, forward=SPOT * 1.0001, rate=0.05, half=0.001)
    ]

    assert carry_of(chain(near)).rate.source == "zero"


def test_the_sibling_lends_its_carry() -> None:
    """The AM root of the date has no quotes: F = S exp(log(Fs/S) T/Ts), hours shorter."""
    forward = SPOT * 1.002
    found = carry_of(
        chain(
            quoted(ladder(), OPEX, "SPXW", forward=forward)
            + unquoted(OPEX, "SPX")
            + quoted(ladder(), LATER, forward=SPOT * 0.999)
        )
    )
    ratio = years(OPEX, "SPX") / years(OPEX, "SPXW")
    sibling = found.forwards[1]

    assert sibling is not None
    assert (sibling.method, sibling.reason) == ("sibling", "quotes:0")
    assert sibling.value == pytest.approx(SPOT * math.exp(math.log(1.002) * ratio), rel=1e-12)
    assert found.forward[1] == sibling.value


def test_neighbours_lend_theirs() -> None:
    """Linear in time between parity groups, constant carry outside, exact by hand."""
    days = [NEXT, LATER, datetime.date(2025, 6, 10), OPEX, EXPIRIES[0]]
    near, far = 1.001, 1.004
    found = carry_of(
        chain(
            unquoted(days[0])
            + quoted(ladder(), days[1], forward=SPOT * near)
            + unquoted(days[2])
            + quoted(ladder(), days[3], forward=SPOT * far)
            + unquoted(days[4])
        )
    )
    t = [years(day) for day in days]
    weight = (t[2] - t[1]) / (t[3] - t[1])
    expected = [
        math.log(near) * t[0] / t[1],
        math.log(near),
        math.log(near) + weight * (math.log(far) - math.log(near)),
        math.log(far),
        math.log(far) * t[4] / t[3],
    ]

    assert [f.method if f else None for f in found.forwards] == [
        "neighbour",
        "parity",
        "neighbour",
        "parity",
        "neighbour",
    ]
    assert found.forward == pytest.approx([SPOT * math.exp(c) for c in expected], rel=1e-12)


def test_without_any_parity_the_forward_is_spot() -> None:
    """Named zero, with the reason why parity gave nothing."""
    found = carry_of(chain(unquoted(NEXT) + unquoted(LATER)))

    assert [(f.value, f.method, f.reason) for f in found.forwards if f] == [
        (SPOT, "zero", "quotes:0")
    ] * 2
    assert found.gap is None


def test_an_expired_group_has_no_forward() -> None:
    """And lends no carry to the others."""
    yesterday = TODAY - datetime.timedelta(3)
    expired = [row._replace(expiry=yesterday) for row in quoted(ladder(), NEXT, forward=5050)]
    found = carry_of(chain(expired + unquoted(NEXT)))

    assert found.forwards[0] is None
    assert math.isnan(found.forward[0])
    assert found.forward[1] == SPOT


def test_the_gap_of_a_stale_spot() -> None:
    """All forwards 0.3% above spot, at any time: spot stands 0.3% low."""
    rows = [
        row
        for expiry in (NEXT, LATER, OPEX)
        for row in quoted(ladder(), expiry, forward=SPOT * math.exp(0.003))
    ]

    assert carry_of(chain(rows)).gap == pytest.approx(0.003, abs=1e-9)


def test_far_expiries_say_nothing_of_the_gap() -> None:
    """Only parity groups within 45 days count."""
    far = EXPIRIES[1]

    assert carry_of(chain(quoted(ladder(), far, forward=SPOT * 1.003))).gap is None


def test_a_configured_dividend_carries_spot() -> None:
    """F = S exp((r - q) T) where no expiry has a parity forward: 5% less 1% over the time left."""
    rows = [Row(5000, expiry=LATER, iv=0.2, oi=1.0)]
    found = chain(rows)
    answer = fold(found, configured=Configured(rate=RateChoice(0.05, "config"), dividend=0.01))[
        "all"
    ]
    (row,) = answer.expiries

    assert row.years is not None
    assert row.forward == pytest.approx(SPOT * math.exp(0.04 * row.years), rel=1e-12)
    assert row.forward_method == "rate"
    assert row.forward_reason == "quotes:0"
