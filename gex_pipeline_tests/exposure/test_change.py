"""Change over time: by hand, and against a plain dictionary of what each second had."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.exposure.change import (
    LOOK_BACKS,
    Changes,
    LookBack,
    changes,
    priors,
    window_ns,
)
from gex_pipeline.exposure.trace import Trace
from gex_pipeline.market import sessions
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.hot.rings import HALF_HOUR, MILLION, SPOT, Row, entry_by_hand
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

S = SECOND_NS
OPEN_NS = sessions.et_ns(DAY, 9, 30)
NAMES = tuple(LOOK_BACKS)


def traced(before_s: int, rows: list[Row], **other: Any) -> Trace:
    """Return what a second left, as it comes out of the ring."""
    return entry_by_hand(before_s, rows, **other).trace("all")


def find(ring: list[Trace], now: Trace) -> dict[LookBack, Trace | None]:
    """Return what a ring holds in the window of each look-back."""
    found: dict[LookBack, Trace | None] = {}
    for name, minutes in LOOK_BACKS.items():
        window = window_ns(now.ts_ns, minutes)
        inside = [one for one in ring if window and window[0] <= one.ts_ns <= window[1]]
        found[name] = max(inside, key=lambda one: one.ts_ns, default=None)
    return found


def compare(rows: dict[int, list[Row]], **other: Any) -> dict[str, Changes]:
    """Return the changes of the newest of some seconds."""
    ring = [traced(before_s, some, **other) for before_s, some in rows.items()]
    now = max(ring, key=lambda one: one.ts_ns)
    return {one.look_back: one for one in changes(now, find(ring, now))}


def test_half_an_hour_by_hand() -> None:
    """The largest change of each look-back by open interest; see HALF_HOUR for the numbers.

    15 minutes ago 6010 had nothing and 6020 neither: both are left out there, and counted. 10
    minutes ago 5990 and 6010 moved by the same, and 6010 is nearer to 6000 by its logarithm.
    """
    found = compare(HALF_HOUR)
    largest = {
        name: (one.open_interest.strike, one.open_interest.change, one.open_interest.skipped)
        for name, one in found.items()
    }

    assert largest == {
        "current": (6010.0, -1 * MILLION, 1),
        "one": (5990.0, 5 * MILLION, 1),
        "five": (6010.0, 5 * MILLION, 1),
        "ten": (6000.0, 30 * MILLION, 1),
        "fifteen": (5990.0, -10 * MILLION, 2),
        "thirty": (6010.0, 10 * MILLION, 1),
    }
    assert found["ten"].open_interest.top == (
        (6000.0, 30 * MILLION),
        (6010.0, 10 * MILLION),
        (5990.0, 10 * MILLION),
    )
    assert [one.ts_ns for one in found.values()] == [
        ASOF_NS - before_s * S for before_s in (1, 60, 300, 600, 900, 1800)
    ]
    assert {one.spot for one in found.values()} == {SPOT}


def test_volume_by_hand() -> None:
    """A strike that had no exposure a minute ago is absent there, not 0."""
    found = compare(HALF_HOUR)

    assert [(one.volume.strike, one.volume.change) for one in found.values()] == [
        (6000.0, 1 * MILLION),
        (6000.0, 1 * MILLION),
        (6000.0, 1 * MILLION),
        (6000.0, 3 * MILLION),
        (6000.0, 3 * MILLION),
        (6000.0, 3 * MILLION),
    ]
    assert found["one"].volume.skipped == 2
    assert found["five"].volume.top == ((6000.0, MILLION), (6010.0, MILLION), (5990.0, MILLION))


def test_totals_by_hand() -> None:
    """Of all strikes, those that were born too: 100 - 50 + 30 + 7 = 87 now, 70 half an hour ago."""
    found = compare(HALF_HOUR)

    assert found["thirty"].open_interest.net_gex_change == 17 * MILLION
    assert found["fifteen"].open_interest.net_gex_change == 27 * MILLION
    assert found["current"].volume.net_gex_change == 2 * MILLION


def test_a_total_that_is_missing_has_its_reason() -> None:
    """Nothing was traded five minutes ago: its reason stands where a change would."""
    found = compare({0: [(6000, 1, 1)], 300: [(6000, 2, None)]})["five"]

    assert (found.open_interest.net_gex_change, found.open_interest.net_gex_reason) == (
        -MILLION,
        None,
    )
    assert (found.volume.net_gex_change, found.volume.net_gex_reason) == (None, "no_volume")
    assert (found.volume.strike, found.volume.reason) == (None, "no_common_strike")


def test_a_scope_without_an_answer_says_why() -> None:
    """The reason of now's null is the reason of its change."""
    found = compare({0: [(6000, 1, None)], 1: [(6000, 2, 1)]})["current"]

    assert (found.volume.strike, found.volume.reason) == (None, "no_volume")
    assert (found.volume.top, found.volume.skipped) == ((), 1)


