"""The server on one port: codes, send log, clock, tokens, and a clean end."""

import asyncio
import base64
import datetime
import hashlib
import json
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from gex_pipeline.errors import PortError, SimulatorHeldError, SimulatorStateError
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline.market.clock import MarketClock, clock_from_mapping
from gex_pipeline.market.sessions import et_datetime, et_ns
from gex_pipeline.simulator import timeline
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.server import SimulatedServer
from gex_pipeline.simulator.timeline import Timeline, opening_ns
from gex_pipeline_tests.simulator.serving import get, running, sent, streamer

FRIDAY = datetime.date(2026, 11, 20)
MONDAY = datetime.date(2026, 11, 23)
FRIDAY_NOON_UTC_NS = et_ns(FRIDAY, 3)
SECOND_NS = 10**9
DUMPED = (
    "bid",
    "ask",
    "totalVolume",
    "openInterest",
    "volatility",
    "gamma",
    "quoteTimeInLong",
)
OPTION_FIELDS = "0,2,3,8,9,10,29,35,38"


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)


async def chain_symbols(server: SimulatedServer, symbol: str = "$SPX") -> list[str]:
    """Return the option symbols of a chain."""
    answer = (await get(server, "/marketdata/v1/chains", symbol=symbol)).json()
    return [
        contract["symbol"]
        for strikes in answer["putExpDateMap"].values()
        for listed in strikes.values()
        for contract in listed
    ]


# --- streamer -------------------------------------------------------------------------------------


def test_the_send_log_is_what_was_received(tmp_path: Path) -> None:
    """Every item of a stream stands in the log, in order and with the same fields."""

    async def check() -> None:
        async with running(tmp_path) as server:
            names = await chain_symbols(server)
            async with streamer(server) as client:
                assert await client.login() == (0, "server=simulator-1;status=NP")
                await client.ask(
                    "LEVELONE_OPTIONS", "SUBS", keys=",".join(names[:300]), fields=OPTION_FIELDS
                )
                await client.ask(
                    "LEVELONE_EQUITIES", "SUBS", keys="$SPX,SPY", fields="0,1,2,3,8,35"
                )
                await client.ask("LEVELONE_FUTURES", "SUBS", keys="/ES,/NQ", fields="0,1,2,3,34")
                await client.listen(600)
                await client.ask("ADMIN", "LOGOUT")
                received = client.items()
            lines = sent(server)
        logged = [(line["key"], line["fields"]) for line in lines if line["service"] != "CHAIN"]
        assert logged == received
        assert next(line for line in lines if line["service"] == "CHAIN")["fields"]["contracts"] > 0

    run(check())


def test_a_full_image_comes_first_then_changed_fields_only(tmp_path: Path) -> None:
    """No field is told twice with the same value; the image has every field asked for."""

    async def check() -> None:
        async with running(tmp_path) as server:
            names = await chain_symbols(server, "SPY")
            async with streamer(server) as client:
                await client.login()
                await client.ask(
                    "LEVELONE_OPTIONS", "SUBS", keys=",".join(names[-50:]), fields=OPTION_FIELDS
                )
                await client.listen(200)
                items = client.items("LEVELONE_OPTIONS")
        told: dict[str, dict[str, Any]] = {}
        for key, fields in items:
            if key not in told:
                assert set(fields) == set(OPTION_FIELDS.split(",")[1:])
            known = told.setdefault(key, {})
            assert all(known.get(name) != value for name, value in fields.items())
            known |= fields

    run(check())


def test_codes_of_the_guide(tmp_path: Path) -> None:
    """20 before LOGIN, 11, 21, 19 answered twice, 0 for UNSUBS and VIEW, 3 for a bad token."""

    async def check() -> None:
        async with running(tmp_path, pace=Pace(400, symbol_limit=3)) as server:
            async with streamer(server) as client:
                subs = {"keys": "SPY", "fields": "0,3"}
                assert (await client.ask("LEVELONE_EQUITIES", "SUBS", **subs))[0] == 20
                await client.login()
                assert (await client.ask("TIMESALE_OPTIONS", "SUBS", **subs))[0] == 11
                assert (await client.ask("LEVELONE_EQUITIES", "SUBS", keys="A", fields="x"))[
                    0
                ] == 21
                many = {"keys": "SPY,QQQ,$SPX,$VIX", "fields": "0,3"}
                assert (await client.ask("LEVELONE_EQUITIES", "ADD", **many))[0] == 19
                assert (await client.response())[0] == 24
                for command in ("SUBS", "VIEW", "UNSUBS"):
                    assert (await client.ask("LEVELONE_EQUITIES", command, **subs))[0] == 0
                await client.socket.send("{not json")
                assert (await client.response())[0] == 21
            async with streamer(server) as client:
                client.token = "sim-access.1.x..0"  # noqa: S105 # forged
                assert (await client.login())[0] == 3
                with pytest.raises(ConnectionClosed):
                    await client.socket.recv()

    run(check())


