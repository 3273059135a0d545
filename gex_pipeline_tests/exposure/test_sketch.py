"""The sketch of exposure by strike: one contract by hand, and what adds nothing."""

import datetime
import math

import numpy as np
import pytest

from gex_pipeline.exposure.sketch import CONVENTION, Columns, Sketch, list_contracts, sketch
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.options.black_scholes import gamma

ASOF_NS = et_ns(datetime.date(2026, 11, 20), 10)
CALL, PUT = "SPXW  261120C06000000", "SPXW  261120P06000000"
FAR, AM = "SPXW  261218P05900000", "SPX   261120C06000000"
YEARS = 6 * 60 / 525_600  # 10:00 to 16:00


def drawn(contracts: list[str], iv: list[float], oi: list[float], spot: float = 6000.0) -> Sketch:
    """Return the sketch of these contracts; the volume is a tenth of the open interest."""
    listing = list_contracts("SPX", contracts, [""] * len(contracts))
    columns = Columns(np.array(iv), np.array(oi), np.array(oi) / 10)
    return sketch("SPX", ASOF_NS, spot, ASOF_NS, listing, columns)


def test_one_call_by_hand() -> None:
    """At the money d1 = sigma sqrt(T) / 2, and gamma x 10 x 100 x S^2 x 1% in dollars."""
    stdev = 0.2 * math.sqrt(YEARS)
    by_hand = math.exp(-(stdev**2) / 8) / math.sqrt(2 * math.pi) / (6000 * stdev)

    found = drawn([CALL], [0.2], [10.0])

    assert found.convention == CONVENTION
    assert found.strikes.tolist() == [6000.0]
    assert found.call_gex_oi[0] == pytest.approx(by_hand * 10 * 100 * 6000**2 * 0.01, rel=1e-12)
    assert found.call_gex_volume[0] == pytest.approx(found.call_gex_oi[0] / 10, rel=1e-12)
    assert (found.put_gex_oi[0], found.contracts, found.used) == (0.0, 1, 1)


def test_strikes_add_up_over_expiries_and_sides_stay_apart() -> None:
    """Calls +, puts -; each by its own volatility, as the formula of options/ has it."""
    found = drawn([PUT, CALL, FAR], [0.25, 0.2, 0.18], [3.0, 10.0, 7.0], spot=5990.0)
    month = (et_ns(datetime.date(2026, 12, 18), 16) - ASOF_NS) / 60e9 / 525_600

    def dollars(strike: float, sigma: float, years: float, oi: float) -> float:
        at, t = np.array([strike]), np.array([years])
        greek = gamma(np.array([5990.0]), at, t, 0.0, 0.0, np.array([sigma]))
        return float(greek[0]) * oi * 5990.0**2

    assert found.strikes.tolist() == [5900.0, 6000.0]
    assert found.call_gex_oi.tolist() == pytest.approx([0.0, dollars(6000, 0.2, YEARS, 10)])
    assert found.put_gex_oi.tolist() == pytest.approx(
        [-dollars(5900, 0.18, month, 7), -dollars(6000, 0.25, YEARS, 3)]
    )


def test_what_is_not_known_adds_nothing() -> None:
    """No volatility, a settlement that is past (AM), a contract that is none of ours."""
    found = drawn([CALL, PUT, AM, "SPX1  261120C06000000"], [math.nan, 0.0, 0.2, 0.2], [9.0] * 4)

    assert (found.contracts, found.used) == (4, 0)
    assert found.call_gex_oi.tolist() == found.put_gex_oi.tolist() == [0.0]


def test_without_a_spot_there_is_no_figure() -> None:
    """NaN, not 0."""
    assert math.isnan(drawn([CALL], [0.2], [10.0], spot=math.nan).call_gex_oi[0])
