"""Schwab's market data, in Schwab's words on one side and ours on the other."""