def test_a_second_login_evicts_the_first(tmp_path: Path) -> None:
    """The first gets code 12 and is closed; the second streams."""

    async def check() -> None:
        async with running(tmp_path) as server, streamer(server) as first:
            await first.login()
            await first.ask("LEVELONE_EQUITIES", "SUBS", keys="SPY", fields="0,3")
            async with streamer(server) as second:
                await second.login()
                code, text = await first.notice()
                assert code == 12
                assert "another connection" in text
                with pytest.raises(ConnectionClosed):
                    await first.socket.recv()
                await second.ask("LEVELONE_EQUITIES", "SUBS", keys="SPY", fields="0,1,2,3")
                await second.listen(3)

    run(check())


def test_idle_connections_are_closed_and_heartbeats_come(tmp_path: Path) -> None:
    """Without subscriptions: heartbeats, then code 30 and the end."""

    async def check() -> None:
        pace = Pace(400, heartbeat_s=0.1, idle_s=0.6)
        async with running(tmp_path, pace=pace) as server, streamer(server) as client:
            await client.login()
            beat = json.loads(await client.socket.recv())
            assert int(beat["notify"][0]["heartbeat"]) > 0
            assert (await client.notice())[0] == 30
            with pytest.raises(ConnectionClosed):
                await client.socket.recv()

    run(check())


def test_a_request_above_65535_bytes_closes_the_socket(tmp_path: Path) -> None:
    """As Schwab does; one just below is served."""

    async def check() -> None:
        async with running(tmp_path) as server, streamer(server) as client:
            await client.login()
            keys = ",".join(["SPXW  261123C07050000"] * 2800)
            assert (await client.ask("LEVELONE_OPTIONS", "SUBS", keys=keys, fields="0"))[0] == 0
            with pytest.raises(ConnectionClosed):
                await client.ask("LEVELONE_OPTIONS", "SUBS", keys=keys + keys[:9000], fields="0")

    run(check())


# --- REST -----------------------------------------------------------------------------------------


def test_the_dump_is_what_a_receiver_holds(tmp_path: Path) -> None:
    """Held still, the told chain has each contract's newest sent values, and the index's last."""

    async def check() -> None:
        async with running(tmp_path) as server, streamer(server) as client:
            names = await chain_symbols(server)
            url = f"http://127.0.0.1:{server.port}/control"
            await client.login()
            await client.ask("LEVELONE_EQUITIES", "SUBS", keys="$SPX", fields="0,3,35")
            await client.ask(
                "LEVELONE_OPTIONS", "SUBS", keys=",".join(names[:200]), fields=OPTION_FIELDS
            )
            await client.listen(500)
            async with httpx.AsyncClient() as control:
                held = (await control.post(f"{url}/hold")).json()
                dump = (await control.get(f"{url}/dump", params={"symbol": "SPX"})).json()
                now = await control.get(f"{url}/dump", params={"symbol": "SPX", "view": "now"})
            await client.listen(held["items_sent"] - 1)  # one line of the log is the chain
            told: dict[str, dict[str, Any]] = {}
            for key, fields in client.items():
                told.setdefault(key, {}).update(fields)
        assert dump["underlyingPrice"] == told["$SPX"]["3"]
        rows = {
            contract["symbol"]: contract
            for strikes in dump["putExpDateMap"].values()
            for listed in strikes.values()
            for contract in listed
        }
        for name in names[:200]:
            expected = [told[name][field] for field in ("2", "3", "8", "9", "10", "29", "38")]
            assert [rows[name][field] for field in DUMPED] == expected
        assert len(read_chain(now.content)) == len(read_chain(json.dumps(dump).encode()))

    run(check())


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"symbol": "$SPX", "strikeCount": "2", "contractType": "CALL"}, 200),
        ({"symbol": "NOPE"}, 400),
        ({"symbol": "$SPX", "fromDate": "2020-01-01"}, 400),
        ({"symbol": "$SPX", "contractType": "BOTH"}, 400),
        ({"symbol": "$SPX", "range": "ITM"}, 400),
    ],
)
def test_chain_parameters(tmp_path: Path, query: dict[str, str], status: int) -> None:
    """What is known filters; what is wrong, past or not simulated is refused by name."""

    async def check() -> None:
        async with running(tmp_path) as server:
            answer = await get(server, "/marketdata/v1/chains", **query)
        assert answer.status_code == status
        if status == 200:
            assert not answer.json()["putExpDateMap"]
            assert all(len(k) <= 4 for k in answer.json()["callExpDateMap"].values())

    run(check())


