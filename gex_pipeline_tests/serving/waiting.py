"""Waiting for what happens within a second or two, without asserting how long it took."""

import time
from collections.abc import Callable

from litestar import Litestar
from litestar.testing import TestClient

_PATIENCE_S = 20.0


def until(happened: Callable[[], bool]) -> None:
    """Return once it happened."""
    deadline = time.monotonic() + _PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def next_turn(client: TestClient[Litestar]) -> None:
    """Return once the gateway has looked at the clock again."""
    gateway = client.app.state.gateway
    before = gateway.turns
    until(lambda: gateway.turns > before + 1)
