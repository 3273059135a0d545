"""schwab-py's stream client over real sockets, kept from its own traps."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gex_pipeline.errors import FeedClosedError, FeedTakenError
from gex_pipeline.feeds.schwab.decode import Block
from gex_pipeline.feeds.schwab.fields import EQUITIES, FUTURES, OPTIONS
from gex_pipeline.feeds.schwab.stream import (
    LoginDeniedError,
    Stream,
    StreamFrame,
    UnreadableError,
)
from gex_pipeline.feeds.schwab.subscriptions import MOST_BYTES, chunks
from gex_pipeline_tests.feeds.schwab.streamer import (
    TOKEN,
    Answers,
    Script,
    Torn,
    data,
    notice,
    response,
    scripted,
)

FUT = ["/ES"]
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
            stream = Stream(client, take, timeout_s=timeout_s)
            try:
                await stream.open()
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
        while stream.frames < 4:  # noqa: ASYNC110 # a counter
            await asyncio.sleep(0.01)

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


class Limited:
    """A vendor that lets a stream have so many symbols, and answers a refusal twice."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: set[str] = set()

    def __call__(self, request: dict[str, Any]) -> Answers:
        """Answer, and keep what is subscribed."""
        keys = set(request["parameters"].get("keys", "").split(",")) - {""}
        command = request["command"]
        if command in ("SUBS", "ADD") and len(self.held | keys) > self.most:
            return [response(request, 19, "limit"), response(request, 24, "failed")]
        if command == "UNSUBS":
            self.held -= keys
        elif command in ("SUBS", "ADD"):
            self.held |= keys
        return agree(request)


def test_the_limit_is_learned_to_the_symbol_although_it_is_answered_twice() -> None:
    """Code 19, then 24 to the same request: the next request is not confused by it."""
    vendor = Limited(317)

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY", "QQQ"]) == 2
        assert await stream.add(OPTIONS, CALLS[:1000]) == 315
        assert (stream.limit, stream.symbols) == (317, 317)
        assert vendor.held == {"SPY", "QQQ", *CALLS[:315]}
        assert "19 REACHED_SYMBOL_LIMIT" in stream.limit_said
        await stream.remove(OPTIONS, CALLS[:10])
        assert await stream.add(OPTIONS, CALLS[400:410]) == 10
        assert stream.held[OPTIONS] == [*CALLS[10:315], *CALLS[400:410]]
        assert stream.table.strays["second"] > 0
        assert stream.table.strays["unknown"] == 0

    talk(vendor, use)


def test_a_denied_login_is_told_apart() -> None:
    """Code 3 asks for a new token; nothing is subscribed."""
    with pytest.raises(LoginDeniedError):
        talk(lambda request: [response(request, 3, "denied"), None], _nothing)


