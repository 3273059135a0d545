"""The streamer without its stream: cut for minutes, quotes and chains by REST, and back again."""

import asyncio
from pathlib import Path
from typing import Any

from gex_pipeline.gateway.age import Limits
from gex_pipeline.gateway.connection import connect_gateway
from gex_pipeline.gateway.market import newest_market
from gex_pipeline.gateway.read import Gateway, Place
from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.market.events import Gap, Heartbeat, OptionQuote, Trade
from gex_pipeline_tests.streamer.stage import PREFIX, Stage, staged, wait_until

_PLACE = Place(PREFIX, "simulated", ("SPX",), Limits(stale_after_s=60, unavailable_after_s=600))
SETTINGS = {
    "GEX_SYMBOLS": "SPX",
    "SCHWAB_SYMBOLS": "SPY",
    "SCHWAB_CHAIN_INTERVAL_S": "3600",
}


def asked(stage: Stage, root: Path, *symbols: str) -> list[dict[str, Any]]:
    """What the API's reader answers of some symbols."""

    async def ask() -> list[dict[str, Any]]:
        gateway: Gateway = connect_gateway(stage.url, _PLACE, root, live_clock)
        loop = asyncio.create_task(gateway.run())
        try:
            assert await gateway.begun(30)
            return [await newest_market(gateway, symbol) for symbol in symbols]
        finally:
            loop.cancel()
            await asyncio.wait({loop})
            await gateway.store.aclose()

    return asyncio.run(ask())


def test_a_stream_cut_for_minutes_is_stood_in_for(tmp_path: Path) -> None:
    """The spot and the chain go on, marked; the tape tells the gap; with the stream it ends.

    Before that, a symbol that is not streamed is asked for through the running streamer.
    """
    with staged(tmp_path) as stage:
        stage.start("simulate", "--speed", "5")
        stage.start("stream", **SETTINGS)
        wait_until(lambda: stage.status().get("state") == "streaming", "a stream")
        wait_until(lambda: stage.status().get("chain_rounds") == "1", "a chain")
        share, index = asked(stage, tmp_path, "QQQ", "SPX")
        assert (share["source"], index["source"]) == ("rest", "stream")
        assert share["price"] > 0

        stage.play("cut", for_s=180)
        wait_until(lambda: stage.status().get("state") == "polling", "polling")
        assert stage.status()["stream"] in ("reconnecting", "connecting")
        wait_until(lambda: int(stage.status()["quote_polls"]) > 2, "quotes by REST")
        wait_until(lambda: int(stage.status()["chain_rounds"]) > 2, "rounds that do not wait")
        (index,) = asked(stage, tmp_path, "SPX")
        assert index["source"] == "rest"

        wait_until(lambda: stage.status().get("state") == "streaming", "the stream again")
        assert stage.status()["polling"] == "off"
        tape = stage.tape("index")
        (gap,) = [event for event in tape if isinstance(event, Gap)]
        inside = [event for event in tape if gap.ts_from_ns < event.ts_recv_ns < gap.ts_to_ns]
        spots = [event for event in inside if isinstance(event, Trade) and event.symbol == "SPX"]
        assert {event.streamed for event in spots} == {False}
        assert {event.streamed for event in inside if isinstance(event, OptionQuote)} == {False}
        beats = [event for event in inside if isinstance(event, Heartbeat)]
        assert not any(event.connected for event in beats[1:])
        outside = [event for event in tape if isinstance(event, Trade) and event not in inside]
        assert {event.streamed for event in outside} == {True}
