"""Tests of gex_pipeline/defs."""
