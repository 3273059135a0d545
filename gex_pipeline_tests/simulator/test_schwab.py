"""The real schwab-py, over real sockets, against the simulator; only its host is rewritten."""

import asyncio
import datetime
import importlib
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline_tests.simulator.serving import running, schwab_client


def run(coroutine: Any) -> None:
    """Run one test's coroutine."""
    asyncio.run(coroutine)


def stream_of(client: Any) -> Any:
    """Return schwab-py's streamer client."""
    return importlib.import_module("schwab.streaming").StreamClient(client, account_id=None)


async def some_options(client: Any, count: int) -> list[str]:
    """Return symbols from the SPX chain."""
    answer = (await client.get_option_chain("$SPX")).json()
    return [
        contract["symbol"]
        for strikes in answer["callExpDateMap"].values()
        for contracts in strikes.values()
        for contract in contracts
    ][-count:]


def test_chain_and_quotes(tmp_path: Path) -> None:
    """Chains have 3 decimals and IV in percent, quotes 8; a bad symbol is named."""

    async def check() -> None:
        async with running(tmp_path) as server, schwab_client(server) as client:
            answer = (await client.get_option_chain("$SPX")).json()
            (name,) = await some_options(client, 1)
            quotes = (await client.get_quotes(["$SPX", "/ES", "SPY", name, "NOPE"])).json()
        contracts = [
            contract
            for expiries in (answer["callExpDateMap"], answer["putExpDateMap"])
            for strikes in expiries.values()
            for listed in strikes.values()
            for contract in listed
        ]
        assert answer["status"] == "SUCCESS"
        assert answer["isIndex"] is True
        assert len(contracts) == answer["numberOfContracts"] > 500
        live = [contract for contract in contracts if contract["gamma"] != -999]
        assert all(round(c["gamma"], 3) == c["gamma"] for c in live)
        assert all(3 < c["volatility"] < 300 for c in live)
        assert any(len(str(quotes[name]["quote"][g])) > 7 for g in ("gamma", "delta"))
        assert quotes["errors"] == {"invalidSymbols": ["NOPE"]}
        assert "/ESZ26" in quotes or "/ES" not in quotes

    run(check())


def test_a_chain_that_is_too_big_is_refused_and_fits_in_windows(tmp_path: Path) -> None:
    """The full SPX chain is 502 TooBigBody; its parts by date hold every contract once."""

    async def check() -> None:
        async with running(tmp_path, contracts=24_000) as server, schwab_client(server) as client:
            whole = await client.get_option_chain("$SPX")
            dates = (await client.get_option_expiration_chain("$SPX")).json()["expirationList"]
            last = max(datetime.date.fromisoformat(date["expirationDate"]) for date in dates)
            first = min(datetime.date.fromisoformat(date["expirationDate"]) for date in dates)
            seen: list[str] = []
            while first <= last:
                to = first + datetime.timedelta(days=20)
                part = await client.get_option_chain("$SPX", from_date=first, to_date=to)
                if part.status_code == 200:
                    for side in ("callExpDateMap", "putExpDateMap"):
                        for strikes in part.json()[side].values():
                            seen += [c["symbol"] for listed in strikes.values() for c in listed]
                first = to + datetime.timedelta(days=1)
        assert whole.status_code == 502
        assert whole.json()["fault"]["detail"]["errorcode"] == "protocol.http.TooBigBody"
        assert len(seen) == len(set(seen)) > 9_000

    run(check())


def test_eight_calls_with_an_expired_token_refresh_once(tmp_path: Path) -> None:
    """schwab-py's own lock and our token endpoint: one refresh, eight answers."""

    async def check() -> None:
        async with running(tmp_path) as server, schwab_client(server, expired=True) as client:
            answers = await asyncio.gather(*(client.get_quotes(["SPY"]) for _ in range(8)))
            refreshes = client.transport.refreshes
        assert [answer.status_code for answer in answers] == [200] * 8
        assert refreshes == 1

    run(check())


