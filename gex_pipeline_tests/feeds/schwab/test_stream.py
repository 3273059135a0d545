"""schwab-py's stream client over real sockets, kept from its own traps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gex_pipeline.errors import FeedClosedError, FeedTakenError
from gex_pipeline.feeds.schwab.decode import Block
from gex_pipeline.feeds.schwab.fields import EQUITIES, OPTIONS
from gex_pipeline.feeds.schwab.stream import (
    MOST_BYTES,
    LoginDeniedError,
    RefusedError,
    Stream,
    StreamFrame,
    Tap,
    chunks,
)
from gex_pipeline_tests.feeds.schwab.streamer import (
    Answers,
    Script,
    data,
    notice,
    response,
    scripted,
)

CALLS = [f"SPXW  251208C{strike:08d}" for strike in range(1000, 5000)]


def talk(
    script: Script, use: Callable[[Stream], Awaitable[Any]], *, timeout_s: float = 5.0
) -> tuple[list[Block], list[dict[str, Any]]]:
    """Sign in, use the stream, close it; return the data that came and the requests sent."""
    taken: list[Block] = []

    def take(_: str | bytes, frame: StreamFrame | None) -> None:
        taken.extend(frame.data if frame is not None else ())

    async def run() -> list[dict[str, Any]]:
        async with scripted(script) as (client, seen):
            stream = Stream(client, Tap(take), timeout_s=timeout_s)
            try:
                await stream.login()
                await use(stream)
            finally:
                await stream.close()
            return seen

    return taken, asyncio.run(run())


def agree(request: dict[str, Any]) -> Answers:
    """Answer every request with success."""
    return [response(request, 0)]


def test_data_between_request_and_answer_are_not_lost() -> None:
    """A full image may come before the answer; success codes above 25 are successes."""
    spy = {"key": "SPY", "3": 600.0}

    def script(request: dict[str, Any]) -> Answers:
        if request["command"] != "SUBS":
            return agree(request)
        return [data(EQUITIES, spy), response(request, 26), data(EQUITIES, spy)]

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 1
        while stream.tap.frames < 4:
            await stream.read()

    taken, seen = talk(script, use)

    assert [block.service for block in taken] == [EQUITIES, EQUITIES]
    parameters = seen[1]["parameters"]
    assert (parameters["keys"], parameters["fields"]) == ("SPY", "0,1,2,3,4,5,8,9,34,35")
    assert [request["command"] for request in seen] == ["LOGIN", "SUBS", "LOGOUT"]


def test_many_keys_go_in_requests_of_a_safe_size() -> None:
    """The first replaces, the others add, none passes 48 KB."""

    async def use(stream: Stream) -> None:
        assert await stream.add(OPTIONS, CALLS) == len(CALLS)

    _, seen = talk(agree, use)

    assert [request["command"] for request in seen] == ["LOGIN", "SUBS", "ADD", "LOGOUT"]
    assert max(request["size"] for request in seen) <= MOST_BYTES
    keys = [key for request in seen[1:3] for key in request["parameters"]["keys"].split(",")]
    assert keys == CALLS


def test_the_limit_is_learned_although_it_is_answered_twice() -> None:
    """Code 19, then 24 to the same request: the next request is not confused by it."""

    def script(request: dict[str, Any]) -> Answers:
        keys = request["parameters"].get("keys", "")
        if request["command"] in ("SUBS", "ADD") and len(keys.split(",")) > 300:
            return [response(request, 19, "limit"), response(request, 24, "failed")]
        return agree(request)

    async def use(stream: Stream) -> None:
        assert await stream.add(OPTIONS, CALLS[:1000]) == 250
        assert stream.held[OPTIONS] == CALLS[:250]
        await stream.remove(OPTIONS, CALLS[:10])
        assert stream.held[OPTIONS] == CALLS[10:250]

    talk(script, use)


def test_a_denied_login_is_told_apart() -> None:
    """Code 3 asks for a new token; nothing is subscribed."""
    with pytest.raises(LoginDeniedError):
        talk(lambda request: [response(request, 3, "denied"), None], _nothing)


def test_a_service_that_is_not_there_is_left_out() -> None:
    """Code 11 does not end the connection."""

    def script(request: dict[str, Any]) -> Answers:
        return [response(request, 11)] if request["command"] == "SUBS" else agree(request)

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 0

    talk(script, use)


def test_another_refusal_is_an_error() -> None:
    """Code 21 is a fault of ours and is not passed over."""

    def script(request: dict[str, Any]) -> Answers:
        return [response(request, 21, "bad")] if request["command"] == "SUBS" else agree(request)

    with pytest.raises(RefusedError, match="code 21"):
        talk(script, lambda stream: stream.add(EQUITIES, ["SPY"]))


@pytest.mark.parametrize(
    ("last", "error"),
    [(notice(12), FeedTakenError), (notice(30), FeedClosedError), (None, FeedClosedError)],
    ids=["taken", "stopped", "cut"],
)
def test_each_end_of_a_stream_is_told(last: Any, error: type[Exception]) -> None:
    """A second login elsewhere is never fought; other ends mean a new connection."""

    def script(request: dict[str, Any]) -> Answers:
        return [response(request, 0), last] if request["command"] == "SUBS" else agree(request)

    async def use(stream: Stream) -> None:
        await stream.add(EQUITIES, ["SPY"])
        await stream.read()

    with pytest.raises(error) as caught:
        talk(script, use)

    assert type(caught.value) is error


def test_an_unanswered_request_ends_the_connection() -> None:
    """schwab-py would wait for ever."""

    def script(request: dict[str, Any]) -> Answers:
        return agree(request) if request["command"] == "LOGIN" else []

    with pytest.raises(FeedClosedError, match="unanswered"):
        talk(script, lambda stream: stream.add(EQUITIES, ["SPY"]), timeout_s=0.3)


def test_heartbeats_late_answers_and_rubbish_hurt_nothing() -> None:
    """A frame that is no JSON is counted; the reader goes on."""
    spy = {"key": "SPY", "3": 600.0}

    def script(request: dict[str, Any]) -> Answers:
        if request["command"] != "SUBS":
            return agree(request)
        late = response(request | {"requestid": "77"}, 0)
        beat = {"notify": [{"heartbeat": "1668715930582"}]}
        odd: Any = ["no object"]
        return [response(request, 0), beat, late, odd, data(EQUITIES, spy)]

    async def use(stream: Stream) -> None:
        await stream.add(EQUITIES, ["SPY"])
        while stream.tap.frames < 6:
            await stream.read()
        assert stream.tap.unreadable == 1

    taken, _ = talk(script, use)

    assert len(taken) == 1


def test_chunks_hold_every_key_once() -> None:
    """A key that is bigger than a chunk still goes, alone."""
    assert list(chunks(["a" * 30, "b" * 30, "c"], most_bytes=2_040)) == [
        ["a" * 30],
        ["b" * 30, "c"],
    ]
    assert list(chunks([])) == []


async def _nothing(stream: Stream) -> None:
    """Use nothing."""
