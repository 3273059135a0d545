"""Answer codes of Schwab's streamer, each with its action; against schwab-py and the simulator."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import NotTakenError
from gex_pipeline.feeds.schwab import subscriptions
from gex_pipeline.feeds.schwab.fields import FUTURES, OPTIONS
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.mishaps import Deny, Mute, Refuse
from gex_pipeline_tests.streamer.live import BEAT_S, Live, live, run, say

OVER_S = 2.0
"""Market seconds that a fault at the start lasts."""


def text(stage: Live, name: str) -> str:
    """What an alert says."""
    return stage.bell.active[name].text


@pytest.mark.parametrize("code", [9, 20])
def test_codes_9_and_20_bring_a_new_connection(tmp_path: Path, code: int) -> None:
    """The connection is of no more use; the code is told with its name."""

    async def check() -> None:
        script = [Refuse(code=code, service=OPTIONS, for_s=OVER_S)]
        async with live(tmp_path, script=script) as stage:
            since_s = stage.start()
            await stage.until(lambda: f"code {code} " in stage.connection.detail, "the code")
            assert f"code {code} " in text(stage, "stream_down")
            await stage.recovered(since_s, f"code {code}")

            say(f"code {code}: {await stage.reckoned()}")
            assert not stage.rung
            assert {gap.cause for gap in stage.gaps()} <= {"disconnect"}
            assert stage.connection.connections > 1

    run(check())


@pytest.mark.parametrize(
    ("code", "twice"), [(11, False), (11, True), (21, True), (22, False), (22, True), (24, True)]
)
def test_a_service_that_is_refused_is_off_until_the_next_connection(
    tmp_path: Path, code: int, twice: bool
) -> None:
    """The others stream on; the alert names service and code, and ends when it is served."""

    async def check() -> None:
        script = [Refuse(code=code, service=FUTURES, twice=twice)]
        async with live(tmp_path, script=script) as stage:
            await stage.begun(but=(FUTURES,))
            await stage.until(lambda: "service_off" in stage.rung, "the alert")
            assert f"{FUTURES}: code {code} " in text(stage, "service_off")
            assert (stage.connection.state, stage.gaps()) == ("streaming", [])

    run(check())


def test_a_service_that_comes_back_is_asked_again_after_a_reconnect(tmp_path: Path) -> None:
    """Code 11 for a while: on the next connection all is subscribed, and the alert is over."""

    async def check() -> None:
        script = [Refuse(code=11, service=FUTURES, for_s=OVER_S)]
        async with live(tmp_path, script=script) as stage:
            await stage.begun(but=(FUTURES,))
            await stage.until(lambda: "service_off" in stage.rung, "the alert")
            await stage.over("refuse")
            await stage.play("notice", code=30)
            await stage.recovered(time.monotonic(), "reconnect")
            await stage.until(lambda: not stage.rung, "all alerts are over")

            say(f"code 11: {await stage.reckoned()}")

    run(check())


@pytest.mark.parametrize("code", [26, 27, 28, 29])
def test_the_codes_of_success_are_successes(tmp_path: Path, code: int) -> None:
    """Also answered twice, as a success and then as a failure."""

    async def check() -> None:
        async with live(tmp_path, script=[Refuse(code=code, twice=True)]) as stage:
            await stage.begun()
            reckoning = await stage.reckoned()

            assert reckoning.in_gaps == 0
            assert (stage.connection.connections, stage.rung) == (1, set())

    run(check())


def test_the_symbol_limit_is_learned_and_kept(tmp_path: Path) -> None:
    """Codes 19 and 24: the heaviest contracts that fit; no refusal after a reconnect."""
    limit = 30

    async def check() -> None:
        pace = Pace(400.0, heartbeat_s=BEAT_S, symbol_limit=limit)
        async with live(tmp_path, pace=pace) as stage:
            wanted = list(stage.wishes.options)
            stage.start()
            await stage.until(lambda: stage.connection.held == limit, "as many as may be")
            assert "code 19 REACHED_SYMBOL_LIMIT" in text(stage, "symbol_limit")
            assert stage.wishes.limit.learned == limit
            has = (await stage.state())["subscribed"]
            room = limit - sum(len(keys) for name, keys in has.items() if name != OPTIONS)
            assert has[OPTIONS] == wanted[:room]
            await stage.more()

            stage.wishes.options = stage.spare
            await stage.subscribed(OPTIONS, stage.spare[:room])
            since_s = time.monotonic()
            await stage.play("notice", code=30)
            await stage.until(lambda: stage.connection.connections == 2, "a new connection")
            await stage.until(lambda: stage.connection.held == limit, "as many as may be")
            say(f"symbol limit: back after {time.monotonic() - since_s:.2f} s")
            await stage.more()

            say(f"symbol limit: {await stage.reckoned()}")
            assert stage.rung == {"symbol_limit"}

    run(check())


def test_a_limit_that_leaves_no_contract_leaves_the_rest(tmp_path: Path) -> None:
    """Every request for contracts is refused with 19: indexes and futures stream."""

    async def check() -> None:
        script = [Refuse(code=19, service=OPTIONS, twice=True)]
        async with live(tmp_path, script=script) as stage:
            await stage.begun(but=(OPTIONS,))
            await stage.until(lambda: "symbol_limit" in stage.rung, "the alert")
            assert stage.wishes.limit.learned == stage.connection.held
            say(f"code 19 always: {await stage.reckoned()}")
            assert stage.connection.connections == 1

    run(check())


def test_a_muted_service_is_asked_again_and_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never answered: the other services stream, and when it answers again it does too."""
    monkeypatch.setattr(subscriptions, "AGAIN_S", 1.0)

    async def check() -> None:
        async with live(tmp_path, script=[Mute(service=FUTURES, for_s=6.0)]) as stage:
            since_s = stage.start()
            took_s = await stage.full(but=(FUTURES,)) - since_s
            say(f"muted futures: the rest is subscribed after {took_s:.2f} s")
            await stage.until(lambda: "service_off" in stage.rung, "the alert")
            assert f"{FUTURES}: no answer" in text(stage, "service_off")
            await stage.recovered(since_s, "muted for 6 s")
            await stage.until(lambda: not stage.rung, "the alert is over")

            say(f"mute: {await stage.reckoned()}")
            assert (stage.connection.connections, stage.gaps()) == (1, [])

    run(check())


