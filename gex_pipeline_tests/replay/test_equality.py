"""A simulated stretch recorded by the running services and replayed: the same figures, all of them.

Five market minutes at 60 times the speed, a small market: simulator, streamer, engine and replay
are processes, as a user starts them.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.exposure.lane import SILENCE_RECORDED_S
from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.session import read_session, session_keys
from gex_pipeline.hot.tape import tape_end
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Basis, Event, Gap, Heartbeat, LedgerCount
from gex_pipeline.market.futures import expiry_ns
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.valuation import RATE
from gex_pipeline_tests.replay.stretch import archived, by_figure
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until

CALENDARS = ("index", "equity")
MARKET_S = 300
PATIENCE_S = 100.0
MARKET = {
    "GEX_SIMULATOR_SPEED": "60",
    "GEX_SIMULATOR_RATE": "100",
    "GEX_SIMULATOR_CONTRACTS": "400",
    "GEX_SYMBOLS": "SPX,SPY",
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with its hot store."""
    with staged(tmp_path) as ready:
        yield ready


def in_time(holds: Callable[[], object]) -> None:
    """Wait for what a busy machine takes its time for."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.2)


def ended(process: Any, end: signal.Signals) -> None:
    """End a service as its user does."""
    process.send_signal(end)
    assert process.wait(60) == 0


def engine(stage: Stage) -> dict[str, str]:
    """Return the live engine's status."""
    return read_status(stage.client, stage.keys, "engine")


def recorded_s(stage: Stage) -> int:
    """Return how many market seconds the live engine has recorded on both tapes."""
    return int(engine(stage).get("seconds", 0)) // len(CALENDARS)


def read_up(stage: Stage) -> bool:
    """Whether the live engine has read all that was streamed."""
    ends = {name: tape_end(stage.client, stage.keys.tape(f"schwab.{name}")) for name in CALENDARS}
    return all(engine(stage)[f"position:schwab.{name}"] == str(ends[name]) for name in CALENDARS)


def folded_up(stage: Stage) -> bool:
    """Whether it has recorded all seconds that the events it has seen complete, the basis too."""
    found = engine(stage)

    def last_ns(name: str) -> int:
        silent_ns = int(found[f"heard_ns:schwab.{name}"]) + SILENCE_RECORDED_S * SECOND_NS
        until_ns = min(int(found[f"seen_ns:schwab.{name}"]) - 1, silent_ns)
        return until_ns // SECOND_NS * SECOND_NS

    joined = int(found["basis_waiting"]) <= 1  # the futures' tape may end a second before
    return joined and all(
        int(found[f"recorded_ns:schwab.{name}"]) >= last_ns(name) for name in CALENDARS
    )


def on_tape(stage: Stage, keys: Keys, tape: str) -> list[Event]:
    """Return the events of a tape in the hot store."""
    entries: Any = stage.client.xrange(keys.tape(tape))
    return [event for _, entry in entries for event in decode_frame(entry[b"f"]).events]


def record(stage: Stage) -> None:
    """Have the services record the stretch, and archive it."""
    stage.start("simulate", **MARKET)
    wait_until((stage.root / "tokens" / "schwab_token.json").exists, "the simulator's token")
    streamer = stage.start("stream", **MARKET)
    live = stage.start("engine", **MARKET)
    in_time(lambda: recorded_s(stage) > MARKET_S)
    ended(streamer, signal.SIGTERM)
    in_time(lambda: read_up(stage) and folded_up(stage))
    ended(live, signal.SIGTERM)
    source = HotSource(stage.client, stage.keys, stage.root / "spool")
    origin = Origin(source="simulator", mode="simulated", tape="")
    archive(source, LakePaths(stage.root), source.tapes(), origin=origin, now_s=0.0)


@pytest.mark.timeout(
    300
)  # three services on a machine that may be busy; alone it takes half a minute
def test_replayed_figures_equal_the_live_ones(stage: Stage) -> None:
    """Every second and scope, each field, positions too; no recorded second was skipped."""
    record(stage)
    day = read_chain(LakePaths(stage.root), "schwab.index").nodes[-1].date
    replay = stage.start("replay", str(day), "--speed", "max", "--session", "all", **MARKET)
    keys = session_keys("all")
    assert replay.wait(PATIENCE_S) == 0
    info = read_session(stage.client, keys)

    assert info is not None
    assert (info.state, info.problem) == ("ended", None)
    for name in CALENDARS:
        live = by_figure(archived(stage.root, f"gex.{name}"))
        assert by_figure(on_tape(stage, keys, f"gex.{name}")) == live
        symbol = {"index": "SPX", "equity": "SPY"}[name]
        of_all = [key for key in live if key[:3] == ("GexSecond", symbol, "all")]
        stamps = sorted(key[3] for key in of_all)
        assert len(stamps) >= MARKET_S - 2
        assert stamps == list(range(stamps[0], stamps[-1] + 1, 1_000_000_000))
    basis = by_figure(archived(stage.root, "gex.cme"))
    assert by_figure(on_tape(stage, keys, "gex.cme")) == basis
    futures_stand_above_their_index([row for row in basis.values() if isinstance(row, Basis)])
    captured_events_equal_the_tapes(stage)
    replay = stage.start("replay", str(day), "--speed", "max", "--session", "raw", "--capture")
    assert replay.wait(PATIENCE_S) == 0
    info = read_session(stage.client, session_keys("raw"))
    assert info is not None
    assert (info.state, info.problem, "schwab.index" in info.positions) == ("ended", None, True)
    assert len(on_tape(stage, session_keys("raw"), "gex.index")) > MARKET_S


def futures_stand_above_their_index(rows: list[Basis]) -> None:
    """Live after ten seconds, of the contract in front, where the simulator's carry puts it.

    Within two points: at this speed the two values of a sample may be market seconds apart.
    """
    assert {row.symbol for row in rows} == {"/ES", "/MES"}
    assert len(rows) >= 2 * (MARKET_S - 2)
    live = [row for row in rows if row.method == "live"]
    assert len(live) >= 2 * (MARKET_S - 20)
    carry = RATE - INSTRUMENTS["/ES"].dividend
    for row in live:
        if row.mid is None or row.index_price is None:  # the median of those before it
            continue
        assert row.contract
        assert row.quoted == row.symbol
        years = (expiry_ns(row.contract) - row.ts_recv_ns) / (365 * 86_400 * SECOND_NS)
        above = row.index_price * math.expm1(carry * years)
        assert row.basis == pytest.approx(above, abs=2.0)


def captured_events_equal_the_tapes(stage: Stage) -> None:
    """The capture's wire frames, decoded again, are the events of the tapes, in their order."""
    decoded: dict[str, list[Event]] = {"index": [], "equity": [], "cme": []}
    for calendar, event in replay_capture(read_capture(stage.root / "capture")):
        decoded[calendar].append(event)
    for name, events in decoded.items():
        tape = [
            msgspec.structs.replace(event, seq=0)
            for event in archived(stage.root, f"schwab.{name}")
            if not isinstance(event, Heartbeat | Gap | LedgerCount)
        ]
        assert len(tape) > 100
        assert events == tape
