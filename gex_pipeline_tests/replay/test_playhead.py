"""The playhead: where a replay is, at any speed, paused, stepping and on its way."""

import pytest

from gex_pipeline.replay.playhead import Playhead

S = 1_000_000_000
START, END = 100 * S, 200 * S


def running(speed: float | None, mono_ns: int = 0) -> Playhead:
    """Return a playhead that has arrived at its start."""
    head = Playhead(START, END, speed)
    head.arrive(mono_ns)
    return head


def test_at_a_speed_the_clock_runs_to_the_end_and_no_further() -> None:
    """Two real seconds at ten times the speed are twenty market seconds."""
    head = running(10.0)

    assert head.now_ns(2 * S) == START + 20 * S
    assert head.horizon_ns(2 * S) == START + 20 * S
    assert head.now_ns(60 * S) == END


def test_a_clock_that_ran_ahead_of_the_tape_goes_back_to_it() -> None:
    """What could not be fed yet holds the clock; it goes on from there."""
    head = running(10.0)
    head.came_to(START + 15 * S, 2 * S)

    assert head.now_ns(2 * S) == START + 15 * S
    assert head.now_ns(3 * S) == START + 25 * S


def test_without_a_speed_the_tape_leads() -> None:
    """All is due at once, and the clock stands at how far it came."""
    head = running(None)
    assert head.horizon_ns(S) == END
    head.came_to(START + 33 * S, S)

    assert head.now_ns(9 * S) == START + 33 * S


def test_a_paused_clock_stands_and_goes_on_without_a_jump() -> None:
    """Neither pausing nor resuming moves the market time."""
    head = running(2.0)
    head.pause(5 * S)
    assert head.now_ns(50 * S) == START + 10 * S
    head.resume(50 * S)

    assert head.now_ns(51 * S) == START + 12 * S


def test_a_step_ends_with_the_next_whole_second() -> None:
    """From within a second to its end; from a whole one to the next."""
    head = running(1.0)
    head.pause(S // 2)
    head.step(1, S)
    assert (head.state, head.now_ns(9 * S)) == ("paused", START + S)
    head.step(3, S)

    assert head.now_ns(9 * S) == START + 4 * S


def test_it_pauses_exactly_where_it_was_to_pause() -> None:
    """However late that is noticed."""
    head = running(10.0)
    head.until_ns = START + 5 * S
    assert not head.reached_limit(S // 4)
    assert head.reached_limit(7 * S)

    assert (head.state, head.now_ns(99 * S)) == ("paused", START + 5 * S)
    assert not head.reached_limit(99 * S)


@pytest.mark.parametrize("before", ["running", "paused"])
def test_a_seek_goes_on_as_before_it(before: str) -> None:
    """While it is on its way the clock stands where it goes; two seeks in a row too."""
    head = running(1.0)
    if before == "paused":
        head.pause(S)
    head.seek(START + 50 * S, S)
    head.seek(START + 40 * S, 2 * S)
    assert (head.state, head.now_ns(9 * S)) == ("seeking", START + 40 * S)
    head.arrive(9 * S)

    assert head.state == before
    assert head.now_ns(10 * S) == START + (41 if before == "running" else 40) * S


def test_a_pause_on_the_way_holds_at_the_arrival() -> None:
    """And a speed that is set meanwhile counts when it goes on."""
    head = Playhead(START, END, 1.0)
    head.pause(0)
    head.set_speed(5.0, 0)
    head.arrive(S)
    assert head.state == "paused"
    head.resume(2 * S)

    assert head.now_ns(3 * S) == START + 5 * S
