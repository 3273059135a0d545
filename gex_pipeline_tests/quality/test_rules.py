"""The rules, each by a case that is worked by hand."""

import numpy as np
import pytest

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.quality.ledger import MINUTE_NS
from gex_pipeline.quality.rules import (
    RULES,
    Finding,
    backwards,
    crossed,
    found_in,
    judged,
    outliers,
    quiet_minutes,
    repeated,
    silences,
    skipped,
    told_gaps,
)

NAN = float("nan")
SECOND_NS = 1_000_000_000


def ints(*values: int) -> Ints:
    """A column."""
    return np.array(values, np.int64)


def floats(*values: float) -> Floats:
    """A column."""
    return np.array(values, np.float64)


def test_a_crossed_quote_needs_both_sides() -> None:
    """A bid above the ask; an ask that is missing or 0 is nobody's."""
    bid, ask = floats(1, 2, 2, 5, 5, NAN), floats(2, 2, 1.5, 0, NAN, 1)

    assert crossed(bid, ask).tolist() == [False, False, True, False, False, False]


def test_order_is_of_each_symbol_alone() -> None:
    """An event that is older than its own symbol's event before it."""
    code, ts = ints(1, 2, 1, 2, 1), ints(10, 5, 9, 5, 9)

    assert backwards(code, ts).tolist() == [False, False, True, False, False]


def test_a_duplicate_is_equal_in_everything() -> None:
    """Equal to the symbol's event before it, missing numbers too."""
    code = ints(1, 2, 1, 1, 2)
    ts, bid, ask = ints(1, 1, 1, 1, 1), floats(5, 5, 5, 5, 5), floats(NAN, 6, NAN, 7, 7)

    assert repeated(code, [ts, bid, ask]).tolist() == [False, False, True, False, False]


def test_numbers_that_never_came() -> None:
    """Of each symbol's own sequence, between its first and its last; a repeat is none."""
    assert skipped(ints(1, 1, 1, 2, 2), ints(3, 7, 7, 1, 2)) == 3


def test_an_outlier_leaves_the_band_of_its_neighbours() -> None:
    """Window 5, width 3. Around 130: 100, 101, 130, 99, 100: median 100, MAD 1, band 100 ± 4.45."""
    values = floats(100, 101, 99, 100, 101, 130, 99, 100, 101, 104)

    assert outliers(values, window=5, width=3).tolist() == [False] * 5 + [True] + [False] * 4


def test_a_price_that_stands_still_has_a_band_too() -> None:
    """MAD 0: two thousandths of the median, 100 ± 0.2."""
    values = floats(100, 100, 100, 100.1, 100, 100.3, 100)

    assert outliers(values, window=5).tolist() == [False] * 5 + [True, False]
    assert outliers(floats()).tolist() == []
    assert outliers(floats(1.0)).tolist() == [False]


def test_long_columns_are_judged_in_pieces_alike() -> None:
    """The pieces of a long column join without a seam."""
    values = np.full(120_000, 100.0)
    places = [0, 49_999, 50_000, 99_999, 119_999]
    values[places] = 150.0

    assert np.flatnonzero(outliers(values)).tolist() == places


def test_a_minute_without_a_tick_is_found_unless_a_gap_touches_it() -> None:
    """Minutes 1 to 5 are whole; ticks in 1 and 3, a gap in 4: 2 and 5 are quiet, of 4."""
    session = (MINUTE_NS - 30 * SECOND_NS, 6 * MINUTE_NS + 5)
    ticks = ints(MINUTE_NS + 1, 3 * MINUTE_NS, 3 * MINUTE_NS + 1)

    found = quiet_minutes(ticks, session, [(4 * MINUTE_NS + 1, 4 * MINUTE_NS + 2)])

    assert found == Finding(4, 2, 2 * MINUTE_NS, 6 * MINUTE_NS, "no tick")


def test_a_silence_is_longer_than_the_limit_and_not_told() -> None:
    """Ticks at 0 s, 50 s and 200 s of 300: 150 s and 100 s; 80 s of the first are a told gap."""
    ticks = ints(0, 50 * SECOND_NS, 200 * SECOND_NS)
    session = (0, 300 * SECOND_NS)

    whole = silences(ticks, session, [])
    told = silences(ticks, session, [(60 * SECOND_NS, 140 * SECOND_NS)])

    assert whole == Finding(300, 250, 50 * SECOND_NS, 300 * SECOND_NS, "longest 150 s")
    assert (told.checked, told.found) == (220, 100)


def test_gaps_count_within_the_session() -> None:
    """Half of one lies before the open; two that overlap count once."""
    gaps = [(-10 * SECOND_NS, 5 * SECOND_NS), (50 * SECOND_NS, 60 * SECOND_NS)]
    gaps.append((55 * SECOND_NS, 62 * SECOND_NS))

    found = told_gaps((0, 100 * SECOND_NS), gaps)

    assert found == Finding(100, 17, 0, 62 * SECOND_NS, "3 gaps")
    assert told_gaps((0, 100 * SECOND_NS), []) == Finding(100, 0)


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (Finding(0, 0), "absent"),
        (Finding(1000, 0), "pass"),
        (Finding(1000, 1), "warn"),
        (Finding(1000, 2), "fail"),
    ],
)
def test_a_verdict_is_of_the_share(finding: Finding, verdict: str) -> None:
    """Crossed: a thousandth is a warning; what looked at nothing judges nothing."""
    assert RULES["crossed"].fail_above == 0.001
    assert judged("crossed", finding) == verdict


def test_findings_of_two_stretches_add_up() -> None:
    """Counts add, times span, the first words stay."""
    mask = np.array([False, True, True])
    first = found_in(mask, ints(1, 2, 3), 3, "seen")

    assert first == Finding(3, 2, 2, 3, "seen")
    assert first + Finding(5, 0) == Finding(8, 2, 2, 3, "seen")
    assert Finding(5, 0) + first == Finding(8, 2, 2, 3, "seen")
