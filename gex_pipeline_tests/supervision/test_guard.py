"""A guard keeps a service alive: adopts, starts, restarts, and says so."""

import os
import signal

from gex_pipeline.supervision.guard import Episode, Guard
from gex_pipeline.supervision.service import Running, find, start
from gex_pipeline_tests.supervision.conftest import Make
from gex_pipeline_tests.supervision.test_service import running, until


def kinds(episodes: tuple[Episode, ...]) -> list[str]:
    """Return what happened."""
    return [episode.kind for episode in episodes]


def kill(guard: Guard) -> int:
    """Kill the guard's service and return the process it was."""
    pid = running(guard.service).pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: find(guard.service) is None)
    return pid


def test_it_starts_what_does_not_run(make: Make) -> None:
    """And has nothing to say while it runs."""
    guard = Guard(make(), by="test")

    assert kinds(guard.look(0.0)) == ["started"]
    assert guard.look(1.0) == ()


def test_it_adopts_what_runs(make: Make) -> None:
    """Whoever started it."""
    service = make()
    first = start(service, by="somebody")
    guard = Guard(service, by="test")

    episodes = guard.look(0.0)

    assert kinds(episodes) == ["adopted"]
    assert "somebody" in episodes[0].words
    assert guard.running == first


def test_it_restarts_what_was_killed(make: Make) -> None:
    """At once the first time."""
    guard = Guard(make(), by="test")
    guard.look(0.0)
    before = kill(guard)

    episodes = guard.look(1.0)

    assert kinds(episodes) == ["ended", "restarted"]
    assert guard.restarts == 1
    assert running(guard.service).pid != before


def test_it_gives_what_keeps_dying_ever_more_time(make: Make) -> None:
    """Half a second, a second, two; and none after a steady life."""
    guard = Guard(make(), by="test")
    guard.look(0.0)
    kill(guard)
    guard.look(1.0)
    kill(guard)

    assert kinds(guard.look(2.0)) == ["ended"]
    assert guard.look(2.4) == ()
    assert kinds(guard.look(2.5)) == ["restarted"]
    kill(guard)
    assert kinds(guard.look(60.0)) == ["ended", "restarted"]


def test_a_backstop_lets_others_go_first(make: Make) -> None:
    """With patience it starts what nobody else has; before that it adopts what another did."""
    guard = Guard(make(), by="backstop", patience_s=6.0)
    guard.look(0.0)
    kill(guard)

    assert kinds(guard.look(10.0)) == ["ended"]
    assert guard.look(15.0) == ()
    start(guard.service, by="another")
    assert kinds(guard.look(15.5)) == ["adopted"]
    kill(guard)
    guard.look(50.0)
    assert kinds(guard.look(56.0)) == ["restarted"]


def test_it_waits_for_a_lease_that_is_not_ours(make: Make) -> None:
    """Somebody runs the service elsewhere: told once, started when the lease lapses."""
    held = [True]
    guard = Guard(make(), by="test", leased=lambda: held[0])

    assert kinds(guard.look(0.0)) == ["waiting"]
    assert guard.look(1.0) == ()
    held[0] = False
    assert kinds(guard.look(2.0)) == ["started"]


def test_the_lease_of_a_process_that_died_here_keeps_nobody_waiting(make: Make) -> None:
    """It is still written down, and its holder is known to be dead."""
    held = [False]
    guard = Guard(make(), by="test", leased=lambda: held[0])
    guard.look(0.0)
    held[0] = True
    kill(guard)

    assert kinds(guard.look(1.0)) == ["ended", "restarted"]


def test_what_hangs_is_ended_and_started_again(make: Make) -> None:
    """The sign comes from outside: a beat that stands still."""
    hanging: list[Running] = []
    guard = Guard(make(), by="test", hung=lambda running: running in hanging)
    guard.look(0.0)
    first = running(guard.service)
    hanging.append(first)

    episodes = guard.look(1.0)

    assert kinds(episodes) == ["hung", "ended", "restarted"]
    assert running(guard.service).pid != first.pid
