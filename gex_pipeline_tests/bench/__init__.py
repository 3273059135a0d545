"""Benches: workloads and peers, pinned, behind `gex bench`."""
