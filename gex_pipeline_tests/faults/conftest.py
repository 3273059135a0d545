"""A real server for the whole run, emptied for each test."""

from gex_pipeline_tests.hot.conftest import client, keys, own_server, server

__all__ = ["client", "keys", "own_server", "server"]
