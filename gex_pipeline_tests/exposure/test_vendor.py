"""The vendor's own total beside ours."""

import pytest

from gex_pipeline_tests.exposure.builders import (
    LATER,
    NAN,
    Row,
    answer,
    change,
    ladder,
    quoted,
)


def test_the_difference_to_the_vendor_by_hand() -> None:
    """Beside our own figures: unexpired, all rows, and the difference as shares."""
    rows = quoted(ladder(), LATER, gamma=0.001, oi=10.0)
    rows = change(rows, 5100, 1, oi=110.0)
    rows.append(Row(5000, 1, expiry="2025-05-30", gamma=0.004, oi=10.0))
    found = answer(rows)
    assert found.vendor is not None
    assert found.net_gex is not None
    unit = 100 * 5000**2 * 0.01

    assert found.vendor.net_gex == pytest.approx(0.1 * unit)
    assert found.vendor.gross_gex == pytest.approx(0.44 * unit)
    assert found.vendor.net_gex_all_rows == pytest.approx(0.14 * unit)
    difference = found.net_gex - 0.1 * unit
    assert found.vendor.difference == pytest.approx(difference)
    assert found.vendor.difference_to_net == pytest.approx(difference / (0.1 * unit))
    assert found.vendor.difference_to_gross == pytest.approx(difference / (0.44 * unit))


def test_ratios_of_nothing_are_null() -> None:
    """A vendor whose gammas are all 0 says nothing; where they cancel there is no share of net."""
    rows = change(quoted(ladder(), LATER, gamma=0.0, oi=10.0), 5100, 1, oi=110.0)
    assert answer(rows).null_reasons["vendor"] == "no_vendor_gamma"

    cancelled = answer([row._replace(gamma=0.001, oi=10.0) for row in rows]).vendor
    assert cancelled is not None
    assert (cancelled.net_gex, cancelled.difference_to_net) == (0, None)
    assert cancelled.difference_to_gross is not None


def test_a_source_without_gamma_has_no_vendor_total() -> None:
    """Null with its reason, and not a difference to zero."""
    found = answer([row._replace(gamma=NAN) for row in quoted(ladder(), LATER, oi=10.0)])

    assert found.vendor is None
    assert found.null_reasons["vendor"] == "no_vendor_gamma"
