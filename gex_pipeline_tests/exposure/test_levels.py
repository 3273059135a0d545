"""Levels: walls with their ties, max pain against brute force, the expected move by hand."""

import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.exposure.levels import (
    CANDIDATES,
    WALL_DEFINITION,
    Level,
    Walls,
    find_expected_move,
    find_walls,
    max_pain,
    nearest,
)
from gex_pipeline_tests.exposure.builders import (
    LATER,
    NEXT,
    OPEX,
    SPOT,
    Row,
    chain,
    change,
    ladder,
    quoted,
    smile,
    years,
)


def strikes_of(levels: tuple[Level, ...]) -> list[float]:
    """Return the strikes of a list, in its order."""
    return [level.strike for level in levels]


def walls(rows: dict[float, tuple[float, float]], spot: float = 100.0) -> Walls:
    """Return the walls of {strike: (call, absolute put)}."""
    strike, (calls, puts) = np.array(list(rows)), np.array(list(rows.values())).T
    return find_walls(strike, calls, puts, spot)


BOOK = {
    80.0: (9.0, 2.0),
    90.0: (1.0, 5.0),
    95.0: (2.0, 7.0),
    105.0: (4.0, 8.0),
    110.0: (6.0, 1.0),
    120.0: (3.0, 0.0),
}


def test_walls_by_hand() -> None:
    """Each on its own side, largest first, shares of the whole side's 25 and 23."""
    found = walls(BOOK)

    assert strikes_of(found.call) == [110, 105, 120]
    assert [level.size for level in found.call] == [6, 4, 3]
    assert [level.share for level in found.call] == pytest.approx([6 / 25, 4 / 25, 3 / 25])
    assert strikes_of(found.put) == [95, 90, 80]
    assert [level.share for level in found.put] == pytest.approx([7 / 23, 5 / 23, 2 / 23])
    assert strikes_of(found.call_global) == [80, 110, 105]
    assert strikes_of(found.put_global) == [105, 95, 90]
    assert found.definition == WALL_DEFINITION


def test_strikes_that_stand_out_on_either_side() -> None:
    """Sum of both, calls less puts, puts less calls; shares of each list's own total."""
    found = walls(BOOK)

    assert [(x.strike, x.size) for x in found.abs_gamma] == [(105, 12), (80, 11), (95, 9)]
    assert found.abs_gamma[0].share == pytest.approx(12 / 48)
    assert [(x.strike, x.size) for x in found.max_net] == [(80, 7), (110, 5), (120, 3)]
    assert found.max_net[0].share == pytest.approx(7 / 15)
    assert [(x.strike, x.size) for x in found.min_net] == [(95, 5), (105, 4), (90, 4)]
    assert found.min_net[0].share == pytest.approx(5 / 13)


def test_a_strike_at_spot_is_on_both_sides() -> None:
    """K = S counts for the call wall and for the put wall."""
    found = walls({95.0: (1.0, 1.0), 100.0: (5.0, 6.0), 105.0: (1.0, 1.0)})

    assert found.call[0].strike == 100
    assert found.put[0].strike == 100


def test_ties_go_to_the_strike_nearest_to_spot() -> None:
    """By the log: 90 is nearer than 112; of 100/1.25 and 100 x 1.25 the lower."""
    found = walls({80.0: (0.0, 3.0), 90.0: (0.0, 3.0), 112.0: (3.0, 0.0), 125.0: (3.0, 0.0)})

    assert strikes_of(found.call) == [112, 125]
    assert strikes_of(found.put) == [90, 80]
    assert strikes_of(found.abs_gamma) == [90, 112, 80]
    exact = walls({80.0: (3.0, 0.0), 125.0: (3.0, 0.0)}, spot=100.0)
    assert strikes_of(exact.call_global) == [80, 125]


def test_more_ties_than_candidates() -> None:
    """Of seven equal strikes the nearest three, whatever their place."""
    found = walls({float(k): (2.0, 0.0) for k in range(97, 104)}, spot=101.9)

    assert CANDIDATES == 3
    assert strikes_of(found.call_global) == [102, 101, 103]


