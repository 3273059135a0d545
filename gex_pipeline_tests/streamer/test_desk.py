"""Requests to a running streamer, and what it wants a person to know; on a real server."""

import asyncio

import redis

from gex_pipeline.errors import FeedError
from gex_pipeline.hot import control
from gex_pipeline.hot.alerts import Alert, active_alerts, read_alerts, tell_alert
from gex_pipeline.hot.keys import Keys
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.desk import Answer, Desk
from gex_pipeline_tests.hot.conftest import client, keys, server

__all__ = ["client", "keys", "server"]

SERVICE = "streamer"
WITHIN_S = 20.0


def asked(client: redis.Redis, keys: Keys, answers: dict[str, Answer], verb: str) -> control.Reply:
    """Ask a running desk and return its reply; a request from before its start is on the stream."""

    async def run() -> control.Reply:
        control.ask(client, keys, SERVICE, control.new_request(verb, "before", by="test"))
        desk = asyncio.create_task(Desk(client, keys, SERVICE, answers).run())
        try:
            await asyncio.sleep(0.5)  # so that the desk has seen where the stream ends
            request = control.new_request(verb, "SPY", by="test")
            after = control.ask(client, keys, SERVICE, request)
            found = await asyncio.to_thread(
                control.await_reply, client, keys, SERVICE, after, request, WITHIN_S
            )
        finally:
            desk.cancel()
            await asyncio.gather(desk, return_exceptions=True)
        assert found is not None
        return found

    return asyncio.run(run())


def test_a_request_is_answered_once_it_is_asked(client: redis.Redis, keys: Keys) -> None:
    """What was asked before the start is nobody's any more."""
    heard: list[str] = []

    async def quote(arg: str) -> str:
        heard.append(arg)
        await asyncio.sleep(0)
        return f"{arg} 600"

    answer = asked(client, keys, {"quote": quote}, "quote")

    assert (answer.ok, answer.detail) == (True, "SPY 600")
    assert heard == ["SPY"]


def test_a_refusal_says_why(client: redis.Redis, keys: Keys) -> None:
    """An error of ours is the answer; an unknown verb is told with those that are known."""

    async def quote(_: str) -> str:
        await asyncio.sleep(0)
        raise FeedError("Schwab did not answer")

    refused = asked(client, keys, {"quote": quote}, "quote")
    unknown = asked(client, keys, {"quote": quote}, "order")

    assert (refused.ok, refused.code, refused.detail) == (
        False,
        FeedError.exit_code,
        "Schwab did not answer. It is tried again by itself.",
    )
    assert (unknown.ok, unknown.detail) == (False, "'order' is none of quote.")


def test_a_fault_of_ours_is_answered_too(client: redis.Redis, keys: Keys) -> None:
    """The reply points to the log, where its traceback is, and shows nothing of it."""

    async def quote(_: str) -> str:
        await asyncio.sleep(0)
        raise KeyError("streamerInfo")

    reply = asked(client, keys, {"quote": quote}, "quote")

    assert (reply.ok, reply.detail) == (
        False,
        "quote failed by a fault of ours. See the log of streamer.",
    )


def test_an_alert_is_told_once_and_ends(client: redis.Redis, keys: Keys) -> None:
    """The same words are one alert, other words replace it, its end takes it away."""
    bell = Bell(SERVICE)

    async def told() -> None:
        task = asyncio.create_task(bell.run(client, keys))
        while bell._untold:  # noqa: ASYNC110 # the stream is another process's
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    bell.ring("consent_ends", "warning", "48 hours")
    bell.ring("consent_ends", "warning", "48 hours")
    asyncio.run(told())
    bell.ring("consent_ends", "critical", "6 hours")
    asyncio.run(told())
    bell.ring("stream_taken", "critical", "another program")
    bell.still("consent_ends")
    bell.still("consent_ends")
    asyncio.run(told())

    entries = client.xrange(keys.alerts())
    alerts = read_alerts(entries)  # type: ignore[arg-type] # redis-py types a union with async
    assert [(one.name, one.level, one.active) for one in alerts] == [
        ("consent_ends", "warning", True),
        ("consent_ends", "critical", True),
        ("stream_taken", "critical", True),
        ("consent_ends", "critical", False),
    ]
    assert [one.text for one in active_alerts(alerts)] == ["another program"]
    assert list(bell.active) == ["stream_taken"]


def test_alerts_of_the_process_before_end_with_their_reason(
    client: redis.Redis, keys: Keys
) -> None:
    """What is over ends although this process never rang it, also before it knew of it."""
    for service, name in (
        (SERVICE, "stream_down"),
        (SERVICE, "service_off"),
        (SERVICE, "symbol_limit"),
        ("archive", "disk_full"),
    ):
        alert = Alert(name=name, service=service, level="warning", text=name, ts_ns=1)
        tell_alert(client, keys, alert)
    bell = Bell(SERVICE)
    bell.still("stream_down")
    bell.ring("service_off", "warning", "another one")

    async def adopted() -> None:
        task = asyncio.create_task(bell.run(client, keys))
        while "symbol_limit" not in bell.active:  # noqa: ASYNC110 # it comes from the store
            await asyncio.sleep(0.01)
        bell.still("symbol_limit")
        while bell._untold:  # noqa: ASYNC110 # the stream is another process's
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(adopted())

    entries = client.xrange(keys.alerts())
    active = active_alerts(read_alerts(entries))  # type: ignore[arg-type] # a union with async
    assert [(one.name, one.text) for one in active] == [
        ("disk_full", "disk_full"),
        ("service_off", "another one"),
    ]
