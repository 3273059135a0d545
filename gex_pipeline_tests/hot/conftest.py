"""A real server for the whole run, emptied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys

FIRST_PORT = 20_490


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The shared server; tests that hurt it take `own_server`."""
    server = EmbeddedServer()
    server.start(tmp_path_factory.mktemp("root"), FIRST_PORT, 256)
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test alone, in tmp_path."""
    server = EmbeddedServer()
    server.start(tmp_path, FIRST_PORT, 256)
    yield server
    if server.alive():
        server.stop()


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    """A client of the empty shared server."""
    with connect(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def keys() -> Keys:
    """Keys of a simulated namespace."""
    return Keys("sim:")
