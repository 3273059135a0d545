"""Rows by strike and by expiry: nothing is lost on the way to the totals."""

import numpy as np
import pytest

from gex_pipeline.exposure.breakdown import _shares
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NEXT,
    Row,
    answer,
    chain,
    change,
    ladder,
    quoted,
    smile,
)
from gex_pipeline_tests.synthetic import synthetic_chain

ROWS = (
    quoted(ladder(), NEXT, oi=10.0, volume=3.0)
    + quoted(ladder(4900, 5100), LATER, oi=20.0)
    + quoted(ladder(), LATER, "SPX", oi=5.0)
)


def test_strikes_add_up_to_the_totals() -> None:
    """In every scope, by open interest and by volume."""
    for found in fold(clean_chain(synthetic_chain(1600, 20)), NAMES).values():
        rows = found.strikes
        assert found.gross_gex is not None
        near = pytest.approx

        gross = found.gross_gex
        assert sum(row.call_gex or 0 for row in rows) == near(found.call_gex, abs=1e-12 * gross)
        assert sum(row.put_gex or 0 for row in rows) == near(found.put_gex, abs=1e-12 * gross)
        assert sum(row.net_gex or 0 for row in rows) == near(found.net_gex, abs=1e-12 * gross)
        assert found.volume is not None
        assert found.volume.gross_gex is not None
        assert sum(row.net_gex_volume or 0 for row in rows) == near(
            found.net_gex_volume, abs=1e-12 * found.volume.gross_gex
        )
        assert all((row.call_gex or 0) >= 0 >= (row.put_gex or 0) for row in rows)


def test_expiries_add_up_to_the_totals() -> None:
    """Each row its root and expiry; shares of the gross add up to 1."""
    for found in fold(clean_chain(synthetic_chain(1600, 20)), NAMES).values():
        rows = found.expiries
        assert found.gross_gex is not None
        tolerance = 1e-12 * found.gross_gex

        assert sum(row.net_gex or 0 for row in rows) == pytest.approx(found.net_gex, abs=tolerance)
        assert sum(row.call_gex or 0 for row in rows) == pytest.approx(
            found.call_gex, abs=tolerance
        )
        assert sum(row.share or 0 for row in rows) == pytest.approx(1, rel=1e-12)
        assert sum(row.contracts for row in rows) == found.contracts


def test_an_expiry_alone_is_its_row() -> None:
    """The row of a root and date is the scope expiry:DATE:ROOT."""
    found = answer(ROWS)
    assert [(row.expiry, row.root) for row in found.expiries] == [
        (NEXT, "SPXW"),
        (LATER, "SPX"),
        (LATER, "SPXW"),
    ]
    for row in found.expiries:
        alone = answer(ROWS, f"expiry:{row.expiry}:{row.root}")

        assert row.net_gex == alone.net_gex
        assert row.call_gex == alone.call_gex
        assert row.contracts == alone.contracts
        assert row.max_pain == alone.max_pain


def test_a_row_per_listed_strike_of_the_scope() -> None:
    """Ascending; counts of both sides, roots and expiries together."""
    found = answer(ROWS, "expiry:2025-06-06")
    middle = next(row for row in found.strikes if row.strike == 5000)

    assert [row.strike for row in found.strikes] == ladder()
    assert (middle.call_oi, middle.put_oi, middle.call_volume, middle.put_volume) == (25, 25, 0, 0)
    assert answer(ROWS, "expiry:2025-06-06:SPXW").strikes[0].strike == 4900
    assert answer(ROWS).strikes[0].call_volume == 3


def test_a_listed_strike_without_exposure_is_0_and_an_excluded_one_null() -> None:
    """0 is a fact, null is not knowing."""
    rows = change(quoted(ladder(), oi=1.0), 4900, 1, oi=0.0)
    rows = change(rows, 4900, -1, oi=0.0)
    found = answer([*rows, Row(4000, -1, oi=50.0)])
    by_strike = {row.strike: row for row in found.strikes}

    assert (by_strike[4900].call_gex, by_strike[4900].put_gex, by_strike[4900].net_gex) == (0, 0, 0)
    assert by_strike[4000].net_gex is None
    assert by_strike[4000].put_oi == 50


def test_forwards_are_shown_with_their_method() -> None:
    """Value, method and why parity failed."""
    found = answer([*ROWS, Row(5000, 1, expiry="2025-06-09", iv=0.2, oi=1.0)])
    carried = smile(chain([*ROWS, Row(5000, 1, expiry="2025-06-09", iv=0.2, oi=1.0)]))

    for g, row in enumerate(found.expiries):
        forward = carried.forwards[g]
        assert forward is not None
        assert (row.forward, row.forward_method) == (forward.value, forward.method)
        assert row.forward_reason == (forward.reason or None)
        assert row.years == carried.years[g]
    assert found.expiries[-1].forward_reason == "quotes:0"


def test_a_scope_of_next_to_nothing_has_shares_without_a_warning() -> None:
    """An expiry beside it that dwarfs it is no part of it, and overflows nothing."""
    shares = _shares(np.array([4e-310, 1e12]), 4e-310, np.array([True, False]))

    assert shares.tolist() == [1.0, 0.0]
