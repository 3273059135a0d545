"""The streamer whole: real simulator, real hot store, real schwab-py, kill -9 included."""

import datetime
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.market.events import (
    ChainHeader,
    Event,
    Gap,
    Heartbeat,
    LedgerCount,
    OptionQuote,
)
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline_tests.streamer.sendlog import Told, expected, is_streamed, lines, told
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until

CALENDARS = ("equity", "index", "cme")
SECOND_NS = 1_000_000_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with its hot store."""
    with staged(tmp_path) as ready:
        yield ready


def streamed(events: list[Event]) -> dict[str, list[Told]]:
    """What the stream put on a tape, by Schwab's key."""
    found: dict[str, list[Told]] = defaultdict(list)
    for event in events:
        if is_streamed(event):
            found[to_schwab(event.symbol)].append(told(event))
    return found


def is_own(event: Event) -> bool:
    """Whether an event is the streamer's own word."""
    return isinstance(event, Gap | Heartbeat | LedgerCount)


def received(stage: Stage) -> int:
    """Items that the streamer says it has received."""
    return int(stage.status().get("received", 0))


def is_streaming(stage: Stage, items: int) -> bool:
    """Whether all symbols are subscribed and so many items have come."""
    status = stage.status()
    full = status.get("state") == "streaming" and int(status["symbols"]) == 120
    return full and int(status["received"]) > items


def assert_replayed(stage: Stage, tapes: dict[str, list[Event]]) -> None:
    """The raw capture gives what stands on the tapes."""
    replayed: dict[str, list[Event]] = defaultdict(list)
    for of, event in replay_capture(read_capture(stage.root / "capture")):
        replayed[of].append(event)
    for calendar, tape in tapes.items():
        said = [msgspec.structs.replace(event, seq=0) for event in tape if not is_own(event)]
        assert replayed[calendar] == said


def test_every_item_of_the_send_log_is_on_the_tape_exactly_once(stage: Stage) -> None:
    """Also each chain is; the tapes have no hole, and each market second has its heartbeat.

    And the captured frames, through the production decoder, are the same events under the same
    stamps, in the same order.
    """
    stage.start("simulate")
    streamer = stage.start("stream")
    wait_until(lambda: is_streaming(stage, 600), "600 items")
    subscribed = stage.market()["subscribed"]

    streamer.send_signal(signal.SIGTERM)
    assert streamer.wait(20) == 0

    tapes = {calendar: stage.tape(calendar) for calendar in CALENDARS}
    on_tape = {key: said for tape in tapes.values() for key, said in streamed(tape).items()}
    assert on_tape == expected(stage.root)[1]
    assert on_tape.keys() == {key for keys in subscribed.values() for key in keys}
    assert len(on_tape) > 90

    chains = [line for line in lines(stage.root) if line["service"] == "CHAIN"]
    sent = sum(line["fields"]["contracts"] for line in chains)
    every = [event for tape in tapes.values() for event in tape]
    assert sum(event.contracts for event in every if isinstance(event, ChainHeader)) == sent
    assert sum(isinstance(event, OptionQuote) and not event.streamed for event in every) == sent

    for tape in tapes.values():
        stamps = [event.ts_recv_ns for event in tape]
        assert stamps == sorted(stamps)
        beats = [event for event in tape if isinstance(event, Heartbeat)]
        seconds = [beat.ts_recv_ns // SECOND_NS for beat in beats]
        assert seconds == sorted(set(seconds))
        assert not any(isinstance(event, Gap) for event in tape)
        after = {beat.ts_recv_ns: beat.seq for beat in beats}
        assert all(
            event.ts_recv_ns != at or event.seq <= after[at]
            for event in tape
            if (at := event.ts_recv_ns) in after
        )
    assert_replayed(stage, tapes)
    assert read_clock(stage.client, stage.keys).anchor_event_ns > 0
    assert not (stage.data / "spool").exists()
    assert {path.name for path in stage.root.iterdir()} >= {"hot", "simulator", "spool", "tokens"}


def test_a_killed_streamer_comes_back_with_a_gap_on_every_tape(stage: Stage) -> None:
    """Kill -9, start again: what came before is whole, the gap is told, then all is new images."""
    stage.start("simulate")
    stage.start("stream").send_signal(0)
    wait_until(lambda: is_streaming(stage, 400), "400 items")
    stage.processes[-1].kill()
    stage.processes[-1].wait()

    second = stage.start("stream")
    wait_until(lambda: stage.status().get("pid") == str(second.pid), "the second streamer")
    wait_until(lambda: is_streaming(stage, 400), "400 items again")
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0

    log = expected(stage.root)
    assert len(log) == 2
    for calendar in CALENDARS:
        tape = stage.tape(calendar)
        gaps = [event for event in tape if isinstance(event, Gap)]
        assert [gap.cause for gap in gaps] == ["restart", "restart"]
        assert gaps[0].ts_to_ns == gaps[1].ts_from_ns
        before = [event for event in tape if event.seq < gaps[0].seq]
        assert gaps[0].ts_from_ns == before[-1].ts_recv_ns
        for key, said in streamed(before).items():
            assert said == log[1][key][: len(said)]
        for key, said in streamed(tape[len(before) :]).items():
            assert said == log[2][key]


def test_a_lost_simulator_is_a_disconnect_and_the_streamer_finds_it_again(stage: Stage) -> None:
    """Heartbeats tell the loss, the next connection ends the gap; a second streamer is refused."""
    simulator = stage.start("simulate")
    first = stage.start("stream")
    wait_until(lambda: is_streaming(stage, 200), "200 items")
    second = stage.start("stream")

    simulator.kill()
    simulator.wait()
    wait_until(lambda: stage.status()["state"] == "reconnecting", "the loss is noticed")
    before = received(stage)
    stage.start("simulate")
    wait_until(lambda: is_streaming(stage, before), "streaming again")

    (gap,) = [event for event in stage.tape("cme") if isinstance(event, Gap)]
    assert gap.cause == "disconnect"
    assert gap.ts_from_ns < gap.ts_to_ns
    lost = [
        beat for beat in stage.tape("cme") if isinstance(beat, Heartbeat) and not beat.connected
    ]
    assert lost
    assert second.wait(30) == 1
    assert first.poll() is None
    assert stage.status()["pid"] == str(first.pid)


def test_the_open_begins_a_round_and_each_round_finds_new_expiries(stage: Stage) -> None:
    """A round that waits through the closed market ends with it; what is listed then comes next."""
    friday = datetime.date(2026, 11, 20)
    stage.start("stream", SCHWAB_CHAIN_INTERVAL_S="6")
    wait_until(lambda: stage.status().get("state") == "waiting", "a streamer that waits")
    stage.start("simulate", "--start", f"{friday}T09:29:56")
    wait_until(lambda: int(stage.status().get("chain_rounds", 0)) > 1, "a round at the open")
    clock = read_clock(stage.client, stage.keys)
    assert clock.now_ns(time.monotonic_ns()) < et_ns(friday, 9, 29) + 90 * SECOND_NS  # not 6 x 10

    stage.play("enlist", symbol="SPX", root="SPXW", expiry="2027-02-03", strikes=[7000])
    born = "SPXW  270203C07000000"

    def come() -> bool:
        return any(isinstance(e, OptionQuote) and e.symbol == born for e in stage.tape("index"))

    wait_until(come, "the contract on the tape")
