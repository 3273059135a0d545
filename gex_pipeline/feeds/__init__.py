"""Edges that take market data in: every source's own words are turned into ours here."""
