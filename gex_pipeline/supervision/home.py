"""Dagster's home folder: its configuration from the packaged template, its storage made once."""

import os
import sys
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from gex_pipeline.errors import ServiceError
from gex_pipeline.supervision.service import Service, find, start, stop

MADE: Final = ".storage-made"
SETUP_S: Final = 180.0
_MAKE: Final = """\
import pathlib, subprocess, sys
failed = subprocess.call([sys.executable, "-m", "dagster", "instance", "migrate"])
failed or pathlib.Path(sys.argv[1]).touch()
sys.exit(failed)
"""


def prepare_home(home: Path, run: Path, environment: Mapping[str, str], by: str) -> None:
    """Make the folder ready for Dagster's processes.

    Two processes that make the storage at the same moment spoil it for good, and daemon and page
    would at their first start. So it is made here before either of them runs, as a service: one
    that a killed starter left at it is waited for.

    Raises:
        ServiceError: Dagster cannot make its storage.
    """
    home.mkdir(parents=True, exist_ok=True)
    template = resources.files("gex_pipeline.supervision").joinpath("dagster.yaml").read_bytes()
    draft = home / f".dagster.yaml.{os.getpid()}"
    draft.write_bytes(template)
    draft.replace(home / "dagster.yaml")
    made = home / MADE
    if not made.exists():
        command = (sys.executable, "-c", _MAKE, str(made))
        _await_end(Service("dagster-storage", command, run, environment), made, by)


def _await_end(making: Service, made: Path, by: str) -> None:
    deadline = time.monotonic() + SETUP_S
    start(making, by=by)
    while find(making) and time.monotonic() < deadline:
        time.sleep(0.1)
    if stop(making):
        raise ServiceError("Dagster", "does not get its storage made", str(making.log))
    if not made.exists():
        raise ServiceError("Dagster", "cannot make its storage", str(making.log))
