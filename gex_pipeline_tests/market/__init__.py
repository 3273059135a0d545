"""Promises of the market core."""
