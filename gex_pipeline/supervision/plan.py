"""Which services there are, and the command line, environment and place of each."""

import sys
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.supervision.service import Service

SUPERVISED: Final = ("streamer", "engine")
"""What a Dagster run watches."""
_COMMANDS: Final = {
    "simulator": "simulate",
    "streamer": "stream",
    "engine": "engine",
    "serving": "serve",
}
_DAGSTER_STOP_S: Final = 6.0


def run_folder(root: Path) -> Path:
    """Return the folder of records and claims of the services of a root."""
    return root / "run"


class Place(msgspec.Struct, frozen=True):
    """One installation at work: its folders, its origin and where the hot store answers."""

    data: Path
    """Absolute; GEX_DATA_DIR."""
    root: Path
    """Absolute: data, or data/sim."""
    source: str
    mode: str
    prefix: str
    redis_url: str
    """With its password: it goes into environments only."""

    @property
    def run(self) -> Path:
        """Folder of records and claims of the services of this root."""
        return run_folder(self.root)

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder."""
        return self.data / "dagster"

    def __repr__(self) -> str:
        return f"Place({self.root}, {self.source}, {self.mode})"  # the URL holds a password


class Ports(msgspec.Struct, frozen=True):
    """Where people and services connect."""

    simulator: int
    serving: int
    dagster: int
    host: str = "127.0.0.1"
    """Of the page and the API."""
    dagster_host: str = "127.0.0.1"


def service(place: Place, name: str, ports: Ports) -> Service:
    """Return a service of the project."""
    command = (sys.executable, "-m", "gex_pipeline.cli", _COMMANDS[name])
    return Service(name, command, place.run, _environment(place, ports))


def dagster_services(place: Place, ports: Ports, workspace: Path) -> tuple[Service, Service]:
    """Return Dagster's daemon and page, which see what our own services see."""
    environment = dagster_environment(place, ports)
    python = (sys.executable, "-m")
    where = ("-w", str(workspace))
    page = ("-h", ports.dagster_host, "-p", str(ports.dagster))

    def made(name: str, *command: str) -> Service:
        return Service(
            name, (*python, *command), place.run, environment, workspace.parent, _DAGSTER_STOP_S
        )

    return (
        made("dagster-daemon", "dagster._daemon", "run", *where),
        made("dagster-webserver", "dagster_webserver", *where, *page),
    )


def dagster_environment(place: Place, ports: Ports) -> dict[str, str]:
    """Return what Dagster's processes get besides our own environment."""
    return {**_environment(place, ports), "DAGSTER_HOME": str(place.dagster_home)}


def _environment(place: Place, ports: Ports) -> dict[str, str]:
    return {
        "GEX_DATA_DIR": str(place.data),
        "GEX_SOURCE": place.source,
        "GEX_REDIS_URL": place.redis_url,
        "GEX_SIMULATOR_PORT": str(ports.simulator),
        "GEX_HOST": ports.host,
        "GEX_PORT": str(ports.serving),
        "GEX_DAGSTER_HOST": ports.dagster_host,
        "GEX_DAGSTER_PORT": str(ports.dagster),
        "PYTHONUNBUFFERED": "1",
    }
