"""What a script makes of the vendor: its stream's answers and frames, its REST, its tokens."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from gex_pipeline.errors import ScriptError
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.simulator.acts import read_script
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.script import Script
from gex_pipeline.simulator.server import SimulatedServer
from gex_pipeline_tests.simulator.serving import Streamer, get, post, running, sent, streamer
from gex_pipeline_tests.simulator.test_script import FRIDAY, names

CONTRACTS = 400
SOON_S = 30
"""A limit for what comes within a moment on an idle machine."""
CHAINS, QUOTES = "/marketdata/v1/chains", "/marketdata/v1/quotes"
SPY = {"keys": "SPY,QQQ,$SPX", "fields": "0,1,2,3,8"}
BASIC = ("id", "secret")


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)


async def told(client: Streamer) -> None:
    """Sign in and take in the first images."""
    assert (await client.login())[0] == 0
    assert (await client.ask("LEVELONE_EQUITIES", "SUBS", **SPY))[0] == 0
    await client.listen(3)


async def ended(client: Streamer) -> ConnectionClosed:
    """Read to the end of the connection and return how it ended."""
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.listen(10**6), SOON_S)
    return closed.value


async def state(server: SimulatedServer) -> dict[str, Any]:
    """Return what the simulator says of itself."""
    answer: dict[str, Any] = (await get(server, "/control/state")).json()
    return answer


async def until(server: SimulatedServer, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for a state of the simulator."""
    async with asyncio.timeout(SOON_S):
        while True:
            if is_so(await state(server)):
                return
            await asyncio.sleep(0.05)


async def refresh(server: SimulatedServer, token: str, timeout_s: float = 5) -> httpx.Response:
    """Ask for a new access token."""
    form = {"grant_type": "refresh_token", "refresh_token": token}
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, auth=BASIC, timeout=timeout_s) as client:
        return await client.post("/v1/oauth/token", data=form)


def refresh_token(server: SimulatedServer) -> str:
    """Return the refresh token of the file that the simulator wrote."""
    wrapped = json.loads((server.root / "tokens" / "schwab_token.json").read_text())
    token: str = wrapped["token"]["refresh_token"]
    return token


# --- requests to the stream -----------------------------------------------------------------------


def test_a_denied_login_is_code_3_and_the_end(tmp_path: Path) -> None:
    """With a good token too; afterwards it is good again."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS, speed=60.0) as server:
            await post(server, "deny", {"for_s": 240})
            async with streamer(server) as client:
                assert (await client.login())[0] == 3
                assert isinstance(await ended(client), ConnectionClosedOK)
            await until(server, lambda now: not now["acts"])
            async with streamer(server) as client:
                assert (await client.login())[0] == 0
            assert (await state(server))["logins"] == 1

    run(check())


@pytest.mark.parametrize("code", [11, 19, 21, 22, 24])
def test_a_refused_request_changes_nothing(tmp_path: Path, code: int) -> None:
    """It is answered with the code, once or twice; another service's is served; it stays open."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await told(client)
            where = {"service": "LEVELONE_FUTURES", "command": "ADD"}
            await post(server, "refuse", {"code": code, "twice": True, **where})
            ask = {"keys": "/ES", "fields": "0,1,2,3"}
            assert (await client.ask("LEVELONE_FUTURES", "ADD", **ask))[0] == code
            assert await client.response() == (24, "ADD command failed")
            assert (await state(server))["subscribed"] == {
                "LEVELONE_EQUITIES": ["SPY", "QQQ", "$SPX"]
            }
            assert (await client.ask("LEVELONE_FUTURES", "SUBS", **ask))[0] == 0
            await client.listen(len(client.items()) + 3)

    run(check())


@pytest.mark.parametrize("code", [9, 20])
def test_codes_9_and_20_close_the_socket_unless_told_otherwise(tmp_path: Path, code: int) -> None:
    """As Schwab is believed to; `close` decides it either way."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await told(client)
            await post(server, "refuse", {"code": code, "close": False, "command": "VIEW"})
            assert (await client.ask("LEVELONE_EQUITIES", "VIEW", **SPY))[0] == code
            await post(server, "refuse", {"code": code, "command": "ADD"})
            assert (await client.ask("LEVELONE_EQUITIES", "ADD", **SPY))[0] == code
            await ended(client)

    run(check())


def test_codes_26_to_29_are_success(tmp_path: Path) -> None:
    """The request is carried out, and images and updates follow."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await post(server, "refuse", {"code": 26, "command": "SUBS"})
            await client.login()
            answer = await client.ask("LEVELONE_EQUITIES", "SUBS", **SPY)
            assert answer == (26, "SUBS command succeeded")
            await client.listen(6)
            assert (await state(server))["subscribed"] == {
                "LEVELONE_EQUITIES": ["SPY", "QQQ", "$SPX"]
            }

    run(check())


