"""What is used of schwab-py's inside, and the word at the start when it has changed."""

import asyncio
from typing import Any, get_args

import pytest

from gex_pipeline.errors import LibraryError
from gex_pipeline.feeds.schwab.fields import Service
from gex_pipeline.feeds.schwab.library import StreamClient
from gex_pipeline.feeds.schwab.openrequests import RequestTable
from gex_pipeline.feeds.schwab.wire import METHODS, Wire, check_wire


def test_the_installed_library_is_the_known_one() -> None:
    """Every service's requests are written as they must be; no service is forgotten."""
    asyncio.run(check_wire())

    assert set(get_args(Service)) <= set(METHODS)


async def _waits(self: Any, *_: object) -> None:
    await asyncio.sleep(0)
    self.table = None


def _positional(self: Any, service: str, command: str, parameters: dict[str, Any]) -> Any:
    return {"service": service, "requestid": 1, "command": command}, 1


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("_make_request", _positional),
        ("_service_op", _waits),
        ("level_one_forex_subs", None),
        ("nasdaq_book_add", StreamClient.nyse_book_add),
    ],
)
def test_another_version_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, instead: Any
) -> None:
    """With the cure: the version that is known; not by an answer that never comes."""
    monkeypatch.setattr(StreamClient, name, instead)

    with pytest.raises(LibraryError, match=r"pip install schwab-py=="):
        asyncio.run(check_wire())


def test_a_dead_connection_fails_requests_at_once() -> None:
    """Those that are open, and those that come."""

    async def run() -> None:
        table = RequestTable()
        before = table.open("1", "ADMIN", "LOGIN", {"Authorization": "secret"})
        table.fail(OSError("gone"))
        after = table.open("2", "ADMIN", "LOGOUT", {})
        for ticket in (before, after):
            with pytest.raises(OSError, match="gone"):
                await ticket.answer
        assert "secret" not in str(before)
        await table.settled()

    asyncio.run(run())


def test_a_wire_that_was_never_opened_hangs_up() -> None:
    """Closing needs no socket."""

    async def run() -> None:
        wire = Wire(None, RequestTable())
        assert not wire.is_open
        await wire.hang_up()
        wire.drop()

    asyncio.run(run())
