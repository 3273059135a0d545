"""Services of the streamer beside level one of funds, futures and options."""

import asyncio
import json
import math
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK

from gex_pipeline.market.sessions import et_datetime, et_ns
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.services import (
    CHART_EQUITY,
    CHART_FUTURES,
    EQUITIES,
    FIELD_COUNT,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    NASDAQ_BOOK,
    NYSE_BOOK,
    OPTIONS,
    OPTIONS_BOOK,
)
from gex_pipeline.simulator.valuation import RATE
from gex_pipeline_tests.simulator.serving import Streamer, get, post, running, sent, streamer
from gex_pipeline_tests.simulator.test_script import FRIDAY, act, names

CONTRACTS = 400
SPX = "/marketdata/v1/chains"
START_NS = et_ns(FRIDAY, 10)
MINUTE_MS = 60_000
LAST_MS = START_NS // 10**6 + 7 * MINUTE_MS
FUTURE_OPTIONS = "./ESZ26C6700,./ESZ26P6700,./NQZ26C24500"


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)


def every(service: str) -> str:
    """Return all fields of a service."""
    return ",".join(map(str, range(FIELD_COUNT[service])))


async def subs(client: Streamer, service: str, keys: str, command: str = "SUBS") -> None:
    """Subscribe with all fields."""
    assert (await client.ask(service, command, keys=keys, fields=every(service)))[0] == 0


