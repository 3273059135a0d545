"""Where the figures of these settings come from and lie: source, mode, root folder, namespace."""

from pathlib import Path
from typing import Literal

import msgspec

from gex_pipeline.settings.discord import Settings

Mode = Literal["real", "simulated"]
SIMULATOR = "simulator"


class Place(msgspec.Struct, frozen=True):
    """One source's own world: simulated data never share root or keys with real ones."""

    source: str
    mode: Mode
    root: Path
    """Folder of spool, hot store, lake and catalog."""
    prefix: str
    """Of every key and channel in the hot store."""


def place_of(settings: Settings) -> Place:
    """Return the place of the source in use; auto is Schwab with credentials, else the simulator."""
    source = settings.gex_source if settings.gex_source != "auto" else _automatic(settings)
    if source == SIMULATOR:
        return Place(source, "simulated", settings.gex_data_dir / "sim", "sim:")
    return Place(source, "real", settings.gex_data_dir, "")


def _automatic(settings: Settings) -> str:
    credentials = settings.schwab_client_id and settings.schwab_client_secret
    return "schwab" if settings.schwab_enabled and credentials else SIMULATOR
