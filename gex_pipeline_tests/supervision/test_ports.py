"""Free ports: what listens, and what another start has spoken for, is passed over."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gex_pipeline.supervision.ports import (
    Reserved,
    free_port,
    is_free,
    read_ports,
    write_ports,
)

HOST = "127.0.0.1"


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield int(server.getsockname()[1])


def test_a_port_in_use_is_passed_over(listening: int, tmp_path: Path) -> None:
    """The next one that is free is taken."""
    reserved = Reserved(tmp_path)

    assert not is_free(HOST, listening)
    assert free_port(HOST, listening, reserved) > listening
    reserved.close()


def test_two_starts_never_choose_the_same(listening: int, tmp_path: Path) -> None:
    """Also while nothing listens yet; what is let go can be chosen again."""
    one, other = Reserved(tmp_path), Reserved(tmp_path)
    first = free_port(HOST, listening, one)

    assert free_port(HOST, listening, other) > first
    one.close()
    again = Reserved(tmp_path)
    assert free_port(HOST, listening, again) == first
    again.close()
    other.close()


def test_ports_are_remembered(tmp_path: Path) -> None:
    """None before the first time, or where the file is damaged."""
    path = tmp_path / "ports.json"

    assert read_ports(path) == {}
    write_ports(path, {"serving": 1})
    assert read_ports(path) == {"serving": 1}
    path.write_bytes(b"{")
    assert read_ports(path) == {}
