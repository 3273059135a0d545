"""The API's tests: the real application over a real server, asked without a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline_tests.gateway.market import make_gateway, make_past
from gex_pipeline_tests.gateway.store import server_url, store
from serving.app import build_app
from serving.hosts import known_hosts

__all__ = ["server_url", "store"]


@pytest.fixture
def app(server_url: str, store: redis.Redis, tmp_path: Path) -> Litestar:
    """The application; its folder holds the local key."""
    KeyStore(tmp_path).local()
    return build_app(
        make_gateway(server_url, tmp_path),
        known_hosts("127.0.0.1", ("gex.lan",)),
        make_past(tmp_path),
    )


@pytest.fixture
def stranger(app: Litestar) -> Iterator[TestClient[Litestar]]:
    """A client without a key."""
    with TestClient(app, base_url="http://127.0.0.1:8877") as client:
        yield client


@pytest.fixture
def client(stranger: TestClient[Litestar], tmp_path: Path) -> TestClient[Litestar]:
    """A client with the local key."""
    key = (tmp_path / "local_key").read_text().strip()
    stranger.headers["authorization"] = f"Bearer {key}"
    return stranger
