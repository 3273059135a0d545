"""What a script makes of the market and of its vendor, and that it is part of both."""

import asyncio
import datetime
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_args

import httpx
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gex_pipeline.cli import gex
from gex_pipeline.errors import ScriptError
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import et_ns, next_trading_day
from gex_pipeline.simulator.acts import AnyAct, read_script
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.script import Script
from gex_pipeline.simulator.spots import Look
from gex_pipeline.simulator.valuation import COLUMN
from gex_pipeline_tests.simulator.serving import get, post, running, streamer

FRIDAY = datetime.date(2026, 11, 20)
MONDAY = next_trading_day(FRIDAY)
OPEN_NS = et_ns(FRIDAY, 9, 30)
SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
CONTRACTS = 400


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)


def staged(*acts: AnyAct, contracts: int = CONTRACTS) -> Market:
    """Return a small market of the OPEX Friday with a script."""
    script = Script()
    script.add(acts, OPEN_NS)
    return Market(1, contracts, script=script)


def act(verb: str, **fields: Any) -> AnyAct:
    """Return one act as JSON gives it."""
    return read_script(_json([{"verb": verb, **fields}]))[0]


def _json(value: object) -> bytes:
    return httpx.Request("POST", "http://x", json=value).content


def sheet(market: Market, ts_ns: int) -> tuple[Board, dict[str, Floats]]:
    """Return all options at a moment, by field."""
    board = market.board(ts_ns)
    values = market.options(board, np.arange(len(board)), ts_ns)
    return board, {name: values[:, place] for name, place in COLUMN.items()}


def look(market: Market, symbol: str, ts_ns: int) -> Look:
    """Return an instrument's market."""
    return market.spots.look(INSTRUMENTS[symbol], ts_ns)


def names(answer: httpx.Response) -> set[str]:
    """Return the contracts of a chain answer."""
    return {
        contract["symbol"]
        for side in ("callExpDateMap", "putExpDateMap")
        for strikes in answer.json()[side].values()
        for listed in strikes.values()
        for contract in listed
    }


# --- the market -----------------------------------------------------------------------------------


def test_a_jump_moves_all_prices_and_options_follow() -> None:
    """Down a fifth at 10:00, VIX up; options stand still for 30 s; the day's high is of before."""
    market = staged(act("jump", at="10:00", percent=-20, delay_s=30))
    usual, jumped_ns = Market(1, CONTRACTS), et_ns(FRIDAY, 10)

    for symbol in ("SPX", "SPY", "/ES", "NDX"):
        before = look(market, symbol, jumped_ns - 1)
        after = look(market, symbol, jumped_ns + SECOND_NS)
        assert before == look(usual, symbol, jumped_ns - 1)
        assert after.last == pytest.approx(
            0.8 * look(usual, symbol, jumped_ns + SECOND_NS).last, rel=1e-4
        )
        assert after.high > 1.2 * after.last
        assert after.low == pytest.approx(after.last, rel=1e-3)
    fear = look(market, "VIX", jumped_ns).last / look(usual, "VIX", jumped_ns).last
    assert fear == pytest.approx(0.8**-4, rel=1e-3)
    for late_ns, share in ((29 * SECOND_NS, 1.0), (30 * SECOND_NS, 0.8)):
        moved = sheet(market, jumped_ns + late_ns)[1]["spot"]
        assert moved == pytest.approx(share * sheet(usual, jumped_ns + late_ns)[1]["spot"])


def test_a_jump_lasts_and_the_next_date_lists_strikes_around_it() -> None:
    """On Monday SPX still stands a fifth higher, with strikes on both sides of it."""
    market = staged(act("jump", at="10:00", percent=20), contracts=2000)
    board = market.board(et_ns(MONDAY, 10))
    strikes = board.strike[board.under == 0]

    spot = look(market, "SPX", et_ns(MONDAY, 10)).last
    assert spot == pytest.approx(1.2 * look(Market(1), "SPX", et_ns(MONDAY, 10)).last, rel=1e-4)
    assert strikes.min() < spot < strikes.max()


