"""The breaker: closed, open, one probe; on times that are given."""

from gex_pipeline.feeds.breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


def failing(now_s: float = 0.0) -> Breaker:
    """One that has just opened by failures."""
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.take(now_s)
        breaker.failed(now_s, "status 503")
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    """A success between them starts the count again."""
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.failed(0, "status 503")
        breaker.succeeded()
    assert (breaker.state, breaker.opened) == ("closed", 0)

    assert (failing().state, failing().reason) == ("open", "status 503")


def test_one_probe_is_let_through_and_decides() -> None:
    """Nothing before the pause is over, then one; its success closes, its failure doubles."""
    breaker = failing()

    assert not breaker.take(FIRST_PAUSE_S - 0.1)
    assert breaker.wait_s(5) == FIRST_PAUSE_S - 5
    assert breaker.take(FIRST_PAUSE_S)
    assert breaker.state == "half_open"
    assert not breaker.take(FIRST_PAUSE_S)

    breaker.failed(FIRST_PAUSE_S, "status 500")
    assert breaker.wait_s(FIRST_PAUSE_S) == 2 * FIRST_PAUSE_S
    assert breaker.take(3 * FIRST_PAUSE_S)
    breaker.succeeded()
    assert (breaker.state, breaker.reason, breaker.opened) == ("closed", "", 1)
    assert breaker.take(3 * FIRST_PAUSE_S)


def test_the_pause_has_an_end() -> None:
    """However often the probe fails."""
    breaker, now_s = failing(), 0.0
    for _ in range(20):
        now_s += breaker.wait_s(now_s)
        assert breaker.take(now_s)
        breaker.failed(now_s, "status 503")
    assert breaker.wait_s(now_s) == LONGEST_PAUSE_S


def test_a_refusal_opens_for_as_long_as_the_vendor_asks() -> None:
    """Within bounds; without a word for a minute, then two."""
    breaker = Breaker()

    assert breaker.refused(0, "429", 30) == 30
    assert breaker.refused(0, "429", 10) == 30  # the longer one holds
    assert Breaker().refused(0, "429", 0) == 1
    assert Breaker().refused(0, "429", 1e9) == LONGEST_PAUSE_S

    silent = Breaker()
    assert silent.refused(0, "403", None) == 60
    assert silent.take(60)
    assert silent.refused(60, "403", None) == 120


def test_a_dropped_probe_is_followed_by_another() -> None:
    """Of a question that was given up nothing is learned; in a closed one it is nothing."""
    breaker = failing()
    assert breaker.take(20)
    breaker.dropped(20)
    assert breaker.state == "open"
    assert breaker.take(20)

    closed = Breaker()
    closed.dropped(0)
    assert closed.take(0)
