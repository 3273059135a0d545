"""Promises of the gex command."""