def test_market_data_needs_a_token_and_tokens_age(tmp_path: Path) -> None:
    """401 without a token and after 30 minutes; after 7 days the refresh token is dead too."""

    async def check() -> None:
        now = [FRIDAY_NOON_UTC_NS]
        async with running(tmp_path, wall=lambda: now[0]) as server:
            wrapped = json.loads((tmp_path / "tokens" / "schwab_token.json").read_text())
            refresh = {
                "grant_type": "refresh_token",
                "refresh_token": wrapped["token"]["refresh_token"],
            }
            base = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=base, auth=("id", "secret")) as client:
                assert (
                    await get(server, "/marketdata/v1/quotes", symbols="SPY")
                ).status_code == 200
                assert (await client.get("/marketdata/v1/quotes")).status_code == 401
                now[0] += 1800 * SECOND_NS
                assert (
                    await get(server, "/marketdata/v1/quotes", symbols="SPY")
                ).status_code == 401
                assert (await client.post("/v1/oauth/token", data=refresh)).status_code == 200
                now[0] += 7 * 86_400 * SECOND_NS
                dead = await client.post("/v1/oauth/token", data=refresh)
        assert dead.status_code == 400
        assert dead.json()["error"] == "unsupported_token_type"
        assert "refresh_token_authentication_error" in dead.json()["error_description"]

    run(check())


def test_consent_code_and_pkce(tmp_path: Path) -> None:
    """The page, the redirect with code and state, the exchange: once, and for its verifier only."""

    async def check() -> None:
        async with running(tmp_path) as server:
            base = f"http://127.0.0.1:{server.port}"
            digest = hashlib.sha256(b"verifier").digest()
            query = {
                "response_type": "code",
                "client_id": "id",
                "redirect_uri": "https://127.0.0.1:8182",
                "state": "<s>",
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            }
            async with httpx.AsyncClient(base_url=base, auth=("id", "secret")) as client:
                page = await client.get("/v1/oauth/authorize", params=query)
                approved = await client.get("/v1/oauth/authorize", params=query | {"approve": "1"})
                back = parse_qs(urlsplit(approved.headers["location"]).query)
                form = {
                    "grant_type": "authorization_code",
                    "code": back["code"][0],
                    "redirect_uri": query["redirect_uri"],
                }
                good = await client.post(
                    "/v1/oauth/token", data=form | {"code_verifier": "verifier"}
                )
                twice = await client.post(
                    "/v1/oauth/token", data=form | {"code_verifier": "verifier"}
                )
                elsewhere = await client.get(
                    "/v1/oauth/authorize", params=query | {"redirect_uri": "javascript:1"}
                )
        assert "SIMULATED" in page.text
        assert "<s>" not in page.text
        assert back["state"] == ["<s>"]
        assert set(good.json()) >= {"access_token", "refresh_token", "expires_in"}
        assert twice.json()["error"] == "invalid_grant"
        assert elsewhere.status_code == 400

    run(check())


# --- clock and process ----------------------------------------------------------------------------


def test_a_fresh_simulator_opens_at_0931_and_a_restart_goes_on(tmp_path: Path) -> None:
    """At any hour of the newest trading day; restarted, the clock has run on meanwhile."""

    async def check() -> None:
        clocks = []
        for _ in range(2):
            async with running(tmp_path, wall=lambda: FRIDAY_NOON_UTC_NS) as server:
                answer = await get(server, "/control/clock")
                clocks.append(clock_from_mapping(answer.json()))
                roll = clock_from_mapping((await get(server, "/control/roll")).json())
        assert clocks[0].anchor_event_ns == et_ns(FRIDAY, 9, 31)
        away_ns = clocks[1].anchor_mono_ns - clocks[0].anchor_mono_ns
        assert clocks[1].anchor_event_ns == clocks[0].anchor_event_ns + away_ns
        assert roll.anchor_event_ns == et_ns(MONDAY, 9, 31)
        assert clocks[1].mono_ns(et_ns(FRIDAY, 16)) == roll.anchor_mono_ns

    run(check())


