"""Dagster's home folder: its configuration from the packaged template, its storage made once."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from gex_pipeline.errors import ServiceError

MADE: Final = ".storage-made"
SETUP_S: Final = 120.0


def prepare_home(home: Path, environment: Mapping[str, str], log: Path) -> None:
    """Make the folder ready for Dagster's processes.

    Daemon and page would both make the storage at their first start, and at the same moment they
    spoil it for good: it is made here before either of them runs.

    Raises:
        ServiceError: Dagster cannot make its storage.
    """
    home.mkdir(parents=True, exist_ok=True)
    template = resources.files("gex_pipeline.supervision").joinpath("dagster.yaml").read_bytes()
    draft = home / f".dagster.yaml.{os.getpid()}"
    draft.write_bytes(template)
    draft.replace(home / "dagster.yaml")
    if not (home / MADE).exists():
        _make_storage(environment, log)
        (home / MADE).touch()


def _make_storage(environment: Mapping[str, str], log: Path) -> None:
    command = [sys.executable, "-m", "dagster", "instance", "migrate"]
    with log.open("ab") as output:
        try:
            done = subprocess.run(  # noqa: S603 # our own interpreter
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | dict(environment),
                timeout=SETUP_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceError("Dagster", "does not get its storage made", str(log)) from error
    if done.returncode:
        raise ServiceError("Dagster", "cannot make its storage", str(log))