def test_nothing_is_no_wall() -> None:
    """A value must be above zero."""
    found = walls({95.0: (3.0, 0.0), 105.0: (0.0, 4.0)})

    assert (found.call, found.put) == ((), ())
    assert strikes_of(found.call_global) == [95]
    assert strikes_of(found.put_global) == [105]
    empty = walls({95.0: (0.0, 0.0)})
    assert (empty.abs_gamma, empty.max_net, empty.min_net) == ((), (), ())


@given(
    st.lists(
        st.tuples(st.integers(60, 140), st.integers(0, 4), st.integers(0, 4)),
        min_size=1,
        unique_by=lambda row: row[0],
    ),
    st.integers(55, 145),
)
def test_walls_are_the_sorted_lists(rows: list[tuple[int, int, int]], spot: int) -> None:
    """With many ties, against sorting everything by (size, distance, strike)."""
    book = {float(k): (float(c), float(p)) for k, c, p in sorted(rows)}
    found = walls(book, float(spot))

    def ranked(sizes: dict[float, float]) -> list[float]:
        keyed = [(-s, abs(math.log(k / spot)), k) for k, s in sizes.items() if s > 0]
        return [k for _, _, k in sorted(keyed)[:3]]

    assert strikes_of(found.call) == ranked({k: c for k, (c, _) in book.items() if k >= spot})
    assert strikes_of(found.put) == ranked({k: p for k, (_, p) in book.items() if k <= spot})
    assert strikes_of(found.call_global) == ranked({k: c for k, (c, _) in book.items()})
    assert strikes_of(found.abs_gamma) == ranked({k: c + p for k, (c, p) in book.items()})
    assert strikes_of(found.max_net) == ranked({k: c - p for k, (c, p) in book.items()})
    assert strikes_of(found.min_net) == ranked({k: p - c for k, (c, p) in book.items()})


# --- max pain -------------------------------------------------------------------------------------


def brute_pain(strike: list[float], calls: list[float], puts: list[float], spot: float) -> float:
    """Return max pain by paying every holder at every strike."""
    pain = {
        s: sum(
            c * max(s - k, 0) + p * max(k - s, 0)
            for k, c, p in zip(strike, calls, puts, strict=True)
        )
        for s in strike
    }
    least = min(pain.values())
    return min((s for s in strike if pain[s] == least), key=lambda s: (abs(math.log(s / spot)), s))


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 3), st.integers(0, 3)),
        min_size=1,
        unique_by=lambda row: row[0],
    ),
    st.integers(1, 70),
)
def test_max_pain_is_brute_forces(rows: list[tuple[int, int, int]], spot: int) -> None:
    """With flat bottoms, empty strikes and one-sided books."""
    strike, calls, puts = ([float(x) for x in column] for column in zip(*sorted(rows), strict=True))
    found = max_pain(np.array(strike), np.array(calls), np.array(puts), float(spot))

    if not any(calls) and not any(puts):
        assert found is None
    else:
        assert found == brute_pain(strike, calls, puts, float(spot))


def test_max_pain_by_hand() -> None:
    """10 calls at 90, 10 puts at 110 and 1 call at 100: flat from 90 to 100 but for ten calls."""
    found = max_pain(
        np.array([90.0, 100.0, 110.0]), np.array([10.0, 1.0, 0.0]), np.array([0.0, 0.0, 10.0]), 105
    )

    assert found == 100  # pays 100 + 100, as 90 does (200); 110 pays 200 + 10


def test_no_open_interest_no_pain() -> None:
    """Nor without a strike."""
    zero = np.zeros(1)

    assert max_pain(np.array([100.0]), zero, zero, 100.0) is None
    assert max_pain(np.zeros(0), np.zeros(0), np.zeros(0), 100.0) is None


def test_the_nearest_strike() -> None:
    """In log, the lower of two as near."""
    assert nearest([90.0, 112.0], 100.0) == 90
    assert nearest([80.0, 125.0], 100.0) == 80
    assert nearest([7.0], 100.0) == 7


