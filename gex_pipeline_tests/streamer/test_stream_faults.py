"""Faults of the vendor's stream, each against schwab-py, sockets and the simulator.

Of each: what is said of it, the gap record, the time until data are back (printed), and that every
event of the simulator's send log is on the tapes exactly once or inside a gap.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import FeedClosedError
from gex_pipeline.feeds.schwab import subscriptions
from gex_pipeline.feeds.schwab.fields import EQUITIES
from gex_pipeline.feeds.schwab.stream import Stream
from gex_pipeline.market.events import Event, Quote
from gex_pipeline.market.sessions import Calendar, et_ns
from gex_pipeline.simulator.connection import Pace
from gex_pipeline.simulator.server import REQUEST_LIMIT
from gex_pipeline_tests.faults.proxy import FaultProxy, fault_proxy
from gex_pipeline_tests.simulator.test_script import FRIDAY
from gex_pipeline_tests.streamer.live import BEAT_S, SILENCE_S, Live, live, run, say
from gex_pipeline_tests.streamer.reckoning import reckon

Tapes = dict[Calendar, list[Event]]
INTERRUPTIONS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "cut": ("cut", {"for_s": 1.0}, "disconnect", "broke"),
    "torn frame": ("tear", {}, "disconnect", "broke"),
    "half-open": ("silence", {"for_s": SILENCE_S + 1.0}, "silence", "silent for"),
    "notice 30": ("notice", {"code": 30}, "disconnect", "code 30 STOP_STREAMING"),
    "garbled data": ("garble", {"share": 0.5, "for_s": 1.0}, "unreadable", "cannot be read"),
}
HOLE_S = 5.0


@pytest.mark.parametrize(
    ("verb", "fields", "cause", "said"), INTERRUPTIONS.values(), ids=INTERRUPTIONS
)
def test_an_interruption_is_a_gap_and_everything_comes_back(
    tmp_path: Path, verb: str, fields: dict[str, Any], cause: str, said: str
) -> None:
    """No key is lost, the alert ends with the outage, the gap begins with the last data."""

    async def check() -> None:
        async with live(tmp_path) as stage:
            await stage.begun()
            heard = listen(stage)
            since_s = time.monotonic()
            await stage.play(verb, **fields)
            await stage.until(lambda: heard, "the interruption is told")
            await stage.until(lambda: stage.connection.connections > 1, "a new connection")
            await stage.recovered(since_s, verb)

            say(f"{verb}: {await stage.reckoned()}")
            assert said in heard[0]
            assert stage.gaps()[0].cause == cause
            assert all(gap.ts_from_ns < gap.ts_to_ns for gap in stage.gaps())
            assert not stage.rung
            assert bool(stage.quarantine.kept) == (cause == "unreadable")

    run(check())


def test_a_black_hole_is_a_silence_and_ends_with_it(tmp_path: Path) -> None:
    """Nothing arrives and nobody hangs up, not even on new connections; then all is well again."""

    async def check() -> None:
        with Hole() as hole:
            async with live(tmp_path, through=hole.before) as stage:
                await stage.begun()
                heard = listen(stage)
                since_s = time.monotonic()
                hole.proxy.fault = "silence"
                await stage.until(lambda: heard, "the silence is told")
                say(f"black hole: told after {time.monotonic() - since_s:.2f} s")
                await asyncio.sleep(max(0.0, since_s + HOLE_S - time.monotonic()))
                hole.proxy.fault = ""
                await stage.recovered(time.monotonic(), "behind the black hole")

                say(f"black hole: {await stage.reckoned()}")
                (gap,) = stage.gaps()
                assert gap.cause == "silence"
                assert not stage.rung

    run(check())


def test_a_night_of_heartbeats_is_no_silence(tmp_path: Path) -> None:
    """Out of session no data are due: the socket lives, and nothing is told."""
    night_ns = et_ns(FRIDAY, 21, 30)

    async def check() -> None:
        async with live(tmp_path, start=night_ns, contracts=4) as stage:
            await stage.play("freeze")
            stage.start()
            await stage.full()
            told = stage.taken
            await asyncio.sleep(2 * SILENCE_S)  # nothing may happen in it

            assert stage.connection.state == "streaming"
            assert (stage.connection.connections, stage.gaps(), stage.rung) == (1, [], set())
            assert stage.taken - told < 100
            await stage.reckoned()

    run(check())


@pytest.mark.parametrize(
    ("verb", "fields"),
    [("bulk", {"bytes": 1_500_000}), ("lag", {"by_s": 1.0}), ("shuffle", {}), ("echo", {})],
)
def test_heavy_late_swapped_and_doubled_frames_lose_nothing(
    tmp_path: Path, verb: str, fields: dict[str, Any]
) -> None:
    """No frame is too big, no order is presumed, no answer is taken for another: no gap."""

    async def check() -> None:
        async with live(tmp_path, pace=Pace(100.0, heartbeat_s=BEAT_S)) as stage:
            await stage.begun()
            await stage.play(verb, for_s=3.0, **fields)
            if verb != "shuffle":  # an update that overtakes its image has half a state
                stage.wishes.options = stage.wishes.options[4:] + stage.spare[:4]
            await stage.full()
            await stage.over(verb)
            await stage.more()
            reckoning = await stage.reckoned()

            say(f"{verb}: {reckoning}")
            assert reckoning.in_gaps == 0
            assert (stage.connection.connections, stage.gaps(), stage.rung) == (1, [], set())
            for tampered in lost_and_doubled(stage.events()):
                with pytest.raises(AssertionError):
                    reckon(stage.server.root, tampered)

    run(check())


def lost_and_doubled(tapes: Tapes) -> Iterator[Tapes]:
    """The tapes with one quote missing, and with one twice: what no comparison may pass."""
    equity = tapes["equity"]
    place = max(at for at, event in enumerate(equity) if isinstance(event, Quote))
    yield tapes | {"equity": equity[:place] + equity[place + 1 :]}
    yield tapes | {"equity": equity[: place + 1] + equity[place:]}


def test_a_request_over_the_limit_is_never_sent_and_would_be_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of keys go in requests of 48 KB; Schwab closes the socket at 65,535 bytes."""
    keys = [f"SPXW  261218C{strike:08d}" for strike in range(4_000)]

    async def check() -> None:
        pace = Pace(100.0, symbol_limit=5_000)
        async with live(tmp_path, pace=pace) as stage:
            client = stage.open_client()
            for at_once, is_served in (
                (subscriptions.MOST_BYTES, True),
                (REQUEST_LIMIT * 2, False),
            ):
                monkeypatch.setattr(subscriptions, "chunks", by(at_once))
                stream = Stream(client, lambda *_: None, timeout_s=30.0)
                await stream.open()
                if is_served:
                    assert await stream.add(EQUITIES, keys) == len(keys)
                else:
                    with pytest.raises(FeedClosedError):
                        await stream.add(EQUITIES, keys)
                await stream.close()
            await client.close_async_session()

    chunks = subscriptions.chunks

    def by(most_bytes: int) -> Any:
        return lambda them: chunks(them, most_bytes)

    run(check())


def listen(stage: Live) -> list[str]:
    """What is said of each outage from now on."""
    heard: list[str] = []
    begin = stage.connection.outage.begin

    def tell(text: str) -> None:
        begin(text)
        heard.append(text)
        assert "stream_down" in stage.rung

    stage.connection.outage.begin = tell  # type: ignore[method-assign] # it hears and passes on
    return heard


class Hole:
    """A proxy that swallows what it is told to."""

    proxy: FaultProxy

    def before(self, port: int) -> int:
        """Run before a server's port; return the proxy's."""
        self._context = fault_proxy(port)
        self.proxy = self._context.__enter__()
        return self.proxy.port

    def __enter__(self) -> "Hole":
        """Nothing runs before the port is known."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the proxy."""
        self._context.__exit__(None, None, None)