def test_no_change() -> None:
    """Equal values are no largest change of 0; the total's change of 0 is a fact."""
    found = compare({0: [(6000, 5, 5)], 1: [(6000, 5, 5)]})["current"]

    assert (found.open_interest.strike, found.open_interest.change) == (None, None)
    assert found.open_interest.reason == "no_change"
    assert found.open_interest.net_gex_change == 0.0


@pytest.mark.parametrize(
    ("spot", "strike"), [(6000.0, 6010.0), (5999.0, 5990.0), (6001.0, 6010.0), (None, 5990.0)]
)
def test_ties(spot: float | None, strike: float) -> None:
    """The one nearest to spot in log, else the lower."""
    rows = {0: [(5990, 5, 1), (6010, 15, 1)], 1: [(5990, 10, 1), (6010, 10, 1)]}

    found = compare(rows, spot=spot)  # type: ignore[arg-type] # whole numbers

    assert found["current"].open_interest.strike == strike


def test_a_reference_of_another_convention_is_none() -> None:
    """Figures of two conventions are never differenced: a gap, with nothing of it shown."""
    other = traced(60, HALF_HOUR[60], convention="gexc-1:11111111")
    now = traced(0, HALF_HOUR[0])

    found = changes(now, find([other, now], now))[1]

    assert (found.look_back, found.ts_ns, found.spot) == ("one", None, None)
    assert found.open_interest.reason == found.volume.reason == "gap"
    assert np.isnan(priors(now, [None], "volume")).all()


@pytest.mark.parametrize(
    ("before_s", "reason"), [(59, "gap"), (60, None), (119, None), (120, None), (121, "gap")]
)
def test_a_minute_may_be_two(before_s: int, reason: str | None) -> None:
    """A reference is at most 60 s older than its look-back, and never younger."""
    found = compare({0: [(6000, 1, 1)], before_s: [(6000, 2, 1)]})

    assert found["one"].open_interest.reason == reason


@pytest.mark.parametrize(("before_s", "reason"), [(1, None), (60, None), (61, "gap")])
def test_current_is_the_second_before(before_s: int, reason: str | None) -> None:
    """After a pause of up to a minute it is the one before the pause."""
    found = compare({0: [(6000, 1, 1)], before_s: [(6000, 2, 1)]})

    assert found["current"].open_interest.reason == reason


def test_the_session_starts() -> None:
    """One minute after the open only what reaches back to the open has a reference.

    The day before is another session, whatever the ring holds of it.
    """
    yesterday = sessions.et_ns(DAY - datetime.timedelta(days=3), 16, 15)
    ring = [
        traced(0, [(6000, 9, 9)], ts_ns=yesterday),
        traced(0, [(6000, 1, 1)], ts_ns=OPEN_NS),
        traced(0, [(6000, 2, 1)], ts_ns=OPEN_NS + 60 * S),
    ]

    found = {one.look_back: one for one in changes(ring[-1], find(ring, ring[-1]))}

    reasons = {name: one.open_interest.reason for name, one in found.items()}
    assert reasons == {"current": None, "one": None} | dict.fromkeys(
        ("five", "ten", "fifteen", "thirty"), "before_session_start"
    )
    assert found["one"].ts_ns == OPEN_NS
    assert window_ns(OPEN_NS, 0) is None


def test_windows_of_a_summer_and_a_winter_day() -> None:
    """The open is New York's 09:30, not an hour of UTC."""
    for day in (DAY, datetime.date(2025, 12, 1)):
        open_ns = sessions.et_ns(day, 9, 30)
        assert window_ns(open_ns + 30 * 60 * S, 30) == (open_ns, open_ns)
        assert window_ns(open_ns + 30 * 60 * S - 1, 30) is None


