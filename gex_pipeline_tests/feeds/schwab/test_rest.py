"""Chains in windows: halved where the gateway refuses, remembered, and honest about the rest."""

import asyncio
import datetime
import time
from collections.abc import Sequence
from typing import Any

import pytest

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.breaker import Breaker
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.answers import ChainPart
from gex_pipeline.feeds.schwab.rest import RefusedError, Repeated, Rest

DAYS = tuple(datetime.date(2026, 1, day) for day in range(1, 9))
DATE = "Fri, 20 Nov 2026 15:00:00 GMT"
BODY = b'{"symbol": "$SPX", "status": "NO_DATA"}'


class Answer:
    """What a schwab-py call returns, as far as we read it."""

    def __init__(
        self, status_code: int, content: bytes = BODY, retry_after: str = "", date: str = ""
    ) -> None:
        self.status_code = status_code
        self.content = content
        self.headers = {"Retry-After": retry_after, "Date": date}


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


def rest_of(gateway: Any) -> Rest:
    """What asks the gateway, as often as it likes."""

    async def client() -> Any:
        return gateway

    return Rest(client, RateLimit(6000), Breaker())


def chain(rest: Rest, days: Sequence[datetime.date] = DAYS) -> list[Any]:
    """The parts and failures of a chain."""

    async def gather() -> list[Any]:
        return [found async for found in rest.chain("SPX", days)]

    return asyncio.run(gather())


@pytest.mark.parametrize("status", [413, 500, 502, 504])
def test_a_window_too_big_is_halved_and_the_cut_remembered(status: int) -> None:
    """Eight expirations at most three at once: four windows, and no refusal the second time."""
    gateway = Gateway(3, status)
    rest = rest_of(gateway)

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
    rest = rest_of(gateway)

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
    rest = rest_of(gateway)

    found = chain(rest, DAYS[:2])

    assert [missing.window for missing in found] == [(DAYS[0],), (DAYS[1],)]
    assert not any(isinstance(part, ChainPart) for part in found)
    assert rest.windows("SPX", DAYS[:2]) == [DAYS[:2]]


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        ("30", 30),
        ("Fri, 20 Nov 2026 15:01:40 GMT", 100),
        ("Fri, 20 Nov 2026 14:00:00 GMT", 1),
        ("Fri, 20 Nov 2026 23:00:00 GMT", 600),
        ("soon", 60),
        ("", 60),
    ],
)
def test_a_refusal_opens_the_breaker(said: str, pause_s: int) -> None:
    """429 with Retry-After, in seconds or until a date: nothing is sent for that long."""
    gateway = Gateway(99)

    async def busy(*_: Any, **__: Any) -> Answer:
        return Answer(429, retry_after=said, date=DATE)

    gateway.get_option_chain = busy  # type: ignore[method-assign]
    rest = rest_of(gateway)

    (missing,) = chain(rest)

    assert f"none is sent for {pause_s} s" in missing.reason
    assert rest.breaker.state == "open"
    assert pause_s - 5 < rest.breaker.wait_s(time.monotonic()) <= pause_s
    with pytest.raises(RefusedError, match=r"left alone .* refused a request \(429\)"):
        asyncio.run(rest.quotes(("SPY",)))


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
        asyncio.run(rest_of(gateway).expirations("SPX", DAYS[0]))

    assert not isinstance(caught.value, SignInError)


def test_cuts_go_with_their_expirations() -> None:
    """What was learned is counted: filled, used, and let go when its days are over."""
    gateway = Gateway(3)
    rest = rest_of(gateway)

    chain(rest)
    later = chain(rest, DAYS[5:])

    assert [(part.first, part.last) for part in later] == [(DAYS[5], DAYS[5]), (DAYS[6], DAYS[7])]
    learned = rest.learned
    assert (learned.fills, learned.misses, learned.hits, learned.evictions) == (3, 1, 1, 2)


def test_failures_in_a_row_open_the_breaker_and_one_probe_closes_it() -> None:
    """Five times 503: the sixth question waits for the pause, and its answer closes it."""
    gateway = Gateway(0, 503)
    rest = rest_of(gateway)

    found = [chain(rest, [day])[0] for day in DAYS[:5]]

    assert ["status 503" in missing.reason for missing in found] == [True] * 5
    assert rest.breaker.state == "open"
    rest.breaker._until_s = time.monotonic() + 0.05
    gateway.most = 1
    (part,) = chain(rest, DAYS[:1])
    assert part.complete
    assert (rest.breaker.state, rest.breaker.opened, len(gateway.asked)) == ("closed", 1, 6)


def test_a_body_too_big_is_no_failure_of_the_vendor() -> None:
    """The gateway says why: however often, the breaker stays closed."""
    gateway = Gateway(0)
    rest = rest_of(gateway)

    async def big(*_: Any, **__: Any) -> Answer:
        return Answer(502, b'{"fault":{"detail":{"errorcode":"protocol.http.TooBigBody"}}}')

    gateway.get_option_chain = big  # type: ignore[method-assign]

    found = chain(rest)

    assert len(found) == len(DAYS)
    assert rest.breaker.state == "closed"


async def _first(rest: Rest) -> object:
    return await anext(rest.chain("SPX", DAYS[:1]))


def test_a_question_that_was_given_up_leaves_the_probe_to_the_next() -> None:
    """Cancelled in the middle of the probe: the next one is the probe."""
    gateway = Gateway(1)
    rest = rest_of(gateway)
    rest.breaker.refused(time.monotonic() - 700, "refused", 1.0)
    waiting = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Answer:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def give_up() -> None:
        answers, gateway.get_option_chain = gateway.get_option_chain, never  # type: ignore[method-assign]
        task = asyncio.create_task(_first(rest))
        await waiting.wait()
        assert rest.breaker.state == "half_open"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gateway.get_option_chain = answers  # type: ignore[method-assign]

    asyncio.run(give_up())

    assert rest.breaker.state == "open"
    assert chain(rest, DAYS[:1])[0].complete
