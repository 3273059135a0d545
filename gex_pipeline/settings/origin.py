"""Which source these settings mean, and what follows from it: mode, root folder, name prefix."""

from pathlib import Path
from typing import Literal

import msgspec

from gex_pipeline.settings.discord import Settings

Mode = Literal["real", "simulated"]


class Origin(msgspec.Struct, frozen=True):
    """What a process knows from its start: simulated data have a root and a name space apart."""

    source: str
    """schwab, tastytrade, cboe or simulator."""
    mode: Mode
    root: Path
    """Absolute: hot/, spool/, lake/, tokens/ and the catalog lie below it."""
    prefix: str
    """Before every key and channel of the hot store."""


def origin_of(settings: Settings) -> Origin:
    """Return the origin; `auto` is schwab where it is enabled with credentials, else simulator."""
    source: str = settings.gex_source
    if source == "auto":
        credentials = settings.schwab_client_id and settings.schwab_client_secret
        source = "schwab" if settings.schwab_enabled and credentials else "simulator"
    data = settings.gex_data_dir.absolute()
    if source == "simulator":
        return Origin(source, "simulated", data / "sim", "sim:")
    return Origin(source, "real", data, "")
