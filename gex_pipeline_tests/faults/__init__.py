"""Faults on purpose: kills, cuts, full disks, lost replies; each event exactly once."""