def test_stream_labels_images_and_changes(tmp_path: Path) -> None:
    """LOGIN, SUBS, ADD and UNSUBS as schwab-py sends them; its handlers get labelled items."""

    async def check() -> None:
        items: list[dict[str, Any]] = []
        async with running(tmp_path) as server, schwab_client(server) as client:
            names = await some_options(client, 20)
            stream = stream_of(client)
            await stream.login()
            for service in ("option", "equity", "futures"):
                add = getattr(stream, f"add_level_one_{service}_handler")
                add(lambda message: items.extend(message["content"]))
            fields = stream.LevelOneOptionFields
            await stream.level_one_option_subs(
                names[:10], fields=[fields.SYMBOL, fields.BID_PRICE, fields.GAMMA]
            )
            await stream.level_one_option_add(
                names[10:], fields=[fields.SYMBOL, fields.BID_PRICE, fields.GAMMA]
            )
            await stream.level_one_equity_subs(["$SPX", "SPY"])
            await stream.level_one_futures_subs(["/ES"])
            await stream.level_one_option_unsubs(names[:1])
            while len(items) < 100:
                await stream.handle_message()
            await stream.logout()
        options = [item for item in items if item["key"] in names]
        assert {item["key"] for item in options} == set(names)
        assert set().union(*options) <= {"key", "delayed", "assetMainType", "BID_PRICE", "GAMMA"}
        future = next(item for item in items if item["key"] == "/ES")
        assert future["FUTURE_ACTIVE_SYMBOL"].startswith("/ES")
        assert "BID_PRICE" not in next(item for item in items if item["key"] == "$SPX")

    run(check())


def test_a_refused_subscription_raises_in_schwab_py(tmp_path: Path) -> None:
    """Beyond the symbol limit the answer is code 19, and the library raises."""

    async def check() -> None:
        async with running(tmp_path, contracts=6000) as server, schwab_client(server) as client:
            names = await some_options(client, 501)
            stream = stream_of(client)
            await stream.login()
            with pytest.raises(
                importlib.import_module("schwab.streaming").UnexpectedResponseCode, match="19"
            ):
                await stream.level_one_option_subs(names)

    run(check())


def test_books_candles_and_other_level_one_in_schwab_py(tmp_path: Path) -> None:
    """Its own handlers label them: books to the market maker, candles with their numbers."""

    async def check() -> None:
        items: dict[str, list[dict[str, Any]]] = {}

        def keep(message: dict[str, Any]) -> None:
            items.setdefault(message["service"], []).extend(message["content"])

        async with running(tmp_path, speed=60.0) as server, schwab_client(server) as client:
            (name,) = await some_options(client, 1)
            stream = stream_of(client)
            await stream.login()
            asked = {
                "nyse_book": "SPY",
                "options_book": name,
                "chart_equity": "SPY",
                "chart_futures": "/ES",
                "level_one_forex": "EUR/USD",
                "level_one_futures_options": "./ESZ26C6700",
            }
            for service, key in asked.items():
                getattr(stream, f"add_{service}_handler")(keep)
                await getattr(stream, f"{service}_subs")([key])
            while len(items) < len(asked):
                await stream.handle_message()
            await stream.logout()
        level = items["NYSE_BOOK"][0]["BIDS"][0]
        assert {"BID_PRICE", "TOTAL_VOLUME", "NUM_BIDS", "BIDS"} == set(level)
        assert {"EXCHANGE", "BID_VOLUME", "SEQUENCE"} == set(level["BIDS"][0])
        assert items["OPTIONS_BOOK"][0]["ASKS"]
        assert items["CHART_EQUITY"][0]["CHART_DAY"] > 20_000
        assert items["CHART_FUTURES"][0]["CLOSE_PRICE"] > 1000
        assert items["LEVELONE_FOREX"][0]["BID_PRICE"] < items["LEVELONE_FOREX"][0]["ASK_PRICE"]
        assert items["LEVELONE_FUTURES_OPTIONS"][0]["UNDERLYING_SYMBOL"] == "/ESZ26"

    run(check())
