"""Numbers of vendors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.feeds.numbers import Number, floats, ns_of_milliseconds, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.0031", 0.0031),
        ("-1.5", -1.5),
        (" 7 ", 7.0),
        ("1,234.5", 1234.5),
        ("+12,345,678", 12345678),
    ],
)
def test_a_number_is_read_as_printed(text: str, value: float) -> None:
    """Signs, blanks around and thousands separators are part of a number."""
    assert number(text) == value


@pytest.mark.parametrize("text", ["", " ", "--", "N/A", "NaN", "1,23", "1.234,5", "12 34", None])
def test_what_is_no_number_is_nan(text: str | None) -> None:
    """A blank, a dash or a comma in the wrong place is missing, never a guess and never 0."""
    assert math.isnan(number(text))


@given(st.lists(st.none() | st.floats() | st.text(max_size=8)))
def test_columns_agree_with_single_values(values: list[Number]) -> None:
    """`floats` is `number` of each value, on its fast path as on its slow one."""
    assert np.array_equal(floats(values), [number(value) for value in values], equal_nan=True)


def test_milliseconds_become_nanoseconds() -> None:
    """Times are exact to the millisecond; null, 0, negative and absurd ones are unknown (0)."""
    times = ns_of_milliseconds([1746824397889, "1746824397889", None, 0, -5, 1e300, "NaN"])

    assert times.tolist() == [1746824397889000000] * 2 + [0] * 5
