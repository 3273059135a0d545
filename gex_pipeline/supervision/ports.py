"""Ports that are free at this moment, remembered so that a restart comes back where it was."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.errors import PortError

TRIED: Final = 200
"""Ports after the first one that are tried."""


def is_free(host: str, port: int) -> bool:
    """Return whether the address can be listened on now."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return True
    except OSError:
        return False


def free_port(host: str, first: int, taken: Iterable[int] = ()) -> int:
    """Return the first free port from `first` on that is not among those taken."""
    avoid = set(taken)
    for port in range(first, min(first + TRIED, 65536)):
        if port not in avoid and is_free(host, port):
            return port
    raise PortError(host, first, f"none of the {TRIED} ports from there is free")


def read_ports(path: Path) -> dict[str, int]:
    """Return the ports of the last start; none if there was none."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    return {}


def write_ports(path: Path, ports: dict[str, int]) -> None:
    """Remember ports."""
    draft = path.with_suffix(".tmp")
    draft.write_bytes(msgspec.json.encode(ports))
    draft.replace(path)