def test_a_frozen_market_stands_still_and_goes_on_where_it_would_be() -> None:
    """Prices, volumes and quote times are those of its beginning; afterwards nothing is left."""
    market = staged(act("freeze", at="09:40", for_s=120))
    usual, frozen_ns = Market(1, CONTRACTS), et_ns(FRIDAY, 9, 40)

    for later_ns in (0, 119 * SECOND_NS):
        _, options = sheet(market, frozen_ns + later_ns)
        _, stood = sheet(usual, frozen_ns)
        assert all(np.array_equal(options[name], stood[name], equal_nan=True) for name in COLUMN)
        assert look(market, "/ES", frozen_ns + later_ns) == look(usual, "/ES", frozen_ns)
    for symbol in ("SPX", "SPY"):
        after_ns = frozen_ns + 120 * SECOND_NS
        assert look(market, symbol, after_ns) == look(usual, symbol, after_ns)


def test_the_basis_steps_and_the_front_rolls() -> None:
    """/ES costs 12 points more from 09:45 on, and is the March contract from 10:00 on."""
    market = staged(
        act("basis", at="09:45", symbols=["/ES"], points=12), act("roll", at="10:00", for_s=60)
    )
    usual = Market(1, CONTRACTS)
    es = INSTRUMENTS["/ES"]

    for ts_ns, points in ((et_ns(FRIDAY, 9, 44), 0.0), (et_ns(FRIDAY, 9, 45), 12.0)):
        assert market.spots.price(es, ts_ns) == usual.spots.price(es, ts_ns) + points
    rolled_ns = et_ns(FRIDAY, 10)
    assert market.spots.front(es, rolled_ns - 1).symbol == "/ESZ26"
    assert market.spots.front(es, rolled_ns).symbol == "/ESH27"
    assert market.spots.front(es, rolled_ns + MINUTE_NS).symbol == "/ESZ26"
    further = look(market, "/ES", rolled_ns).last - look(usual, "/ES", rolled_ns).last - 12
    assert 40 < further < 80  # a quarter of 3% a year on some 6,700 points


def test_contracts_are_born_and_vanish_and_the_others_stay_as_they_are() -> None:
    """New strikes, a new expiry and an adjusted root from 09:35 on; one strike is gone at 09:36."""
    usual = Market(1, CONTRACTS)
    soon = next(g for g in usual.board(OPEN_NS).groups if g.expiry.root == "SPXW")
    gone = float(usual.board(OPEN_NS).strike[soon.first])
    common = {"symbol": "SPX", "root": "SPXW"}
    market = staged(
        act("enlist", at="09:35", expiry=f"{soon.expiry.date}", strikes=[6651.25, gone], **common),
        act("enlist", at="09:35", expiry="2026-12-09", strikes=[6600, 6700], **common),
        act("delist", at="09:36", expiry=f"{soon.expiry.date}", strikes=[gone], **common),
    )
    born = {f"SPXW  {soon.expiry.date:%y%m%d}{right}06651250" for right in "CP"} | {
        f"SPXW  261209{right}0{strike}000" for right in "CP" for strike in (6600, 6700)
    }
    vanished = {f"SPXW  {soon.expiry.date:%y%m%d}{right}{gone * 1000:08.0f}" for right in "CP"}

    early, later, last = (
        set(market.board(et_ns(FRIDAY, 9, minute)).occ) for minute in (34, 35, 36)
    )
    assert early == set(usual.board(OPEN_NS).occ)
    assert later - early == born
    assert later - last == vanished
    board, options = sheet(market, et_ns(FRIDAY, 9, 35))
    before, same = sheet(usual, et_ns(FRIDAY, 9, 35))
    rows = np.array([board.row_of[name] for name in before.occ])
    for name in COLUMN:
        assert np.array_equal(options[name][rows], same[name], equal_nan=True), name
    fresh = np.array([board.row_of[name] for name in sorted(born)])
    assert not options["open_interest"][fresh].any()
    assert (options["ask"][fresh] > 0).all()
    assert sheet(market, et_ns(MONDAY, 10))[0].row_of.keys() >= born - {
        name for name in born if name[6:12] == "261120"
    }