# --- expected move --------------------------------------------------------------------------------


def test_the_move_by_hand() -> None:
    """Forward 5003: strike 5000, both mids over df, sigma F iv sqrt(T)."""
    found = chain(quoted(ladder(), NEXT, forward=5003.0) + quoted(ladder(), LATER, forward=5003.0))
    move = find_expected_move(found, smile(found))
    assert move is not None
    at = found.strike.tolist().index(5000.0)
    mids = float(((found.bid + found.ask) / 2)[:, at].sum())

    assert (move.expiry, move.root, move.strike) == (NEXT, "SPXW", 5000)
    assert move.points == pytest.approx(mids, rel=1e-12)  # r = 0
    assert move.share == pytest.approx(mids / SPOT, rel=1e-12)
    assert move.iv == pytest.approx(0.2, abs=1e-8)
    assert move.sigma_points == pytest.approx(5003 * 0.2 * math.sqrt(years(NEXT)), rel=1e-7)
    assert move.reason is None


def test_the_straddle_is_undiscounted() -> None:
    """At an implied rate of 5% half a year ahead, mids are divided by df."""
    days = [datetime.date(2025, m, d) for m, d in ((10, 17), (11, 21), (12, 19))]
    rows = [row for day in days for row in quoted(ladder(), day, forward=SPOT, rate=0.05)]
    found = chain(rows)
    move = find_expected_move(found, smile(found))
    assert move is not None
    at = found.strike.tolist().index(5000.0)
    mids = float(((found.bid + found.ask) / 2)[:, at].sum())

    assert move.points == pytest.approx(mids * math.exp(0.05 * years(days[0])), rel=1e-9)


def test_the_latest_settlement_of_the_first_date() -> None:
    """On an OPEX date the PM root's."""
    found = chain(quoted(ladder(), OPEX, "SPX") + quoted(ladder(), OPEX, "SPXW"))
    move = find_expected_move(found, smile(found))

    assert move is not None
    assert (move.expiry, move.root) == (OPEX, "SPXW")


def test_of_two_strikes_as_near_the_lower() -> None:
    """The forward is half way between 5000 and 5010."""
    strikes = ladder(4900, 5100, 10)
    rows = quoted(strikes, NEXT, forward=5005.0)
    found = chain(rows)
    carried = smile(found)
    move = find_expected_move(found, carried)
    assert move is not None

    forward = float(carried.carry.forward[0])
    expected = min(strikes, key=lambda k: (abs(k - forward), k))
    assert move.strike == expected


def test_the_strike_needs_both_sides() -> None:
    """5000 without a bid: the next nearest."""
    rows = change(quoted(ladder(), NEXT, forward=5003.0), 5000, 1, bid=0.0)
    found = chain(rows)
    move = find_expected_move(found, smile(found))

    assert move is not None
    assert move.strike == 5025


def test_it_never_walks_to_a_later_expiry() -> None:
    """The first date has no parity forward: null with the reason, though the next date has one."""
    rows = [Row(5000, right, expiry=NEXT, bid=0.0, ask=1.0, iv=0.2) for right in (1, -1)]
    found = chain(rows + quoted(ladder(), LATER))
    move = find_expected_move(found, smile(found))

    assert move is not None
    assert (move.expiry, move.root, move.reason) == (NEXT, "SPXW", "no_parity_forward")
    assert (move.strike, move.points, move.share, move.sigma_points) == (None, None, None, None)


def test_all_expired() -> None:
    """Nothing to expect."""
    found = chain([Row(5000, expiry="2025-05-30")])

    assert find_expected_move(found, smile(found)) is None


def test_max_pain_of_puts_alone_is_their_highest_strike() -> None:
    """Above all puts nobody is paid; the sums agree although they run in different orders."""
    strikes = np.arange(5000.0, 5100.0, 5.0)
    puts = np.full(strikes.size, 3.0)

    assert max_pain(strikes, np.zeros(strikes.size), puts, 5050.0) == 5095.0
