"""Tests of gex_pipeline/lake."""