def test_a_muted_login_wedges_nothing(tmp_path: Path) -> None:
    """A new connection for each login that is not answered, until one is."""

    async def check() -> None:
        async with live(tmp_path) as stage:
            await stage.begun()
            await stage.play("mute", service="ADMIN", command="LOGIN", for_s=3.0)
            since_s = time.monotonic()
            await stage.play("notice", code=30)
            await stage.until(lambda: "unanswered" in stage.connection.detail, "it is told")
            await stage.recovered(since_s, "login muted for 3 s")

            say(f"muted login: {await stage.reckoned()}")
            assert not stage.rung
            assert len(stage.gaps()) == 1

    run(check())


@pytest.mark.parametrize("verb", ["evict", "notice"])
def test_a_stream_that_another_program_took_is_not_fought_for(tmp_path: Path, verb: str) -> None:
    """Code 12: it stands still, says so, and a person may take it back."""

    async def check() -> None:
        fields: dict[str, Any] = {"code": 12} if verb == "notice" else {}
        async with live(tmp_path) as stage:
            await stage.begun()
            with pytest.raises(NotTakenError):
                await stage.connection.take_back()
            await stage.play(verb, **fields)
            await stage.until(lambda: stage.connection.state == "taken", "it is told")
            assert stage.rung == {"stream_taken"}
            assert "code 12 CLOSE_CONNECTION" in text(stage, "stream_taken")
            logins = (await stage.state())["logins"]
            await asyncio.sleep(2.0)  # nothing may happen in it
            assert (await stage.state())["logins"] == logins
            assert await stage.connection.take_back() == "asked for"
            await stage.recovered(time.monotonic(), "taken back")
            say(f"{verb}: {await stage.reckoned()}")
            (gap,) = stage.gaps()
            assert gap.cause == "taken"
            assert not stage.rung

    run(check())


def test_a_dead_access_token_is_renewed_for_the_next_login(tmp_path: Path) -> None:
    """The stream lives on with it; a new connection needs a new one, and no person."""

    async def check() -> None:
        async with live(tmp_path) as stage:
            await stage.begun()
            await stage.play("expire")
            since_s = time.monotonic()
            await stage.play("notice", code=30)
            await stage.recovered(since_s, "access token expired")

            say(f"expire: {await stage.reckoned()}")
            assert (await stage.state())["requests"]["token"] == {"200": 1}
            assert len(stage.gaps()) == 1

    run(check())


def test_a_token_endpoint_that_fails_makes_no_login_the_second_denied_one(tmp_path: Path) -> None:
    """While it gives no fresh token, logins with the dead one need time and no person."""

    async def check() -> None:
        async with live(tmp_path) as stage:
            await stage.begun()
            await stage.play("expire")
            await stage.play("reject", path="token", status=503, for_s=3.0)
            await stage.play("notice", code=30)
            await stage.over("reject")
            since_s = time.monotonic()
            await stage.recovered(since_s, "token endpoint back")

            say(f"token endpoint: {await stage.reckoned()}")
            assert stage.account.refused is None
            assert "auth_required" not in stage.rung
            assert len(stage.gaps()) == 1

    run(check())


def test_a_login_that_is_denied_with_a_fresh_token_too_waits_for_a_person(tmp_path: Path) -> None:
    """Code 3: one fresh token, one more login, and then none until a person signed in."""

    async def check() -> None:
        async with live(tmp_path, script=[Deny(for_s=6.0)]) as stage:
            stage.start()
            await stage.until(lambda: stage.account.refused, "it waits for a person")
            state = await stage.state()
            assert "code 3 LOGIN_DENIED" in stage.connection.detail
            assert (state["logins"], state["requests"]["token"]) == (0, {"200": 1})
            await stage.over("deny")
            assert (await stage.state())["connections"] == state["connections"]
            wrapped = stage.store.read()
            stage.store.write(wrapped | {"creation_timestamp": wrapped["creation_timestamp"] + 1})
            await stage.recovered(time.monotonic(), "signed in again")

            say(f"deny: {await stage.reckoned()}")

    run(check())
