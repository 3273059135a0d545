"""A hot store and one recorded stretch for all tests of replay."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline_tests.replay.stretch import record


class Recording(msgspec.Struct, frozen=True):
    """Where the stretch lies: a hot store's address, and a root with its lake."""

    url: str
    root: Path


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The stretch, recorded once."""
    folder: Path = tmp_path_factory.mktemp("replay")
    server = EmbeddedServer()
    url = server.start(folder, 27_390, maxmemory_mb=128)
    root = folder / "data" / "sim"
    with connect(url) as store:
        record(store, root)
    yield Recording(url, root)
    server.stop()
