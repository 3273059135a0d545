"""Tests of both packages, mirroring their modules, and the benches' peers and workloads."""