def test_a_muted_request_is_lost_and_data_go_on(tmp_path: Path) -> None:
    """No answer and no subscription; what was subscribed is told on; LOGIN has to be named."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await post(server, "mute", {"service": "LEVELONE_FUTURES"})
            await told(client)
            lost = client.ask("LEVELONE_FUTURES", "SUBS", keys="/ES", fields="0,1,2,3")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lost, 1.0)
            await client.listen(len(client.items()) + 3)
            assert "LEVELONE_FUTURES" not in (await state(server))["subscribed"]
            await post(server, "mute", {"command": "LOGIN"})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.login(), 1.0)

    run(check())


def test_every_answer_comes_twice(tmp_path: Path) -> None:
    """LOGIN's, a subscription's and the last one's."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await post(server, "echo")
            assert await client.login() == await client.response()
            first = await client.ask("LEVELONE_EQUITIES", "SUBS", **SPY)
            assert first == await client.response() == (0, "SUBS command succeeded")
            assert (await client.ask("ADMIN", "LOGOUT"))[0] == (await client.response())[0] == 0
            await ended(client)

    run(check())


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "text"), [(12, ""), (30, "Stop streaming due to slow reader")])
def test_a_notice_ends_the_connection_of_the_moment_once(
    tmp_path: Path, code: int, text: str
) -> None:
    """It says why and closes; the next connection is left alone."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            async with streamer(server) as client:
                await told(client)
                await post(server, "notice", {"code": code, "text": text})
                noticed = await client.notice()
                assert noticed[0] == code
                assert noticed[1] == text or "another connection" in noticed[1]
                await ended(client)
            async with streamer(server) as client:
                await told(client)
                await client.listen(12)

    run(check())


def test_an_eviction_is_code_12_and_the_next_login_is_served(tmp_path: Path) -> None:
    """The newest wins, who ever that is."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            async with streamer(server) as client:
                await told(client)
                await post(server, "evict", {"for_s": 60})
                assert (await client.notice())[0] == 12
                await ended(client)
            async with streamer(server) as client:
                await told(client)
                await client.listen(12)

    run(check())


def test_a_torn_connection_ends_within_a_frame(tmp_path: Path) -> None:
    """Half of a frame, then a reset: no close frame; what was lost is marked in the send log."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            async with streamer(server) as client:
                await told(client)
                await post(server, "tear")
                with pytest.raises(ConnectionClosedError) as closed:
                    await client.listen(10_000)
                assert closed.value.rcvd is None
                received = client.items()
            async with streamer(server) as client:
                await told(client)
                await client.listen(12)
            lines = sent(server)
            whole = [
                (line["key"], line["fields"])
                for line in lines
                if line["stream"] == 1 and "fault" not in line
            ]
            assert whole == received
            assert {line.get("fault") for line in lines} <= {None, "tear"}

    run(check())


# --- frames of data -------------------------------------------------------------------------------


def test_garbled_frames_are_cut_json_and_marked(tmp_path: Path) -> None:
    """About a share of the frames does not parse; the others and the log's unmarked lines agree."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await told(client)
            await post(server, "garble", {"share": 0.5})
            await until(server, lambda now: now["items_sent"] > 200)
            await post(server, "notice", {"code": 30})
            cut = 0
            async for text in client.socket:
                try:
                    client.data += json.loads(text).get("data", [])
                except json.JSONDecodeError:
                    cut += 1
            assert cut > 5
            lines = sent(server)
            whole = [(line["key"], line["fields"]) for line in lines if "fault" not in line]
            assert whole == client.items()
            assert {line.get("fault") for line in lines} == {None, "garble"}

    run(check())


