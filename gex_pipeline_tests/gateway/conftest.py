"""The gateway's tests read a real server."""

from gex_pipeline_tests.gateway.store import server_url, store

__all__ = ["server_url", "store"]