@pytest.mark.parametrize("code", [11, 21])
def test_a_service_that_is_refused_for_good_is_off_until_the_next_connection(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Not there, or a fault of ours: it is not asked again, and the other services go on."""

    def script(request: dict[str, Any]) -> Answers:
        if request["service"] == EQUITIES:
            return [response(request, code, "no"), response(request, 22, "SUBS failed")]
        return agree(request)

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert await stream.add(FUTURES, ["/ES"]) == 1
        off = stream.off[EQUITIES]
        assert (off.again_s, f"code {code}" in off.reason) == (None, True)

    _, seen = talk(script, use)

    assert [request["service"] for request in seen] == ["ADMIN", EQUITIES, FUTURES, "ADMIN"]
    if code == 21:
        assert "SUBS to LEVELONE_EQUITIES of SPY, fields 0,1" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(("code", "command"), [(22, "SUBS"), (23, "UNSUBS"), (24, "ADD")])
def test_a_failed_command_is_asked_once_more_with_no_other_beside_it(
    code: int, command: str
) -> None:
    """Codes 22 to 24 are often parallel commands; the second time is alone, and it succeeds."""
    failed: list[str] = []

    def script(request: dict[str, Any]) -> Answers:
        if request["service"] == OPTIONS and request["command"] == command and not failed:
            failed.append(request["requestid"])
            return [response(request, code, "failed")]
        return agree(request)

    async def use(stream: Stream) -> None:
        await asyncio.gather(
            stream.add(OPTIONS, CALLS[:2]), stream.add(EQUITIES, ["SPY"]), stream.add(FUTURES, FUT)
        )
        await stream.add(OPTIONS, CALLS[2:4])
        await stream.remove(OPTIONS, CALLS[:1])
        assert stream.held[OPTIONS] == CALLS[1:4]
        assert not stream.off

    _, seen = talk(script, use)

    asked = [request["requestid"] for request in seen if request["command"] == command]
    assert failed[0] in asked
    assert len({request["requestid"] for request in seen}) == len(seen)


def test_a_command_that_fails_again_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is off for a while, not for good, the next time for longer; then it is asked."""
    refused = 4
    monkeypatch.setattr("gex_pipeline.feeds.schwab.subscriptions.AGAIN_S", 0.5)

    def script(request: dict[str, Any]) -> Answers:
        nonlocal refused
        if request["command"] == "SUBS" and refused:
            refused -= 1
            return [response(request, 22, "failed")]
        return agree(request)

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert "code 22" in stream.off[EQUITIES].reason
        while EQUITIES in stream.off and refused:
            before_s = time.monotonic()
            await stream.add(EQUITIES, ["SPY"])
            await asyncio.sleep(0.05)
        assert (stream.off[EQUITIES].again_s or 0.0) - before_s >= 2 * 0.5
        while not await stream.add(EQUITIES, ["SPY"]):  # noqa: ASYNC110 # a service comes back
            await asyncio.sleep(0.05)
        assert not stream.off

    _, seen = talk(script, use)

    assert [request["command"] for request in seen] == ["LOGIN", *["SUBS"] * 5, "LOGOUT"]


@pytest.mark.parametrize("code", [26, 27, 28, 29])
def test_the_codes_of_success_are_successes(code: int) -> None:
    """schwab-py takes them for failures."""

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 1
        await stream.remove(EQUITIES, ["SPY"])
        assert not stream.symbols

    talk(lambda request: [response(request, code), response(request, 24)], use)


@pytest.mark.parametrize("code", [9, 20, 30])
@pytest.mark.parametrize("how", ["answer", "second answer", "notice"])
def test_codes_that_end_a_connection_do_so_however_they_come(code: int, how: str) -> None:
    """As the answer, behind it, or out of nothing."""

    def script(request: dict[str, Any]) -> Answers:
        if request["command"] != "SUBS":
            return agree(request)
        ways: dict[str, Answers] = {
            "answer": [response(request, code)],
            "second answer": [response(request, 0), response(request, code)],
            "notice": [response(request, 0), notice(code)],
        }
        return ways[how]

    async def use(stream: Stream) -> None:
        await stream.add(EQUITIES, ["SPY"])
        await stream.ended()

    with pytest.raises(FeedClosedError, match=f"code {code} "):
        talk(script, use)


@pytest.mark.parametrize("code", [3, 9, 20])
def test_the_close_behind_a_code_does_not_hide_it(code: int) -> None:
    """Whoever waits for the end of the connection hears why, though the socket closed at once."""

    def script(request: dict[str, Any]) -> Answers:
        return [response(request, code), None] if request["command"] == "SUBS" else agree(request)

    async def use(stream: Stream) -> None:
        ended = asyncio.create_task(stream.ended())
        with contextlib.suppress(FeedClosedError):
            await stream.add(EQUITIES, ["SPY"])
        await ended

    with pytest.raises(FeedClosedError, match=f"code {code} "):
        talk(script, use)


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
        await stream.ended()

    with pytest.raises(error) as caught:
        talk(script, use)

    assert type(caught.value) is error


def test_an_unanswered_request_wedges_nothing_and_confuses_nothing() -> None:
    """It is asked once more, then its service is off for a while; late answers are told apart."""
    left: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Answers:
        if request["service"] == EQUITIES:
            left.append(request)
            return []
        late = [response(each, 0) for each in left]
        left.clear()
        return [*late, *agree(request)]

    async def use(stream: Stream) -> None:
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert stream.off[EQUITIES].reason == "no answer"
        assert await stream.add(FUTURES, FUT) == 1
        assert (stream.table.unanswered, stream.table.strays["late"]) == (2, 2)
        assert await stream.add(EQUITIES, ["SPY"]) == 0
        assert len(stream.table) == 0

    _, seen = talk(script, use, timeout_s=0.3)

    assert [request["service"] for request in seen][1:4] == [EQUITIES, EQUITIES, FUTURES]


def test_a_request_waits_for_no_frame() -> None:
    """In a quiet stream schwab-py would send it after the next frame; several may be open."""
    held: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Answers:
        if request["command"] != "SUBS":
            return agree(request)
        held.append(request)
        if len(held) < 3:
            return []
        return [response(each, 0) for each in reversed(held)]

    async def use(stream: Stream) -> None:
        await asyncio.sleep(0.1)  # the reader waits for a frame that does not come
        added = await asyncio.gather(
            stream.add(EQUITIES, ["SPY"]), stream.add(FUTURES, FUT), stream.add(OPTIONS, CALLS[:3])
        )
        assert list(added) == [1, 1, 3]

    talk(script, use, timeout_s=20.0)


def test_a_login_that_is_not_answered_is_the_end_of_it() -> None:
    """schwab-py would wait for ever."""
    with pytest.raises(FeedClosedError, match="login unanswered"):
        talk(lambda _: [], _nothing, timeout_s=0.3)


def test_data_that_cannot_be_read_end_the_connection() -> None:
    """What they changed is unknown until full images come: those of a new connection."""

    def script(request: dict[str, Any]) -> Answers:
        torn: Any = Torn(data(EQUITIES, {"key": "SPY", "3": 600.0}))
        return [response(request, 0), torn] if request["command"] == "SUBS" else agree(request)

    async def use(stream: Stream) -> None:
        await stream.add(EQUITIES, ["SPY"])
        await stream.ended()

    with pytest.raises(UnreadableError):
        talk(script, use)


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
        while stream.frames < 6:  # noqa: ASYNC110 # a counter
            await asyncio.sleep(0.01)
        assert stream.unreadable == 1

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
