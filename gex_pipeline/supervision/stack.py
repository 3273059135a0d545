"""All services of one installation together: started in order, watched, stopped in reverse.

Start, restart and recovery are one path: what runs as it should is adopted, what runs otherwise is
stopped, what is missing is started.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.supervision.board import Board
from gex_pipeline.supervision.guard import Episode, Guard, never
from gex_pipeline.supervision.home import prepare_home
from gex_pipeline.supervision.plan import (
    SUPERVISED,
    Place,
    Ports,
    dagster_environment,
    dagster_services,
    service,
)
from gex_pipeline.supervision.ports import is_free
from gex_pipeline.supervision.service import Service, find, last_words, stop, wait_for
from gex_pipeline.supervision.ticks import Ticks
from gex_pipeline.supervision.watch import supervisor_of, tick_path

READY_S: Final = 60.0
BACKSTOP_S: Final = 6.0
"""Head start of the Dagster run that supervises a service."""
RUNS_END_S: Final = 6.0
"""Time in which supervising runs notice that they are done."""
BY: Final = "gex up"

Tell = Callable[[str], None]


class Stack:
    """The services of one place; `hot` is its own server, None where another one is used."""

    def __init__(self, place: Place, ports: Ports, hot: EmbeddedServer | None, tell: Tell) -> None:
        self.place, self.ports = place, ports
        self._hot, self._tell = hot, tell
        self.board = Board(place.redis_url, place.prefix)
        self._ticks = Ticks(tick_path(place.run))
        names = ("simulator", "streamer", "engine", "serving")
        wanted = names if place.source == "simulator" else names[1:]
        self._guards = [self._guard(service(place, name, ports)) for name in wanted]

    @property
    def services(self) -> tuple[Service, ...]:
        """What is watched, in the order of start."""
        return tuple(guard.service for guard in self._guards)

    def start(self) -> None:
        """Start the data services and wait for those that others connect to.

        Raises:
            ServiceError: one of them does not start.
        """
        for name in SUPERVISED:
            self.board.want(name, run=True)
        for guard in self._guards:
            _stop_if_other(guard.service, self._tell)
            self._look(guard)
            self._await(guard.service)

    def start_dagster(self, workspace: Path) -> None:
        """Start Dagster's daemon and page; its runs adopt streamer and engine."""
        environment = dagster_environment(self.place, self.ports)
        prepare_home(self.place.dagster_home, self.place.run, environment, BY)
        for each in dagster_services(self.place, self.ports, workspace):
            hung = self._ticks.hung if each.name == "dagster-daemon" else never
            guard = Guard(each, by=BY, hung=hung)
            self._guards.append(guard)
            _stop_if_other(each, self._tell)
            self._look(guard)

    def look(self) -> None:
        """Look at the hot store and every service once."""
        if self._hot and not self._hot.alive():
            self._tell("the hot store does not answer; starting it again")
            self._hot.start(self.place.root, self._hot.port)
        for guard in self._guards:
            self._look(guard)

    def stop(self) -> None:
        """Stop everything, the newest first and the hot store last."""
        for name in SUPERVISED:
            self.board.want(name, run=False)
        self._await_runs()
        for guard in reversed(self._guards):
            if stop(guard.service):
                self._tell(f"stopped {guard.service.name}")
        self.board.close()
        if self._hot:
            self._hot.stop()
            self._tell("stopped the hot store")

    def _guard(self, each: Service) -> Guard:
        supervised = each.name in SUPERVISED
        return Guard(
            each,
            by=BY,
            leased=lambda: supervised and self.board.leased(each.name),
            hung=lambda running: supervised and self.board.hung(running, each.name),
            patience_s=BACKSTOP_S if supervised else 0.0,
        )

    def _look(self, guard: Guard) -> None:
        for episode in guard.look(time.monotonic()):
            self._tell(_told(guard.service, episode))

    def _await(self, each: Service) -> None:
        if each.name == "simulator":
            wait_for(each, lambda: not is_free("127.0.0.1", self.ports.simulator), READY_S)
        if each.name == "serving":
            url = f"http://{reachable(self.ports.host)}:{self.ports.serving}/livez"
            wait_for(each, lambda: answers(url), READY_S)

    def _await_runs(self) -> None:
        """Give the supervising runs time to end in order, before Dagster ends under them."""
        deadline = time.monotonic() + RUNS_END_S
        while time.monotonic() < deadline:
            if not any(supervisor_of(self.place.run, name) for name in SUPERVISED):
                return
            time.sleep(0.1)


def reachable(host: str) -> str:
    """Return the address by which this machine reaches what listens on a host."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 # compared, not bound


def answers(url: str) -> bool:
    """Return whether a GET of our own address is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=2.0) as reply:  # noqa: S310 # http, our own
            return bool(reply.status == 200)  # HTTP's OK
    except (urllib.error.URLError, OSError):
        return False


def _stop_if_other(each: Service, tell: Tell) -> None:
    running = find(each)
    if running and running.digest != each.digest:
        tell(f"{each.name} runs with other settings; starting it anew")
        stop(each)


def _told(each: Service, episode: Episode) -> str:
    if episode.kind == "ended":
        return f"{each.name} ended: {last_words(each, 1) or 'it said nothing'}"
    return episode.words
