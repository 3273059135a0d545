"""Market time as a value."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gex_pipeline.errors import InputError
from gex_pipeline.market.clock import MarketClock, clock_from_mapping, clock_to_mapping

SECOND_NS = 1_000_000_000
OPEN_NS = 1_765_204_200 * SECOND_NS  # 2025-12-08 09:30 New York

nanoseconds = st.integers(0, 2**62)
speeds = st.one_of(st.sampled_from([1.0, 60.0, 0.5, 0.1]), st.floats(1e-6, 1e6))
clocks = st.builds(MarketClock, nanoseconds, nanoseconds, speeds)


@pytest.mark.parametrize(
    ("speed", "elapsed_s", "market_s"), [(1.0, 10, 10), (60.0, 10, 600), (0.5, 10, 5), (0.0, 10, 0)]
)
def test_now_by_hand(speed: float, elapsed_s: int, market_s: int) -> None:
    """Ten seconds at speed 60 are ten market minutes; at speed 0 the market stands."""
    clock = MarketClock(OPEN_NS, 7 * SECOND_NS, speed)

    assert clock.now_ns((7 + elapsed_s) * SECOND_NS) == OPEN_NS + market_s * SECOND_NS


def test_when_by_hand() -> None:
    """At speed 60 the market's next minute is one second away."""
    clock = MarketClock(OPEN_NS, 7 * SECOND_NS, 60.0)

    assert clock.mono_ns(OPEN_NS + 60 * SECOND_NS) == 8 * SECOND_NS


def test_speed_one_never_drifts() -> None:
    """After a hundred years at speed 1 not a nanosecond is missing; a float has steps of 1024."""
    century_ns = 100 * 365 * 86_400 * SECOND_NS + 1

    assert MarketClock(OPEN_NS, 0).now_ns(century_ns) == OPEN_NS + century_ns


@given(clocks, nanoseconds)
def test_inverse(clock: MarketClock, event_ns: int) -> None:
    """`mono_ns` is the first nanosecond at which `now_ns` has reached the event."""
    mono_ns = clock.mono_ns(event_ns)

    assert mono_ns is not None
    assert clock.now_ns(mono_ns) >= event_ns > clock.now_ns(mono_ns - 1)


@given(clocks, nanoseconds)
def test_inverse_is_exact_up_to_speed_one(clock: MarketClock, event_ns: int) -> None:
    """A clock that is not faster than ours shows every nanosecond."""
    assume(clock.speed <= 1)
    mono_ns = clock.mono_ns(event_ns)

    assert mono_ns is not None
    assert clock.now_ns(mono_ns) == event_ns


@given(clocks, nanoseconds, nanoseconds)
def test_market_time_never_goes_back(clock: MarketClock, mono_ns: int, later_ns: int) -> None:
    """Later for us is not earlier for the market."""
    assert clock.now_ns(mono_ns) <= clock.now_ns(mono_ns + later_ns)


def test_paused() -> None:
    """What lies ahead of a paused clock never comes; what it has reached has come."""
    clock = MarketClock(OPEN_NS, 5, 0.0)

    assert clock.mono_ns(OPEN_NS + 1) is None
    assert clock.mono_ns(OPEN_NS) == 5


@given(clocks, nanoseconds, st.one_of(st.just(0.0), speeds))
def test_change_of_speed_does_not_jump(clock: MarketClock, mono_ns: int, speed: float) -> None:
    """Pause, resume and acceleration go on from the moment at which they come."""
    changed = clock.at_speed(speed, mono_ns)

    assert changed.now_ns(mono_ns) == clock.now_ns(mono_ns)
    assert changed.speed == speed


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_speeds_that_no_clock_has(speed: float) -> None:
    """Time does not run backwards, and not without bound."""
    with pytest.raises(InputError, match="speed is 0"):
        MarketClock(OPEN_NS, 0, speed)


@given(clocks)
def test_mapping_round_trip(clock: MarketClock) -> None:
    """The same clock comes back from its mapping, of numbers or of their text."""
    mapping = clock_to_mapping(clock)

    assert clock_from_mapping(mapping) == clock
    assert clock_from_mapping({name: str(value) for name, value in mapping.items()}) == clock


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"anchor_event_ns": 1, "anchor_mono_ns": "soon"},
        {"anchor_event_ns": 1, "anchor_mono_ns": 2, "speed": 1, "zone": "ET"},
        {"anchor_event_ns": 1, "anchor_mono_ns": 2, "speed": -1},
    ],
)
def test_no_clock(mapping: dict[str, object]) -> None:
    """Missing, unknown and senseless fields are refused."""
    with pytest.raises(InputError):
        clock_from_mapping(mapping)
