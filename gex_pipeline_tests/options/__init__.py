"""Tests of the option mathematics, each module against an independent oracle."""
