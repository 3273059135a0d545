"""Dummy services: real processes that leave nothing behind."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gex_pipeline.supervision.service import Service, stop

SLEEP = "import time\nwhile True: time.sleep(0.05)"
Make = Callable[..., Service]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return what makes a service of a script; all of them are ended with the test."""
    made: list[Service] = []

    def service(script: str = SLEEP, name: str = "dummy", **more: object) -> Service:
        command = (sys.executable, "-c", script)
        made.append(Service(name, command, tmp_path / "run", **more))  # type: ignore[arg-type]
        return made[-1]

    yield service
    for each in made:
        stop(each)
