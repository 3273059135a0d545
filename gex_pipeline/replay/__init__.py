"""Replay: recorded tapes from the lake into a namespace of their own, through what live uses."""