def by_key(items: list[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return items by key, in order."""
    keyed: dict[str, list[dict[str, Any]]] = {}
    for key, fields in items:
        keyed.setdefault(key, []).append(fields)
    return keyed


async def heard(client: Streamer, service: str, items: int) -> list[tuple[str, dict[str, Any]]]:
    """Listen until a service has told so many items."""
    while len(client.items(service)) < items:
        await client.listen(len(client.items()) + 1)
    return client.items(service)


def makers_add_up(level: dict[str, Any]) -> bool:
    """Whether the market makers of a level hold what it says."""
    held = [int(maker["1"]) for maker in level["3"]]
    return min(held) > 0 and (sum(held), len(held)) == (level["1"], level["2"])


# --- books ----------------------------------------------------------------------------------------


def test_a_fund_has_its_book_at_the_exchange_that_lists_it(tmp_path: Path) -> None:
    """Best price first, sizes of makers add up, and the top is the market's bid and ask."""

    async def check() -> None:
        market = Market(1, CONTRACTS)
        async with (
            running(tmp_path, contracts=CONTRACTS, start=START_NS) as server,
            streamer(server) as client,
        ):
            await client.login()
            for service in (NYSE_BOOK, NASDAQ_BOOK):
                await subs(client, service, "SPY,QQQ,NOPE")
            nyse = await heard(client, NYSE_BOOK, 4)
            nasdaq = await heard(client, NASDAQ_BOOK, 4)
            assert {key for key, _ in nyse} == {"SPY"}
            assert {key for key, _ in nasdaq} == {"QQQ"}
            for key, book in nyse + nasdaq:
                look = market.spots.look(INSTRUMENTS[key], book["1"] * 10**6)
                bids, asks = ([level["0"] for level in book[side]] for side in "23")
                assert (bids[0], asks[0]) == (look.bid, look.ask)
                assert (book["2"][0]["1"], book["3"][0]["1"]) == (
                    100 * look.bid_size,
                    100 * look.ask_size,
                )
                assert bids == sorted(set(bids), reverse=True)
                assert asks == sorted(set(asks))
                assert len(bids) == len(asks) == 8
                assert all(map(makers_add_up, book["2"] + book["3"]))
            for before, after in pairwise(book["1"] for _, book in nyse):
                assert after - before >= 900
            local = et_datetime(nyse[0][1]["1"] * 10**6)
            midnight_ms = local.replace(hour=0, minute=0, second=0, microsecond=0)
            since = local.timestamp() - midnight_ms.timestamp()
            assert nyse[0][1]["2"][0]["3"][0]["2"] == pytest.approx(1000 * since, abs=2000)

    run(check())


def test_option_books_stand_on_the_quotes_that_are_streamed(tmp_path: Path) -> None:
    """Of a frozen market the top is the level-one quote; nobody bids for what is worth nothing."""

    async def check() -> None:
        script = [act("freeze")]
        async with (
            running(tmp_path, contracts=CONTRACTS, start=START_NS, script=script) as server,
            streamer(server) as client,
        ):
            keys = sorted(names(await get(server, SPX, symbol="$SPX")))
            some = ",".join(keys[::3])
            await client.login()
            await subs(client, OPTIONS, some)
            await subs(client, OPTIONS_BOOK, some)
            books = dict(await heard(client, OPTIONS_BOOK, len(keys[::3])))
            quotes = dict(client.items(OPTIONS))
            assert books.keys() == quotes.keys()
            for key, book in books.items():
                quote = quotes[key]
                for side, price, size in (("2", "2", "16"), ("3", "3", "17")):
                    top = [(level["0"], level["1"]) for level in book[side][:1]]
                    assert top == [(quote[price], quote[size])] * bool(quote[price])
                    assert all(map(makers_add_up, book[side]))
            assert any(not book["2"] for book in books.values())
            await client.ask("ADMIN", "LOGOUT")
            assert len(client.items(OPTIONS_BOOK)) == len(books)  # nothing changes: none again

    run(check())


# --- candles --------------------------------------------------------------------------------------


def test_each_minute_has_a_candle_around_the_prices_that_were_streamed(tmp_path: Path) -> None:
    """One a market minute, numbered; open, close and reach agree with level one's last prices."""

    async def check() -> None:
        script = [
            act("jump", at="10:05:30.4", percent=-2),
            act("basis", at="10:06:20.3", symbols=["/ES"], points=9, for_s=7.2),
        ]
        async with (
            running(
                tmp_path, contracts=CONTRACTS, start=START_NS, speed=60.0, rate=30, script=script
            ) as server,
            streamer(server) as client,
        ):
            await client.login()
            equities, futures = "SPY,$SPX,$VIX", "/ES,/NQ"
            await subs(client, EQUITIES, equities)
            await subs(client, FUTURES, futures)
            await subs(client, CHART_EQUITY, equities)
            await subs(client, CHART_FUTURES, futures)
            for service, time in ((CHART_EQUITY, "7"), (CHART_FUTURES, "1")):
                while not any(item[time] == LAST_MS for _, item in client.items(service)):
                    await client.listen(len(client.items()) + 1)
            charts = by_key(client.items(CHART_EQUITY)) | by_key(client.items(CHART_FUTURES))
            lasts = streamed_lasts(client)
        assert charts.keys() == lasts.keys()
        assert sum(compared(key, charts[key], lasts[key]) for key in charts) > 100
        fallen = next(candle for candle in charts["SPY"] if candle["7"] == LAST_MS - 2 * MINUTE_MS)
        assert fallen["4"] < 0.985 * fallen["3"]  # the jump is within that minute
        numbers = [item["seq"] for frame in client.data if frame["service"] == CHART_EQUITY
                   for item in frame["content"]]  # fmt: skip
        assert numbers == list(range(len(numbers)))

    run(check())


def compared(key: str, candles: list[dict[str, Any]], lasts: list[tuple[int, float]]) -> int:
    """Check a key's candles; return how many of its last prices lie in their minutes."""
    time, count = "1" if key.startswith("/") else "7", 0
    times = [candle[time] for candle in candles]
    assert times == list(range(times[0], times[-1] + 1, MINUTE_MS))
    if time == "7":
        numbers = [180 + (ms - START_NS // 10**6) // MINUTE_MS for ms in times]  # 07:00 is 0
        assert [candle["1"] for candle in candles] == numbers
        assert {candle["8"] for candle in candles} == {times[0] // 86_400_000}
    for candle in candles:
        opened, high, low, close = (candle[number] for number in "2345")
        assert low <= min(opened, close) <= max(opened, close) <= high
        of_minute = [last for ms, last in lasts if 0 <= ms - candle[time] < MINUTE_MS]
        count += len(of_minute)
        assert all(low <= last <= high for last in of_minute), (key, candle)
    return count


def streamed_lasts(client: Streamer) -> dict[str, list[tuple[int, float]]]:
    """Return the last prices that level one told of each key, with their times."""
    lasts: dict[str, list[tuple[int, float]]] = {}
    for frame in client.data:
        if frame["service"] in (EQUITIES, FUTURES):
            for item in frame["content"]:
                if "3" in item:
                    lasts.setdefault(item["key"], []).append((frame["timestamp"], item["3"]))
    return lasts


# --- currencies and options on futures ------------------------------------------------------------


def test_currencies_are_quoted_around_the_clock(tmp_path: Path) -> None:
    """Bid below ask within a pip, no volume; also at night and by /quotes."""

    async def check() -> None:
        night = et_ns(FRIDAY, 3)
        async with (
            running(tmp_path, contracts=CONTRACTS, start=night) as server,
            streamer(server) as client,
        ):
            await client.login()
            await subs(client, FOREX, "EUR/USD,USD/JPY,USD/XYZ")
            items = await heard(client, FOREX, 20)
            assert {key for key, _ in items} == {"EUR/USD", "USD/JPY"}
            first = dict(items[:2])
            assert 1.0 < first["EUR/USD"]["1"] < first["EUR/USD"]["2"] < 1.35
            assert first["EUR/USD"]["2"] - first["EUR/USD"]["1"] < 0.0002
            assert 120 < first["USD/JPY"]["3"] < 190
            for pair in first.values():
                assert pair["11"] <= pair["3"] <= pair["10"]
                assert pair["6"] == pair["7"] == 0
            answer = (await get(server, "/marketdata/v1/quotes", symbols="EUR/USD")).json()
            assert answer["EUR/USD"]["assetMainType"] == "FOREX"
            assert answer["EUR/USD"]["quote"]["bidPrice"] == pytest.approx(1.16, abs=0.15)

    run(check())


def test_options_on_futures_obey_parity_with_their_future(tmp_path: Path) -> None:
    """Of a frozen market call less put is the future less the strike, discounted, within ticks."""

    async def check() -> None:
        script = [act("freeze")]
        async with (
            running(tmp_path, contracts=CONTRACTS, start=START_NS, script=script) as server,
            streamer(server) as client,
        ):
            await client.login()
            await subs(client, FUTURES, "/ES")
            unknown = "./ESH27C6700,./ESZ26C6701,./ESZ26C100,./GCZ26C6700,/ES"
            await subs(client, FUTURES_OPTIONS, f"{FUTURE_OPTIONS},{unknown}")
            told = dict(await heard(client, FUTURES_OPTIONS, 3))
            assert set(told) == set(FUTURE_OPTIONS.split(","))
            call, put = told["./ESZ26C6700"], told["./ESZ26P6700"]
            future = client.items(FUTURES)[0][1]["3"]
            years = (call["26"] * 10**6 - START_NS) / (365 * 86_400 * 10**9)
            paid = (future - 6700) * math.exp(-RATE * years)
            assert call["19"] - put["19"] == pytest.approx(paid, abs=0.6)
            assert call["24"] == put["24"] == "/ESZ26"
            assert (call["28"], put["28"], call["25"]) == ("C", "P", 6700)
            answer = (await get(server, "/marketdata/v1/quotes", symbols="./ESZ26C6700")).json()
            asked = answer["./ESZ26C6700"]
            assert (asked["quote"]["bidPrice"], asked["quote"]["mark"]) == (call["1"], call["19"])
            assert asked["assetMainType"] == "FUTURE_OPTION"
            for option in told.values():
                assert 0 < option["1"] < option["2"]
                assert option["13"] <= option["3"] <= option["12"]
                assert option["18"] > 0

    run(check())


# --- requests -------------------------------------------------------------------------------------


def test_view_changes_the_fields_of_a_service_and_nothing_else(tmp_path: Path) -> None:
    """Keys stay; fields that are new come with the next update, those left out come no more."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            key = max(names(await get(server, SPX, symbol="$SPX")))
            await client.login()
            await client.ask(OPTIONS, "SUBS", keys=key, fields="0,2,3,20,38")
            await client.listen(1)
            assert set(client.items()[0][1]) == {"2", "3", "20", "38"}
            assert (await client.ask(OPTIONS, "VIEW"))[0] == 21
            answer = await client.ask(OPTIONS, "VIEW", fields="0,3,20,21,38")
            assert answer == (0, "VIEW command succeeded")
            client.data.clear()
            await client.listen(3)
            fields = [set(item) for _, item in client.items()]
            assert "21" in fields[0]
            assert set().union(*fields) <= {"3", "21", "38"}
            state = (await get(server, "/control/state")).json()
            assert state["subscribed"] == {OPTIONS: [key]}
            assert (await client.ask(FUTURES, "VIEW", fields="0,3"))[0] == 0

    run(check())


@pytest.mark.parametrize("service", ["FUTURES_BOOK", "TIMESALE_FUTURES", "TIMESALE_EQUITY"])
def test_services_that_schwab_has_not_are_code_11(tmp_path: Path, service: str) -> None:
    """The connection lives on, and logs out with an answer."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server, streamer(server) as client:
            await client.login()
            assert (await client.ask(service, "SUBS", keys="/ES", fields="0,1"))[0] == 11
            await subs(client, FUTURES, "/ES")
            assert await client.ask("ADMIN", "LOGOUT") == (0, "SUCCESS")
            with pytest.raises(ConnectionClosedOK):
                await client.socket.recv()

    run(check())


def test_a_thousand_symbols(tmp_path: Path) -> None:
    """As many as the limit says are told, of all services together; one more is code 19."""

    async def check() -> None:
        pace = Pace(2000, symbol_limit=1000)
        async with (
            running(tmp_path, contracts=6000, pace=pace) as server,
            streamer(server) as client,
        ):
            options = sorted(names(await get(server, SPX, symbol="$SPX", toDate="2027-03-01")))
            await client.login()
            await subs(client, EQUITIES, "SPY,QQQ,$SPX,$NDX")
            await subs(client, CHART_EQUITY, "SPY,QQQ")
            await subs(client, NYSE_BOOK, "SPY")
            await subs(client, OPTIONS, ",".join(options[:500]))
            await subs(client, OPTIONS, ",".join(options[500:993]), "ADD")
            told = {key for key, _ in client.items(OPTIONS)}
            while len(told) < 993:
                await client.listen(len(client.items()) + 1)
                told = {key for key, _ in client.items(OPTIONS)}
            assert told == set(options[:993])
            assert (await client.ask(FUTURES, "ADD", keys="/ES", fields="0,3"))[0] == 19
            assert (await client.response())[0] == 24

    run(check())


def test_user_preference_permits_level_2(tmp_path: Path) -> None:
    """As of an account that has it."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS) as server:
            offers = (await get(server, "/trader/v1/userPreference")).json()["offers"]
        assert offers == [{"level2Permissions": True, "mktDataPermission": "NP"}]

    run(check())


def test_all_of_it_stands_in_the_send_log(tmp_path: Path) -> None:
    """Books, candles, currencies and options on futures, item by item, with all that was sent."""

    async def check() -> None:
        async with running(tmp_path, contracts=CONTRACTS, start=START_NS, speed=60.0) as server:
            async with streamer(server) as client:
                key = max(names(await get(server, SPX, symbol="$SPX")))
                await client.login()
                asked = {
                    EQUITIES: "SPY",
                    FOREX: "EUR/USD",
                    FUTURES_OPTIONS: FUTURE_OPTIONS,
                    NYSE_BOOK: "SPY",
                    OPTIONS_BOOK: key,
                    CHART_EQUITY: "SPY,QQQ",
                    CHART_FUTURES: "/ES",
                }
                for service, keys in asked.items():
                    await subs(client, service, keys)
                await heard(client, CHART_FUTURES, 2)
                await post(server, "hold")
                await client.ask("ADMIN", "LOGOUT")
            lines = [line for line in sent(server) if line["stream"]]
            assert [(line["key"], line["fields"]) for line in lines] == client.items()
            assert {line["service"] for line in lines} == set(asked)

    run(check())


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "service", "keys", "missing"),
    [
        ("levelone_equities", EQUITIES, "SPY", {"assetSubType", "cusip"}),
        ("levelone_futures", FUTURES, "/ES", set()),
        ("levelone_futures_options", FUTURES_OPTIONS, "./ESZ26C6700", set()),
        ("levelone_forex", FOREX, "EUR/USD", set()),
        ("chart_equity", CHART_EQUITY, "SPY", set()),
        ("chart_futures", CHART_FUTURES, "/ES", set()),
        ("nyse_book", NYSE_BOOK, "SPY", set()),
        ("nasdaq_book", NASDAQ_BOOK, "QQQ", set()),
        ("options_book", OPTIONS_BOOK, "", set()),
    ],
)
def test_items_have_the_shape_of_real_ones(  # a case of the table, and fixtures
    tmp_path: Path, samples: Path, sample: str, service: str, keys: str, missing: set[str]
) -> None:
    """The keys of frame, item, level and market maker are those of Schwab's, types too."""
    real = json.loads((samples / "schwab" / f"stream_{sample}.json").read_text())

    async def check() -> None:
        async with (
            running(tmp_path, contracts=CONTRACTS, start=START_NS, speed=60.0) as server,
            streamer(server) as client,
        ):
            key = keys or max(names(await get(server, SPX, symbol="SPY")))
            theirs = real["data"][0]
            numbered = sorted({n for item in theirs["content"] for n in item} & set(numbers))
            await client.login()
            await client.ask(service, "SUBS", keys=key, fields=",".join(["0", *numbered]))
            await heard(client, service, 1)
            ours = next(frame for frame in client.data if frame["service"] == service)
            assert set(ours) == set(theirs)
            assert set(ours["content"][0]) == set(theirs["content"][0]) - missing
            for name, value in ours["content"][0].items():
                assert shape(value) == shape(theirs["content"][0][name]), name

    numbers = list(map(str, range(1, 60)))
    run(check())


def shape(value: object) -> object:
    """Return what a value is made of: numbers are one kind, lists have one kind of items."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        assert all(shape(item) == shape(value[0]) for item in value)
        return [shape(value[0])]
    return "number" if type(value) in (int, float) else type(value).__name__
