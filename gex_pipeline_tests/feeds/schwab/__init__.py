"""Tests of Schwab's side."""
