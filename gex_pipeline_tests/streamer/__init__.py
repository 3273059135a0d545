"""Tests of the streamer."""
