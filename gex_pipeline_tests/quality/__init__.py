"""Tests of the quality rules and the ledger."""
