"""The loop of a supervising run: look at one service while it is wanted, and tell its story."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.supervision.board import Board
from gex_pipeline.supervision.claim import claim, holder_of
from gex_pipeline.supervision.guard import Episode, Guard
from gex_pipeline.supervision.plan import Place
from gex_pipeline.supervision.service import Service

LOOK_S: Final = 0.5
STORY: Final = 200
"""Episodes that a story keeps, the newest."""


class Story(msgspec.Struct, frozen=True):
    """What a supervising run saw."""

    service: str
    restarts: int
    episodes: tuple[str, ...]
    ended_because: str


def supervise(
    place: Place, service: Service, *, run_id: str, tell: Callable[[Episode, int], None]
) -> Story:
    """Keep a service alive until it is not wanted any more; `tell` hears of episodes at once.

    It leaves the service as it is when it ends or is interrupted: another run, or none, goes on.
    """
    name, story = service.name, list[str]()
    board = Board(place.redis_url, place.prefix)
    guard = Guard(
        service,
        by=f"Dagster run {run_id}",
        leased=lambda: board.leased(name),
        hung=lambda running: board.hung(running, name),
    )
    try:
        with claim(supervisor_path(place.run, name), run_id) as mine:
            if not mine:
                return Story(name, 0, (), "another run supervises it")
            while board.wanted(name):
                for episode in guard.look(time.monotonic()):
                    story = [*story[1 - STORY :], episode.words]
                    tell(episode, guard.restarts)
                time.sleep(LOOK_S)
        return Story(name, guard.restarts, tuple(story), "it is not wanted any more")
    finally:
        board.close()


def tick(run: Path) -> None:
    """Note that Dagster's sensor was evaluated: its code server lives."""
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    tick_path(run).touch()


def tick_path(run: Path) -> Path:
    """Return the file whose time is that of the sensor's last evaluation."""
    return run / "dagster.tick"


def supervisor_of(run: Path, name: str) -> str | None:
    """Return the id of the run that supervises a service now, if one does."""
    return holder_of(supervisor_path(run, name))


def supervisor_path(run: Path, name: str) -> Path:
    """Return the file of the claim of a supervising run."""
    return run / f"{name}.supervisor"
