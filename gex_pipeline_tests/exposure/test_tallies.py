"""Tallies of each group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.exposure.tallies import per_group, tally
from gex_pipeline_tests.exposure.builders import LATER, NAN, NEXT, Row, chain
from gex_pipeline_tests.exposure.test_levels import brute_pain


def test_counts_by_hand() -> None:
    """Contracts listed, open interest and volume of each root and expiry."""
    found = tally(
        chain(
            [
                Row(5000, 1, expiry=NEXT, oi=3, volume=5),
                Row(5000, -1, expiry=NEXT, oi=4),
                Row(5005, 1, expiry=LATER, volume=7),
            ]
        )
    )

    assert found.contracts.tolist() == [2, 1]
    assert found.weight.tolist() == [[7, 0], [5, 7]]


def test_the_vendors_own_exposure_by_hand() -> None:
    """0.002 x 10 x 100 x 5000^2 x 1% = $500,000; puts negative, missing gamma nothing."""
    found = tally(
        chain(
            [
                Row(5000, 1, expiry=NEXT, gamma=0.002, oi=10),
                Row(5000, -1, expiry=NEXT, gamma=0.001, oi=10),
                Row(5005, 1, expiry=LATER, gamma=NAN, oi=10),
            ]
        )
    )

    assert found.vendor is not None
    assert found.vendor[0] == pytest.approx([500_000, 0], rel=1e-14)
    assert found.vendor[1] == pytest.approx([-250_000, 0], rel=1e-14)


def test_no_gamma_anywhere_is_not_zero() -> None:
    """A source that prints none has no vendor total."""
    assert tally(chain([Row(5000, oi=10)])).vendor is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([NEXT, LATER, LATER.replace(day=9)]),
            st.integers(1, 12),
            st.sampled_from([1, -1]),
            st.integers(0, 3),
        ),
        min_size=1,
        unique_by=lambda row: row[:3],
    ),
    st.integers(1, 14),
)
def test_max_pain_of_each_group_is_brute_forces(rows: list[tuple], spot: int) -> None:  # type: ignore[type-arg]
    """One running sum over all groups gives what each alone would."""
    found = chain([Row(k, right, expiry=day, oi=oi) for day, k, right, oi in rows], spot=spot)
    pains = tally(found).max_pain

    for g in range(len(found.groups)):
        lines = slice(found.group_start[g], found.group_start[g + 1])
        strike = found.strike[lines].tolist()
        calls, puts = found.open_interest[:, lines].tolist()
        held = any(calls) or any(puts)
        assert pains[g] == (brute_pain(strike, calls, puts, float(spot)) if held else None)


def test_sums_of_a_chain_without_lines() -> None:
    """No groups, no sums, no error."""
    empty = chain([])

    assert tally(empty).contracts.size == 0
    assert per_group(empty, np.zeros(0)).size == 0