def test_bulky_frames_are_over_a_mebibyte_and_the_same(tmp_path: Path) -> None:
    """Spaces within the JSON; what they say is what the log says."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await told(client)
            await post(server, "bulk", {"bytes": 1_200_000})
            async with asyncio.timeout(SOON_S):
                while len(text := await client.socket.recv()) < 1_200_000:
                    client.data += json.loads(text).get("data", [])
            client.data += json.loads(text)["data"]
            lines = [(line["key"], line["fields"]) for line in sent(server)]
            assert lines[: len(client.items())] == client.items()

    run(check())


def test_lagging_frames_come_late_and_in_order(tmp_path: Path) -> None:
    """Heartbeats are ahead of data; afterwards nothing is missing and no frame overtook another."""

    async def check() -> None:
        pace = Pace(400, heartbeat_s=0.1)
        async with (
            running(tmp_path, contracts=CONTRACTS, pace=pace) as server,
            streamer(server) as client,
        ):
            await told(client)
            await post(server, "lag", {"by_s": 1.0, "for_s": 2})
            late_ms, beat_ms = 0, 0
            async with asyncio.timeout(SOON_S):
                while late_ms < 700:
                    frame = json.loads(await client.socket.recv())
                    client.data += frame.get("data", [])
                    for beat in frame.get("notify", []):
                        beat_ms = int(beat["heartbeat"])
                    for told_of in frame.get("data", []):
                        late_ms = beat_ms - told_of["timestamp"]
            await client.listen(len(client.items()) + 60)
            stamps = [frame["timestamp"] for frame in client.data]
            assert stamps == sorted(stamps)
            lines = [(line["key"], line["fields"]) for line in sent(server)]
            assert lines[: len(client.items())] == client.items()

    run(check())


def test_shuffled_frames_are_swapped_and_none_is_missing(tmp_path: Path) -> None:
    """Each second one is ahead of the one before it, with the times they had; the log has it so."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await told(client)
            await post(server, "shuffle")
            await client.listen(80)
            stamps = [frame["timestamp"] for frame in client.data]
            assert stamps != sorted(stamps)
            lines = [(line["key"], line["fields"]) for line in sent(server)]
            assert lines[: len(client.items())] == client.items()

    run(check())


# --- REST and OAuth -------------------------------------------------------------------------------


def test_rejected_requests(tmp_path: Path) -> None:
    """429 with Retry-After, 500, Akamai's page; of one path, of market data, of the token's."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            await post(server, "reject", {"path": "quotes", "status": 500})
            await post(server, "reject", {"retry_after_s": 7})
            assert (await get(server, QUOTES, symbols="SPY")).status_code == 500
            slow = await get(server, CHAINS, symbol="SPY")
            assert (slow.status_code, slow.headers["retry-after"]) == (429, "7")
            assert (await get(server, "/trader/v1/userPreference")).status_code == 200
            assert (await refresh(server, refresh_token(server))).status_code == 200
            await post(server, "reject", {"path": "token", "status": 429, "retry_after_s": 1})
            refused = await refresh(server, refresh_token(server))
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            await post(
                server,
                "reject",
                {"path": "userPreference", "status": 403, "html": True, "message": "<no>"},
            )
            page = await get(server, "/trader/v1/userPreference")
            assert page.status_code == 403
            assert page.headers["content-type"] == "text/html"
            assert "Access Denied" in page.text
            assert "<no>" not in page.text
            assert (await state(server))["requests"] == {
                "quotes": {"500": 1},
                "chains": {"429": 1},
                "userPreference": {"200": 1, "403": 1},
                "token": {"200": 1, "429": 1},
            }

    run(check())


@pytest.mark.parametrize("path", ["quotes", ""])
def test_a_stalled_request_waits_until_the_act_is_over(tmp_path: Path, path: str) -> None:
    """The client's own time-out is not the end of the server; later it answers."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS, speed=60.0) as server:
            await post(server, "stall", {"path": path, "for_s": 240})
            url = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=url, timeout=0.3) as client:
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(QUOTES, params={"symbols": "SPY"})
            assert (await get(server, "/trader/v1/userPreference")).status_code == 200
            assert (await get(server, QUOTES, symbols="SPY")).status_code == 200
            assert (await state(server))["requests"]["quotes"] == {"200": 1}

    run(check())


def test_a_stalled_token_endpoint(tmp_path: Path) -> None:
    """Named, it hangs; market data do not."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            await post(server, "stall", {"path": "token"})
            assert (await get(server, QUOTES, symbols="SPY")).status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                await refresh(server, refresh_token(server), timeout_s=0.3)
            assert "token" not in (await state(server))["requests"]

    run(check())


def test_expired_access_tokens_are_refused_and_new_ones_are_good(tmp_path: Path) -> None:
    """401 at REST and code 3 at LOGIN; a refresh heals it."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            assert (await get(server, QUOTES, symbols="SPY")).status_code == 200
            await post(server, "expire")
            refused = await get(server, QUOTES, symbols="SPY")
            assert refused.status_code == 401
            assert refused.json()["errors"][0]["detail"] == "Client not authorized"
            assert (await client.login())[0] == 3
            fresh = (await refresh(server, refresh_token(server))).json()["access_token"]
            async with streamer(server) as again:
                again.token = fresh
                assert (await again.login())[0] == 0

    run(check())


