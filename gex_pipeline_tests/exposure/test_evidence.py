"""Evidence of each group, by hand."""

import math

import numpy as np
import pytest

from gex_pipeline.exposure.book import make_book
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.evidence import Evidence
from gex_pipeline.exposure.smile import NONE, OWN, VENDOR
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NEXT,
    TODAY,
    Row,
    answer,
    assert_sound,
    chain,
    change,
    quoted,
    smile,
    years,
)

STRIKES = [4800.0, 4900.0, 5000.0, 5100.0, 5200.0]


def evidence(rows: list[Row]) -> Evidence:
    """Return the evidence of rows under the default convention."""
    found = chain(rows)
    return make_book(found, smile(found), GEXC_1).evidence


def test_open_interest_by_source_of_the_volatility() -> None:
    """Call and put of a line count together; outside 10% of spot nothing counts."""
    rows = quoted(STRIKES, oi=10.0)
    rows = change(rows, 4800, -1, bid=0.0)
    rows = change(rows, 5200, 1, bid=0.0, iv=0.3)
    rows += [Row(4000, -1, iv=0.3, oi=999.0), Row(5000, 1, expiry=NEXT, iv=0.2, oi=7.0)]
    found = evidence(rows)

    assert found.oi[NONE].tolist() == [0, 20]
    assert found.oi[OWN].tolist() == [0, 60]
    assert found.oi[VENDOR].tolist() == [7, 20]
    assert found.greeks_worth == pytest.approx([4.9, 74])
    assert found.forward_worth == pytest.approx([3.5, 100])  # a neighbour's carry is worth half


def test_excluded_and_expired_contracts() -> None:
    """An unlisted side is no contract; expired ones are not excluded but expired."""
    rows = [*change(quoted(STRIKES, oi=10.0), 4800, -1, bid=0.0), Row(4700, -1, oi=3.0)]
    rows += [Row(4700, -1, expiry="2025-05-30", oi=5.0)]
    found = evidence(rows)

    assert found.excluded_contracts[-1] == 3
    assert found.excluded_oi[-1] == 23
    assert (found.expired_contracts, found.expired_oi) == (1, 5)


def test_near_lines_and_their_blur() -> None:
    """Within 5% of the forward; NaN where the out-of-the-money side has no two sides."""
    rows = change(quoted([4700.0, *STRIKES], half=0.25, oi=1.0), 4900, -1, bid=0.0, iv=0.2)
    found = evidence(rows)
    t = years(LATER)

    assert found.chain.strike[found.near].tolist() == STRIKES
    assert found.near_start.tolist() == [0, 5]
    assert found.near_two_sided.tolist() == [True, False, True, True, True]
    assert math.isnan(found.near_blur[1])
    for at, strike in ((0, 4800.0), (3, 5100.0)):
        v = 0.2 * math.sqrt(t)
        d1 = math.log(5000 / strike) / v + v / 2
        vega = 5000 * math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi) * math.sqrt(t)
        assert found.near_blur[at] == pytest.approx(0.25 / (vega * 0.2), rel=1e-5)
    assert found.near_oi.tolist() == [2] * 5


@pytest.mark.parametrize(
    "row",
    [
        Row(5150, 1, "SPXW", TODAY, 9.0, 1.0, iv=0.03, oi=10.0),  # crossed, far out in minutes
        Row(5150, 1, "SPXW", TODAY, 0.01, 0.02, iv=0.03, oi=10.0),  # below the tick: the vendor's
        Row(5249, 1, "SPXW", TODAY, 0.05, 0.06, oi=10.0),
    ],
)
def test_a_worthless_vega_blurs_without_an_error(row: Row) -> None:
    """A vega that is zero to the last digit: no warning, no overflow, and a band of next to 0."""
    found = evidence([*quoted(STRIKES, oi=1.0), row])
    assert np.isfinite(found.near_blur[found.near_two_sided]).all()

    assert_sound(answer([row]))
