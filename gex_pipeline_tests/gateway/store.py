"""Fixtures: a real server for the session, empty for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline_tests.gateway.market import fill


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of our own."""
    root: Path = tmp_path_factory.mktemp("hot")
    server = EmbeddedServer()
    yield server.start(root, 26_390, maxmemory_mb=64)
    server.stop()


@pytest.fixture
def store(server_url: str) -> Iterator[redis.Redis]:
    """The server, filled with SPX and nothing else."""
    with connect(server_url) as client:
        client.flushall()
        fill(client)
        yield client
