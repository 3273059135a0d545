"""Tests of gex_pipeline/archive."""
