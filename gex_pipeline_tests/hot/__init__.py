"""Tests of the hot store, against a real server."""
