"""A service is one process of its own session, whoever starts it, however often."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gex_pipeline.errors import ServiceError
from gex_pipeline.supervision.service import (
    Running,
    Service,
    find,
    last_words,
    members,
    start,
    stop,
    wait_for,
)
from gex_pipeline_tests.supervision.conftest import SLEEP, Make

ROOT = Path(__file__).parents[2]
DEAF = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\n"
)
PARENT = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('up', flush=True)\n"
)
PATIENCE_S = 20.0


def until(true: object) -> None:
    """Wait for what a call returns to be true."""
    assert callable(true)
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(service: Service) -> Running:
    """Return what runs, which must be there."""
    found = find(service)
    assert found is not None
    return found


def test_a_service_runs_once(make: Make) -> None:
    """The second start finds the first; both know its process."""
    service = make()

    first, second = start(service, by="a"), start(service, by="b")

    assert first is not None
    assert second is None
    assert running(service) == first
    assert os.getsid(first.pid) == first.pid


def test_of_many_starts_one_succeeds(make: Make) -> None:
    """Eight at once, one process."""
    service = make()

    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: start(service, by="race"), range(8)))

    assert len([each for each in started if each]) == 1


def test_stop_ends_it(make: Make) -> None:
    """After it nothing runs, and a new start succeeds."""
    service = make()
    first = start(service, by="a")
    assert first is not None

    assert stop(service)

    assert find(service) is None
    assert not stop(service)
    assert start(service, by="a") is not None


def test_what_does_not_hear_is_killed(make: Make) -> None:
    """After its patience, stop ends a process that ignores the polite signal."""
    service = make(DEAF + SLEEP, stop_s=0.2)
    start(service, by="a")
    until(lambda: last_words(service))

    stop(service)

    assert find(service) is None


def test_children_are_ended_too(make: Make) -> None:
    """What the service started in its session does not outlive its stop."""
    service = make(PARENT + SLEEP)
    first = start(service, by="a")
    assert first is not None
    until(lambda: len(members(first.pid, service.folder)) == 2)

    stop(service)

    until(lambda: members(first.pid, service.folder) == ())


def test_children_of_a_killed_leader_are_ended_before_a_new_start(make: Make) -> None:
    """Kill -9 of the leader leaves its children; the next start does away with them."""
    service = make(PARENT + SLEEP)
    first = start(service, by="a")
    assert first is not None
    until(lambda: len(members(first.pid, service.folder)) == 2)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: find(service) is None)

    assert start(service, by="b") is not None

    until(lambda: members(first.pid, service.folder) == ())


def test_it_outlives_its_starter(make: Make) -> None:
    """Kill -9 of the starter: the service runs on, and the next one finds it."""
    service = make()
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gex_pipeline.supervision.service import Service, start\n"
        "start(Service('dummy', (sys.executable, '-c', sys.argv[2]), Path(sys.argv[1])), by='x')\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(service.folder), SLEEP]
    subprocess.run(command, cwd=ROOT, check=False, start_new_session=True)  # noqa: S603 # ours

    found = running(service)

    assert found.started_by == "x"
    assert found.digest == service.digest


def test_a_record_of_a_dead_process_is_no_service(make: Make) -> None:
    """The claim decides, not the number: it may be anybody's by now."""
    service = make()
    start(service, by="a")
    stop(service)
    service.record.write_bytes(b'{"pid":%d,"digest":"","started_by":"old"}' % os.getpid())

    assert find(service) is None
    assert not stop(service)  # and does not end us


def test_signals_that_a_shell_ignores_reach_it(make: Make) -> None:
    """A service ends by SIGTERM also where its log says nothing."""
    service = make("print('words', flush=True)\n" + SLEEP)
    start(service, by="a")
    until(lambda: last_words(service) == "words")

    assert stop(service)


def test_a_service_that_ends_at_once_is_told_with_its_log(make: Make) -> None:
    """The error names the log."""
    service = make("raise SystemExit('no such thing')")
    start(service, by="a")

    with pytest.raises(ServiceError, match=r"dummy ended at once.*dummy\.log"):
        wait_for(service, lambda: False, PATIENCE_S)

    assert last_words(service) == "no such thing"


def test_other_settings_are_another_service(make: Make) -> None:
    """The digest covers command and variables."""
    assert make().digest == make().digest
    assert make().digest != make(environment={"GEX_PORT": "1"}).digest