def test_a_half_day_ends_at_one(tmp_path: Path) -> None:
    """The day after Thanksgiving funds stand still from 13:00 on and index options from 13:15."""
    market, half = Market(1, CONTRACTS), datetime.date(2026, 11, 27)

    assert look(market, "SPY", et_ns(half, 14)).ts_ms == et_ns(half, 13) // 10**6 - 1
    closed = sheet(market, et_ns(half, 14))[1]["quote_ms"]
    assert (closed == et_ns(half, 13, 15) // 10**6 - 1).all()
    board, options = sheet(market, et_ns(half, 13) + SECOND_NS)
    today = np.array([group.expiry.date == half for group in board.groups])[board.group]
    assert not options["ask"][today].any()
    assert options["ask"][~today].all()


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (b"{}", "Expected `array`"),
        (b'[{"verb": "dance"}]', "Invalid value 'dance'"),
        (b'[{"verb": "jump", "percent": -100}]', "less than 100"),
        (b'[{"verb": "jump", "percent": 1, "at": "noon"}]', "no time such as"),
        (b'[{"verb": "halt", "symbols": ["/CL"]}]', "is none of"),
        (
            b'[{"verb": "enlist", "symbol": "SPX", "root": "SPXW", "expiry": "2026-11-21"}]',
            "trading day",
        ),
    ],
)
def test_what_cannot_happen_is_refused(data: bytes, fact: str) -> None:
    """The error says what is wrong; nothing of the script is taken."""
    script = Script()
    with pytest.raises(ScriptError, match=fact):
        script.add(read_script(data), OPEN_NS)
    assert script.spans == ()


# --- the vendor -----------------------------------------------------------------------------------


def test_the_stream_and_chains_have_the_born_and_lose_the_vanished(tmp_path: Path) -> None:
    """Listed now: in chain, expirations and stream; what was told stays told; delisted: silent."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            before = names(await get(server, "/marketdata/v1/chains", symbol="$SPX"))
            told = len(before)
            fields = {"symbol": "SPX", "root": "SPXW", "expiry": "2027-02-03", "strikes": [6700]}
            assert (await post(server, "enlist", fields)).status_code == 200
            dump = (await get(server, "/control/dump", symbol="SPX")).json()
            assert dump["numberOfContracts"] == told
            after = names(await get(server, "/marketdata/v1/chains", symbol="$SPX"))
            assert after - before == {"SPXW  270203C06700000", "SPXW  270203P06700000"}
            dates = (await get(server, "/marketdata/v1/expirationchain", symbol="$SPX")).json()
            assert "2027-02-03" in {day["expirationDate"] for day in dates["expirationList"]}
            async with streamer(server) as client:
                await client.login()
                keys = ",".join(sorted(after - before))
                await client.ask("LEVELONE_OPTIONS", "SUBS", keys=keys, fields="0,2,3,38")
                await client.listen(4)
                await post(server, "delist", fields)
                await client.ask("LEVELONE_OPTIONS", "SUBS", keys=keys, fields="0,2,3,38")
                client.data.clear()
                await asyncio.sleep(0.3)
                assert client.items() == []
            assert names(await get(server, "/marketdata/v1/chains", symbol="$SPX")) == before

    run(check())


def test_an_adjusted_contract_is_answered_as_such_and_dropped_with_its_count(
    tmp_path: Path,
) -> None:
    """A root with a digit, 150 shares: nonStandard in the chain, no row of ours."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            listed = read_chain((await get(server, "/marketdata/v1/chains", symbol="SPY")).content)
            await post(
                server,
                "enlist",
                {
                    "symbol": "SPY",
                    "root": "SPY1",
                    "expiry": "2026-12-18",
                    "strikes": [650, 660],
                    "deliverable": 150,
                },
            )
            answer = await get(server, "/marketdata/v1/chains", symbol="SPY")
            odd = [
                contract
                for strikes in answer.json()["callExpDateMap"].values()
                for each in strikes.values()
                for contract in each
                if contract["nonStandard"]
            ]
            assert [contract["optionRoot"] for contract in odd] == ["SPY1", "SPY1"]
            assert odd[0]["optionDeliverablesList"][0]["deliverableUnits"] == 150
            chain = read_chain(answer.content)
            assert chain.dropped == {"adjusted": 4}
            assert len(chain) == len(listed)

    run(check())


def test_failing_and_shortened_windows(tmp_path: Path) -> None:
    """Answers with a failing expiry are refused, others come; a cut one has half and says so."""

    async def check() -> None:
        script = [
            act("fail", symbol="SPX", first="2026-11-24", last="2026-11-24", status=500),
            act("shorten", symbol="SPY"),
        ]
        opened_ns = OPEN_NS + MINUTE_NS
        async with running(tmp_path, contracts=CONTRACTS, script=script, start=opened_ns) as server:
            path, near = "/marketdata/v1/chains", {"toDate": "2026-11-23"}
            assert (await get(server, path, symbol="$SPX")).status_code == 500
            assert (await get(server, path, symbol="$SPX", **near)).status_code == 200
            assert (await get(server, path, symbol="$NDX")).status_code == 200
            cut = await get(server, path, symbol="SPY")
            assert cut.json()["isChainTruncated"] is True
            assert read_chain(cut.content).dropped == {"truncated": 1}
            state = (await get(server, "/control/state")).json()
            assert state["acts"] == ["fail", "shorten"]
            await post(server, "fail", {"symbol": "NDX"})
            assert (await get(server, path, symbol="$NDX")).status_code == 502
            assert len((await get(server, "/control/script")).json()) == 3

    run(check())


