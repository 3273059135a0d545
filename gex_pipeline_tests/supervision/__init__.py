"""Tests of gex_pipeline/supervision."""
