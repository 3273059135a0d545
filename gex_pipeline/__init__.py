"""Live gamma exposure from a trader's own market data, with a figure for how sure it is."""

__version__ = "0.1.0"