def test_priors_by_hand() -> None:
    """What each strike had before, null where it had nothing or nothing is known."""
    now = traced(0, HALF_HOUR[0])
    before = [traced(60, HALF_HOUR[60]), None, traced(900, HALF_HOUR[900])]

    found = priors(now, before, "volume") / MILLION

    assert [[None if np.isnan(v) else v for v in row] for row in found.tolist()] == [
        [9, None, 8],
        [6, None, 4],
        [None, None, None],
        [None, None, None],
    ]


# --- against a dictionary -------------------------------------------------------------------------

Second = tuple[int, str, dict[float, tuple[float | None, float | None]]]
single = st.floats(-1e9, 1e9, width=32).map(lambda value: round(value / 64) * 64.0)
value = st.one_of(st.none(), st.sampled_from([0.0, 64.0, -64.0]), single)
strike = st.sampled_from([5900.0, 5990.0, 5992.5, 6000.0, 6010.0, 6100.0, 62.33])
second = st.tuples(
    st.one_of(st.integers(0, 1990), st.sampled_from([60, 300, 600, 660, 900, 1800])),
    st.sampled_from(["a", "a", "a", "b"]),
    st.dictionaries(strike, st.tuples(value, value)),
)


def naive(ring: dict[int, Second], now_s: int, minutes: int, at: int) -> dict[str, Any]:
    """Return what the sheet says, with a loop over each candidate and each strike."""
    _, convention, rows = ring[now_s]
    newest = now_s + (minutes * 60 if minutes else 1)
    oldest = min(now_s + minutes * 60 + 60, (ASOF_NS - OPEN_NS) // S)
    if newest > oldest and newest > (ASOF_NS - OPEN_NS) // S:
        return {"reason": "before_session_start"}
    candidates = [age for age in ring if newest <= age <= oldest]
    if not candidates or ring[min(candidates)][1] != convention:
        return {"reason": "gap"}
    before = ring[min(candidates)][2]
    moved, skipped = [], 0
    for strike in sorted({*rows, *before}):
        after, ago = rows.get(strike, (None, None))[at], before.get(strike, (None, None))[at]
        if (after is None) != (ago is None):
            skipped += 1
        if after is not None and ago is not None:
            moved.append((-abs(after - ago), abs(np.log(strike / SPOT)), strike, after - ago))
    top = tuple((k, change) for size, _, k, change in sorted(moved)[:5] if size)
    return {"top": top, "skipped": skipped, "age": min(candidates), "common": bool(moved)}


def in_millions(rows: dict[float, tuple[float | None, float | None]]) -> list[Row]:
    """Return the rows of a second, ascending."""
    shown = {k: [None if v is None else v / MILLION for v in pair] for k, pair in rows.items()}
    return [(k, by_oi, by_volume) for k, (by_oi, by_volume) in sorted(shown.items())]


@settings(max_examples=200, deadline=None)
@given(st.lists(second, min_size=1, max_size=12, unique_by=lambda one: one[0]))
def test_any_ring_gives_what_a_loop_gives(seconds: list[Second]) -> None:
    """Every look-back, both weights, through the ring's own bytes."""
    ring = {one[0]: one for one in seconds}
    now_s = min(ring)
    entries = [
        entry_by_hand(age, in_millions(rows), convention=name) for age, name, rows in seconds
    ]
    traces = {(ASOF_NS - one.ts_ns) // S: one.trace("all") for one in entries}
    now = traces[now_s]

    for one in changes(now, find(list(traces.values()), now)):
        for at, found in enumerate((one.open_interest, one.volume)):
            wanted = naive(ring, now_s, one.minutes, at)
            if "reason" in wanted:
                assert (found.reason, found.top, one.ts_ns) == (wanted["reason"], (), None)
                continue
            assert one.ts_ns == ASOF_NS - wanted["age"] * S
            assert (found.top, found.skipped) == (wanted["top"], wanted["skipped"])
            assert (found.strike, found.change) == (found.top[0] if found.top else (None, None))
            if not found.top and wanted["common"]:
                assert found.reason == "no_change"