def test_the_clock_rolls_at_each_close_in_order() -> None:
    """16:00 Friday is 09:31 Monday; early closes roll early; several rolls are none the less."""
    day_ns = 24 * 3600 * SECOND_NS
    clock = Timeline(MarketClock(opening_ns(FRIDAY), 0, 3600.0))
    mono_ns = (6 * 3600 + 29 * 60 + 3600) * SECOND_NS // 3600 + 1000

    assert et_datetime(clock.now_ns(mono_ns)).strftime("%a %H:%M") == "Mon 10:31"
    wednesday = datetime.date(2026, 11, 25)
    thanksgiving = Timeline(MarketClock(opening_ns(wednesday), 0, 86_400.0))
    assert et_datetime(thanksgiving.now_ns(day_ns // 86_400 * 7 // 24)).date() == datetime.date(
        2026, 11, 27
    )
    assert timeline.next_close_ns(et_ns(datetime.date(2026, 11, 27), 10)) == et_ns(
        datetime.date(2026, 11, 27), 13
    )


def test_a_new_session_opens_on_the_date_after_the_newest(tmp_path: Path) -> None:
    """After a session is over, or where the lake has later dates; `start` goes before all."""
    folder = tmp_path / "simulator"
    known = {"speed": 1.0, "today": FRIDAY, "mono_ns": 10**15}
    timeline.save(folder, MarketClock(opening_ns(FRIDAY), 0), 0)
    monday = timeline.resumed(folder, start_ns=None, **known)  # type: ignore[arg-type]
    assert monday.now_ns(10**15) == opening_ns(MONDAY)

    (tmp_path / "lake" / "trades" / "date=2026-12-01").mkdir(parents=True)
    later = timeline.resumed(folder, start_ns=None, **known)  # type: ignore[arg-type]
    assert later.now_ns(10**15) == opening_ns(datetime.date(2026, 12, 2))

    early = timeline.resumed(folder, start_ns=et_ns(FRIDAY, 3, 30), **known)  # type: ignore[arg-type]
    assert early.now_ns(10**15) == et_ns(FRIDAY, 3, 30)


def test_a_start_opens_once(tmp_path: Path) -> None:
    """Restarted with the same `start`, as supervision does, the session goes on."""

    async def check() -> None:
        start, clocks = et_ns(FRIDAY, 3, 30), []
        for _ in range(2):
            async with running(tmp_path, start=start) as server:
                clocks.append(clock_from_mapping((await get(server, "/control/clock")).json()))
        assert clocks[0].anchor_event_ns == start
        assert clocks[1].anchor_event_ns > start

    run(check())


def test_a_roll_keeps_the_stream_and_lists_new_contracts(tmp_path: Path) -> None:
    """Over 16:00 the connection stays, times jump to the next date, the expired fall silent."""

    async def check() -> None:
        start = et_ns(FRIDAY, 15, 59) + 58 * SECOND_NS
        async with running(tmp_path, start=start) as server, streamer(server) as client:
            names = await chain_symbols(server)
            expiring = [name for name in names if name[6:12] == "261120" and name[:4] == "SPXW"]
            lasting = [name for name in names if name[6:12] == "261123"]
            await client.login()
            keys = ",".join(expiring[:20] + lasting[:20])
            await client.ask("LEVELONE_OPTIONS", "SUBS", keys=keys, fields="0,2,3,38")
            await client.listen(1)
            while client.data[-1]["timestamp"] < et_ns(MONDAY, 9, 31) // 10**6:
                await client.listen(len(client.items()) + 1)
            client.data.clear()
            await client.listen(60)
            assert {key for key, _ in client.items()} <= set(lasting)
            assert set(await chain_symbols(server)) - set(names)

    run(check())


def test_it_ends_cleanly_and_owns_its_folder(tmp_path: Path) -> None:
    """One simulator per root; afterwards the port and the lock are free, files private."""

    async def check() -> None:
        async with running(tmp_path) as server:
            port = server.port
            assert (tmp_path / "simulator" / "port").read_text() == str(port)
            with pytest.raises(SimulatorHeldError):
                await SimulatedServer(0, root=tmp_path).run(asyncio.Event())
            with pytest.raises(PortError):
                await SimulatedServer(port, root=tmp_path / "other").run(asyncio.Event())
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
        for path in (tmp_path / "tokens" / "schwab_token.json", tmp_path / "simulator" / "secret"):
            assert path.stat().st_mode & 0o077 == 0

    run(check())


def test_a_damaged_clock_is_told(tmp_path: Path) -> None:
    """The error names the file and the cure."""
    (tmp_path / "simulator").mkdir()
    (tmp_path / "simulator" / "state.json").write_text("{}")

    with pytest.raises(SimulatorStateError, match="Remove that file"):
        asyncio.run(SimulatedServer(0, root=tmp_path, contracts=100).run(asyncio.Event()))
