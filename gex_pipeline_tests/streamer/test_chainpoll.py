"""Rounds of whole chains: how long until the next one."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gex_pipeline.streamer import chainpoll
from gex_pipeline.streamer.chainpoll import ChainPoll
from gex_pipeline.streamer.plan import Plan


async def _nothing() -> None:
    return None


def test_the_open_ends_the_long_wait_of_a_closed_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of the night takes days here; when the market opens the next one begins."""
    nobody: Any = None
    following: Any = SimpleNamespace(plan=Plan((), (), (), 10), intake=nobody, choose=_nothing)
    poll = ChainPoll(nobody, following, nobody, nobody, lambda: True)
    looks = iter([False] * 3)
    monkeypatch.setattr(chainpoll, "_CLOSED_TIMES", 10**9)
    monkeypatch.setattr(chainpoll, "_LOOK_S", 0.01)
    monkeypatch.setattr(poll, "_open", lambda: next(looks, True))

    async def until_next_round() -> None:
        rounds = asyncio.create_task(poll.run(0.02))
        while poll.rounds < 2:  # noqa: ASYNC110 # a counter
            await asyncio.sleep(0.01)
        rounds.cancel()

    asyncio.run(asyncio.wait_for(until_next_round(), 20))
    assert next(looks, None) is None
