"""Chains in windows: halved where the gateway refuses, remembered, and honest about the rest."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.answers import ChainPart
from gex_pipeline.feeds.schwab.rest import Repeated, Rest

DAYS = tuple(datetime.date(2026, 1, day) for day in range(1, 9))
BODY = b'{"symbol": "$SPX", "status": "NO_DATA"}'


class Answer:
    """What a schwab-py call returns, as far as we read it."""

    def __init__(self, status_code: int, content: bytes = BODY, retry_after: str = "") -> None:
        self.status_code = status_code
        self.content = content
        self.headers = {"Retry-After": retry_after}


class Gateway:
    """Lets at most `most` expirations through; `down` refuses everything."""

    def __init__(self, most: int, status: int = 502) -> None:
        self.most = most
        self.status = status
        self.asked: list[tuple[datetime.date, datetime.date]] = []

    async def get_option_chain(
        self, symbol: str, *, from_date: datetime.date, to_date: datetime.date, **_: Any
    ) -> Answer:
        """Answer a window of days of January."""
        self.asked.append((from_date, to_date))
        fits = (to_date - from_date).days + 1 <= self.most
        return Answer(200 if fits else self.status)


def chain(rest: Rest, days: Sequence[datetime.date] = DAYS) -> list[Any]:
    """The parts and failures of a chain."""

    async def gather() -> list[Any]:
        return [found async for found in rest.chain("SPX", days)]

    return asyncio.run(gather())


@pytest.mark.parametrize("status", [413, 500, 502, 504])
def test_a_window_too_big_is_halved_and_the_cut_remembered(status: int) -> None:
    """Eight expirations at most three at once: four windows, and no refusal the second time."""
    gateway = Gateway(3, status)
    rest = Rest(gateway, RateLimit(6000))

    first = chain(rest)
    refused = len(gateway.asked) - len(first)
    gateway.asked.clear()
    second = chain(rest)

    expected = [(DAYS[at], DAYS[at + 1]) for at in (0, 2, 4, 6)]
    assert [(part.first, part.last) for part in first] == expected
    assert [(part.first, part.last) for part in second] == gateway.asked == expected
    assert refused == 3


def test_a_truncated_answer_is_asked_for_in_halves() -> None:
    """What Schwab cut short is not taken as long as it can be halved."""
    gateway = Gateway(99)
    rest = Rest(gateway, RateLimit(6000))

    async def cut(symbol: str, *, from_date: Any, to_date: Any, **_: Any) -> Answer:
        truncated = b"true" if from_date != to_date else b"false"
        return Answer(200, b'{"symbol": "$SPX", "isChainTruncated": ' + truncated + b"}")

    gateway.get_option_chain = cut  # type: ignore[method-assign]

    found = chain(rest, DAYS[:2])

    repeated, *parts = found
    assert isinstance(repeated, Repeated)
    assert (repeated.part.first, repeated.part.complete) == (DAYS[0], False)
    assert [(part.first, part.complete) for part in parts] == [(DAYS[0], True), (DAYS[1], True)]


def test_an_outage_is_told_and_teaches_no_cuts() -> None:
    """If not even one expiration passes, size was not the reason."""
    gateway = Gateway(0, 500)
    rest = Rest(gateway, RateLimit(6000))

    found = chain(rest, DAYS[:2])

    assert [missing.window for missing in found] == [(DAYS[0],), (DAYS[1],)]
    assert not any(isinstance(part, ChainPart) for part in found)
    assert rest.windows("SPX", DAYS[:2]) == [DAYS[:2]]


def test_a_refusal_closes_the_rate_limit() -> None:
    """429 with Retry-After: nothing is sent for that long."""
    gateway = Gateway(99)
    limit = RateLimit(6000)

    async def busy(*_: Any, **__: Any) -> Answer:
        return Answer(429, retry_after="30")

    gateway.get_option_chain = busy  # type: ignore[method-assign]

    (missing,) = chain(Rest(gateway, limit))

    assert "none is sent for 30 s" in missing.reason
    assert limit.wait_s(limit._closed_until_s - 29) == 29


@pytest.mark.parametrize(("text", "error"), [(b"<html>", FeedError), (b'{"a": 1', FeedError)])
def test_an_answer_that_is_no_json_is_a_failure_of_the_source(
    text: bytes, error: type[Exception]
) -> None:
    """HTML of a proxy does not end the streamer."""
    gateway = Gateway(99)

    async def html(symbol: str) -> Answer:
        return Answer(200, text)

    gateway.get_option_expiration_chain = html  # type: ignore[attr-defined]

    with pytest.raises(error, match="cannot be read") as caught:
        asyncio.run(Rest(gateway, RateLimit(6000)).expirations("SPX", DAYS[0]))

    assert not isinstance(caught.value, SignInError)