def test_revoked_refresh_tokens_are_dead_and_a_new_consent_is_good(tmp_path: Path) -> None:
    """Schwab's own 400; the access token lives on; after a roll of the market it is dead still."""

    async def check() -> None:
        start = et_ns(FRIDAY, 15, 59) + 57 * 10**9
        async with running(tmp_path, contracts=CONTRACTS, start=start) as server:
            old = refresh_token(server)
            await post(server, "revoke")
            dead = await refresh(server, old)
            assert dead.status_code == 400
            assert dead.json()["error"] == "unsupported_token_type"
            assert "refresh_token_authentication_error" in dead.json()["error_description"]
            assert (await get(server, QUOTES, symbols="SPY")).status_code == 200
            url = f"http://127.0.0.1:{server.port}"
            asked = {
                "response_type": "code",
                "client_id": BASIC[0],
                "redirect_uri": "https://127.0.0.1:8182",
            }
            async with httpx.AsyncClient(base_url=url, auth=BASIC) as client:
                back = await client.get("/v1/oauth/authorize", params=asked | {"approve": "1"})
                code = httpx.URL(back.headers["location"]).params["code"]
                form = {"grant_type": "authorization_code", "code": code}
                consent = await client.post(
                    "/v1/oauth/token", data=form | {"redirect_uri": asked["redirect_uri"]}
                )
            new = consent.json()["refresh_token"]
            assert (await refresh(server, new)).status_code == 200
            await until(server, lambda now: now["market_ns"] > et_ns(FRIDAY, 17))
            assert (await refresh(server, old)).status_code == 400
            assert (await refresh(server, new)).status_code == 200

    run(check())


# --- what is said of options ----------------------------------------------------------------------


def test_a_blank_weekend_and_void_greeks(tmp_path: Path) -> None:
    """Open interest 0 and greeks -999, in chains and stream; then they are known again."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS, speed=60.0) as server:
            usual = await get(server, CHAINS, symbol="$SPX")
            key = max(names(usual))
            fields = {"keys": key, "fields": "0,9,10,28,29"}
            async with streamer(server) as client:
                await client.login()
                await post(server, "blank")
                await post(server, "void", {"symbol": "SPX"})
                await client.ask("LEVELONE_OPTIONS", "SUBS", **fields)
                await client.listen(1)
            assert client.items()[0][1] == {"9": 0, "10": -999.0, "28": -999.0, "29": -999.0}
            contracts = every_contract(await get(server, CHAINS, symbol="$SPX"))
            assert {contract["openInterest"] for contract in contracts} == {0}
            assert {contract["volatility"] for contract in contracts} == {-999.0}
            assert {contract["gamma"] for contract in contracts} == {-999.0}
            others = every_contract(await get(server, CHAINS, symbol="SPY"))
            assert {contract["openInterest"] for contract in others} == {0}
            assert {contract["gamma"] for contract in others} != {-999.0}
            assert {contract["openInterest"] for contract in every_contract(usual)} != {0}

    run(check())


def every_contract(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the contracts of a chain answer."""
    return [
        contract
        for side in ("callExpDateMap", "putExpDateMap")
        for strikes in answer.json()[side].values()
        for listed in strikes.values()
        for contract in listed
    ]


@pytest.mark.parametrize(
    ("act", "fact"),
    [
        ({"verb": "refuse", "code": 11, "service": "LEVELTWO"}, "is none of ADMIN, LEVELONE"),
        ({"verb": "refuse", "code": 11, "command": "GET"}, "is none of LOGIN"),
        ({"verb": "refuse", "code": 5}, "none of the codes 9"),
        ({"verb": "refuse", "code": 26, "command": "LOGIN"}, "subscriptions only"),
        ({"verb": "mute", "service": "CHART"}, "is none of"),
        ({"verb": "reject", "path": "orders"}, "is none of chains"),
        ({"verb": "reject", "status": 200}, "`int` >= 400"),
        ({"verb": "stall", "path": "/chains"}, "is none of chains"),
        ({"verb": "garble", "share": 2}, "`float` <= 1"),
        ({"verb": "lag", "by_s": 0}, "`float` > 0"),
        ({"verb": "void", "symbol": "VIX"}, "is none of SPX"),
        ({"verb": "notice"}, "required field `code`"),
    ],
)
def test_mishaps_that_cannot_be_are_refused(act: dict[str, object], fact: str) -> None:
    """The error names what there is."""
    script = Script()
    with pytest.raises(ScriptError, match=fact):
        script.add(read_script(json.dumps([act]).encode()), et_ns(FRIDAY, 10))
    assert script.spans == ()
