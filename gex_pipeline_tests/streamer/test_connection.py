"""Ends of a stream over real sockets: never fought for, never waited for in silence."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gex_pipeline.feeds.schwab.fields import EQUITIES
from gex_pipeline.feeds.supervise import Backoff
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.spool import Spool
from gex_pipeline.market.events import Gap, LedgerCount, Trade
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.connection import Connection, Wishes
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.plan import make_plan
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.symbollimit import SymbolLimit
from gex_pipeline.streamer.tapes import Tapes
from gex_pipeline_tests.feeds.schwab.streamer import (
    Answers,
    Script,
    data,
    notice,
    response,
    scripted,
)

SPX = {"key": "$SPX", "3": 7000.0, "35": 1_000}


def stream(
    folder: Path, script: Script, done: Callable[[Connection], bool], *, silence_s: float = 30.0
) -> tuple[Connection, list[dict[str, Any]], list[Any]]:
    """Run a connection until `done`; return it, the requests and the tape."""

    async def run() -> Any:
        async with scripted(script) as (client, seen):
            spool = Spool.open(folder / "spool", "schwab.index")
            tapes = Tapes({"index": spool}, MarketTime())
            account = cast(
                "Account",
                SimpleNamespace(client=_always(client), until_paused=asyncio.Event().wait),
            )
            quiet = Quiet(tapes, frozenset(), silence_s)
            intake = Intake(tapes, Quarantine(folder / "quarantine"), quiet)
            wishes, plan = Wishes(SymbolLimit(10)), make_plan(("SPX",), (), 10)[0]
            connection = Connection(account, plan, intake, wishes, Bell("streamer"))
            task = asyncio.create_task(connection.run(Backoff(0.05), silence_s, 5.0))
            async with asyncio.timeout(20):
                while not done(connection) and not task.done():  # noqa: ASYNC110 # many states
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            tapes.flush()
            frames = [decode_frame(each) for each in spool.read_after(0)]
            tapes.close()
            return connection, seen, [event for frame in frames for event in frame.events]

    return cast("tuple[Connection, list[dict[str, Any]], list[Any]]", asyncio.run(run()))


def _always(client: Any) -> Callable[[], Any]:
    async def give() -> Any:
        return client

    return give


def with_data(request: dict[str, Any], *more: dict[str, Any]) -> Answers:
    """Agree; a subscription to shares is followed by a value and `more`."""
    if request["service"] != EQUITIES:
        return [response(request, 0)]
    return [response(request, 0), data(EQUITIES, SPX), *more]


def test_a_stream_that_another_program_took_is_not_fought_for(tmp_path: Path) -> None:
    """Code 12: it stands still and says so; there is no second login."""
    connection, seen, tape = stream(
        tmp_path,
        lambda request: with_data(request, notice(12)),
        lambda connection: connection.state == "taken",
    )

    assert connection.state == "taken"
    assert "another program" in connection.detail
    assert not connection.connected
    assert [request["command"] for request in seen].count("LOGIN") == 1
    assert [type(event) for event in tape if not isinstance(event, LedgerCount)] == [Trade]


@pytest.mark.parametrize(("code", "cause"), [(30, "disconnect"), (None, "silence")])
def test_silence_and_other_ends_bring_a_new_connection_and_a_gap(
    tmp_path: Path, code: int | None, cause: str
) -> None:
    """Half-open or stopped: everything is subscribed again, the gap begins with the last frame."""
    more = () if code is None else (notice(code),)
    _, seen, tape = stream(
        tmp_path,
        lambda request: with_data(request, *more),
        lambda connection: connection.intake.decoder.tally.taken >= 2,
        silence_s=0.5,
    )

    assert [request["command"] for request in seen].count("LOGIN") >= 2
    first, gap, second = tape[:3]
    assert (type(first), type(gap), type(second)) == (Trade, Gap, Trade)
    assert (gap.cause, gap.ts_from_ns) == (cause, first.ts_recv_ns)
    assert gap.ts_to_ns <= second.ts_recv_ns