def test_halted_futures_are_silent_while_their_micros_go_on(tmp_path: Path) -> None:
    """No image and no update of /ES and /NQ; quotes do not know them; /MES and /MNQ stream."""

    async def check() -> None:
        script = [act("halt", symbols=["/ES", "/NQ"])]
        async with running(tmp_path, contracts=CONTRACTS, script=script) as server:
            answer = await get(server, "/marketdata/v1/quotes", symbols="/ES,/MES")
            assert answer.json()["errors"] == {"invalidSymbols": ["/ES"]}
            async with streamer(server) as client:
                await client.login()
                keys = "/ES,/MES,/NQ,/MNQ"
                await client.ask("LEVELONE_FUTURES", "SUBS", keys=keys, fields="0,1,2,3,34")
                await client.listen(12)
                assert {key for key, _ in client.items()} == {"/MES", "/MNQ"}

    run(check())


def test_a_cut_stream_is_refused_until_its_end(tmp_path: Path) -> None:
    """The socket closes, the next is not taken, and after it one streams again."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS, speed=60.0) as server:
            async with streamer(server) as client:
                await client.login()
                await client.ask("LEVELONE_EQUITIES", "SUBS", keys="SPY", fields="0,1,2,3")
                await client.listen(2)
                await post(server, "cut", {"for_s": 60})
                with pytest.raises(ConnectionClosed):
                    await client.listen(1000)
            with pytest.raises(InvalidStatus):
                async with streamer(server):
                    pass
            await asyncio.sleep(1.1)
            async with streamer(server) as client:
                assert (await client.login())[0] == 0

    run(check())


def test_a_silent_stream_stays_open_and_says_nothing(tmp_path: Path) -> None:
    """No data, no heartbeat, no answer, and nothing in the send log; then it goes on."""

    async def check() -> None:
        pace = Pace(400, heartbeat_s=0.1)
        async with (
            running(tmp_path, contracts=CONTRACTS, pace=pace) as server,
            streamer(server) as client,
        ):
            await client.login()
            await client.ask("LEVELONE_EQUITIES", "SUBS", keys="SPY,QQQ", fields="0,1,2,3")
            await client.listen(4)
            await post(server, "silence", {"for_s": 1.5})
            await asyncio.sleep(0.2)
            while True:
                try:
                    await asyncio.wait_for(client.socket.recv(), 0.05)
                except TimeoutError:
                    break
            sent = (await get(server, "/control/state")).json()["items_sent"]
            await client.socket.send('{"requests": []}')
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.socket.recv(), 0.6)
            assert (await get(server, "/control/state")).json()["items_sent"] == sent
            await client.listen(len(client.items()) + 2)

    run(check())


def test_a_script_comes_from_a_file_and_a_bad_one_is_told(tmp_path: Path) -> None:
    """`gex simulate --script` refuses what it cannot play, with exit code 2 and the fact."""
    path = tmp_path / "faults.json"
    path.write_text('[{"verb": "jump"}]')
    result = CliRunner().invoke(gex, ["simulate", "--script", str(path)])

    assert result.exit_code == 2
    assert "missing required field `percent`" in result.output


def test_the_control_refuses_with_the_fact(tmp_path: Path) -> None:
    """A verb with wrong fields is a 400 that names them; nothing happens."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            refused = await post(server, "jump", {"percent": "far"})
            assert refused.status_code == 400
            assert "$.percent" in refused.json()["errors"][0]["detail"]
            assert (await get(server, "/control/script")).json() == []

    run(check())


@pytest.mark.parametrize("kind", get_args(AnyAct), ids=lambda kind: kind.__name__.lower())
def test_every_verb_is_documented_with_its_fields(kind: type[AnyAct]) -> None:
    """The table that a refused script's error names has a row for it."""
    commands = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    rows = [line for line in commands.splitlines() if line.startswith("| `")]
    (row,) = [line for line in rows if line.startswith(f"| `{kind.__name__.lower()}` |")]
    told = {field.strip(" `") for field in row.split("|")[2].split(",")} - {""}
    fields = {field.name for field in msgspec.structs.fields(kind)}
    assert told == fields - {"at", "for_s"}
