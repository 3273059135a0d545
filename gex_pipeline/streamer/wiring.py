"""All that a streamer is told at its start; no secret is in it."""

from pathlib import Path

import msgspec

from gex_pipeline.streamer.plan import Plan


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a streamer is told at its start."""

    source: str
    mode: str
    root: Path
    prefix: str
    channels: tuple[str, str]
    """Names of the channels of ticks and books, behind the prefix."""
    plan: Plan
    base_url: str
    requests_per_minute: int
    chain_interval_s: float
    timeout_s: float
    silence_s: float
    reconnect_max_s: float
    fsync_ms: int
    option_ticks: bool
    """Publish option ticks on the tick channel too."""
    ticks_mb: int
    record: bool
    """Keep the wire frames as they came."""
    capture_keep_gb: float
    disk_alert_percent: float
    disk_stop_percent: float
    spool_retention_days: int | None

    @property
    def simulated(self) -> bool:
        """Whether market time is the simulator's."""
        return self.source == "simulator"
