"""Cboe's free delayed quotes: the quote table (CSV and .dat) and the JSON."""

from gex_pipeline.feeds.cboe.delayed import read_delayed
from gex_pipeline.feeds.cboe.table import read_table

__all__ = ["read_delayed", "read_table"]
