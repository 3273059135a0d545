"""Ports that are free at this moment, remembered so that a restart comes back where it was."""

import socket
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.errors import PortError
from gex_pipeline.supervision.claim import claim

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


class Reserved:
    """Ports that this process has spoken for; other starts on this machine leave them alone.

    Between the choice of a port and the moment that a service listens on it lie seconds.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._held = ExitStack()

    def take(self, port: int) -> bool:
        """Reserve a port; False: another start has."""
        try:
            return self._held.enter_context(claim(self._folder / f"gex-port-{port}", ""))
        except OSError:  # another user's
            return False

    def close(self) -> None:
        """Let all of them go."""
        self._held.close()


def free_port(host: str, first: int, reserved: Reserved) -> int:
    """Return the first port from `first` on that is free, and reserve it."""
    for port in range(first, min(first + TRIED, 65536)):
        if is_free(host, port) and reserved.take(port):
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
