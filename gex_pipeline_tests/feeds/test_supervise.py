"""Waits between connections, and the age of the last frame."""

from gex_pipeline.feeds.supervise import FIRST_S, Backoff, Silence


def test_waits_double_to_the_limit_and_start_again_after_data() -> None:
    """250 ms first, at most the limit, never less than half of the step."""
    least, most = Backoff(60, chance=lambda: 1.0), Backoff(60, chance=lambda: 0.0)

    assert [most.next_s() for _ in range(10)] == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [least.next_s() for _ in range(10)] == [0.25, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    most.reset()
    assert most.next_s() == FIRST_S


def test_silence_is_the_age_of_the_last_sign_of_life() -> None:
    """Only time without a frame breaks it."""
    times_s = iter((0.0, 30.0, 31.0, 31.0, 31.0))
    silence = Silence(30, mono_s=lambda: next(times_s))

    broken = [silence.broken, silence.broken]
    silence.heard()

    assert [*broken, silence.broken] == [False, True, False]
