"""A replay on a real hot store: equal figures, its clock, what it is told, and what it leaves."""

from typing import Any

import pytest

from gex_pipeline.errors import ReplayError, SessionError, SessionHeldError
from gex_pipeline.hot import control
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.session import SERVICE
from gex_pipeline.replay import generation
from gex_pipeline.replay.write import Writer
from gex_pipeline_tests.engine.builders import numbered
from gex_pipeline_tests.engine.conftest import wait_until
from gex_pipeline_tests.replay.conftest import Recording
from gex_pipeline_tests.replay.stretch import (
    END_NS,
    EQUITY,
    INDEX,
    LENGTH_S,
    START_NS,
    Replayed,
    S,
    archived,
    by_figure,
    equity_events,
    future_events,
    index_events,
    plan_of,
    seconds,
)


def replayed(recording: Recording, session: str, **changed: Any) -> Replayed:
    """Return a replay of the stretch."""
    return Replayed(recording.url, recording.root, plan_of(session, **changed))


def tell(one: Replayed, verb: str, arg: str = "") -> control.Reply:
    """Have a replay do something."""
    request = control.new_request(verb, arg, by="test")
    after = control.ask(one.store, one.keys, SERVICE, request)
    answer = control.await_reply(one.store, one.keys, SERVICE, after, request, 20.0)
    assert answer is not None
    return answer


def not_of_replays(recording: Recording) -> set[bytes]:
    """Return the keys outside of every replay's namespace."""
    with connect(recording.url) as store:
        return {key for key in store.scan_iter("*") if not key.startswith(b"replay:")}


def test_replayed_figures_equal_the_recorded_ones(recording: Recording) -> None:
    """Every second and scope, every field, positions too; nothing else is written anywhere."""
    before_keys = not_of_replays(recording)
    before = {path: path.stat().st_mtime_ns for path in recording.root.rglob("*")}
    one = replayed(recording, "whole").run()

    live = by_figure(archived(recording.root, "gex.index"))
    assert len(seconds(list(live.values()))) >= LENGTH_S - 2
    assert by_figure(one.tape("gex.index")) == live
    basis = by_figure(archived(recording.root, "gex.cme"))
    assert len(basis) == 2 * len(seconds(list(live.values())))
    assert by_figure(one.tape("gex.cme")) == basis
    assert one.info.state == "ended"
    told = [*index_events(), *equity_events(), *future_events()]
    assert one.info.events == len(told)
    assert {path: path.stat().st_mtime_ns for path in recording.root.rglob("*")} == before
    assert not_of_replays(recording) == before_keys


def test_every_key_of_it_ends_by_itself(recording: Recording) -> None:
    """No key of the namespace lives longer than a day after it."""
    one = replayed(recording, "ttl", end_ns=START_NS + 5 * S).run()

    lives = [one.store.ttl(key) for key in one.store.scan_iter(f"{one.keys.prefix}*")]
    assert len(lives) > 10
    assert all(0 < life <= 86_400 for life in lives)


def test_tape_and_projections_are_what_live_has(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same events under the same numbers; newest values, ticks, options and messages too."""
    monkeypatch.setattr(generation, "TRIM_EVERY_S", 1e9)  # else it is trimmed behind the engine
    one = replayed(recording, "tape", until_ns=START_NS + 10 * S)
    listener: Any = one.store.pubsub()  # type: ignore[no-untyped-call]
    listener.subscribe(one.keys.ticks_channel)
    with one.running():
        wait_until(lambda: one.paused_at(START_NS + 10 * S))
        trades = list(iter(lambda: listener.get_message(timeout=0.1), None))
    events = one.tape(EQUITY)

    due = [event for event in equity_events() if event.ts_recv_ns <= START_NS + 10 * S]
    assert events == list(numbered(due))
    assert one.store.hgetall(one.keys.last("SPY"))
    assert one.store.xlen(one.keys.options("SPX")) > 0
    assert one.store.xlen(one.keys.ticks("SPX")) > 0
    assert len([m for m in trades if m["type"] == "message"]) > 10
    listener.close()


def test_figures_after_a_later_start_equal_the_recorded_ones(recording: Recording) -> None:
    """From the newest minute's image on; the seconds before it are not replayed."""
    start_ns = START_NS + 75 * S
    one = replayed(recording, "later", start_ns=start_ns).run()

    live = by_figure(archived(recording.root, "gex.index"))
    mine = by_figure(one.tape("gex.index"))
    assert min(seconds(list(mine.values()))) >= START_NS + 60 * S
    assert mine == {key: row for key, row in live.items() if key[3] in seconds(list(mine.values()))}
    assert {key for key in live if key[3] > start_ns} <= set(mine)
    basis = by_figure(archived(recording.root, "gex.cme"))
    anew = by_figure(one.tape("gex.cme"))
    assert anew == {key: row for key, row in basis.items() if key in anew}
    assert {key for key in basis if key[3] > START_NS} <= set(anew)  # those before it put there


def test_pause_step_and_speed(recording: Recording) -> None:
    """The clock stands while paused, goes on by a second at a step, and runs at its speed."""
    one = replayed(recording, "steer", until_ns=START_NS + 20 * S, speed=30.0)
    with one.running():
        wait_until(lambda: one.paused_at(START_NS + 20 * S))
        stood = read_clock(one.store, one.keys)
        assert stood.speed == 0
        assert tell(one, "step").ok
        assert one.paused_at(START_NS + 21 * S)
        wait_until(lambda: one.shows(START_NS + 21 * S))
        assert tell(one, "step", "3").ok
        assert one.paused_at(START_NS + 24 * S)
        assert tell(one, "speed", "2").ok
        assert tell(one, "resume").ok
        assert read_clock(one.store, one.keys).speed == 2
        wait_until(lambda: one.info.market_ns > START_NS + 25 * S)
        assert not tell(one, "speed", "nonsense").ok
        assert tell(one, "pause").ok
        stands = one.info.market_ns
        wait_until(lambda: one.info.lag_s == 0)
        assert one.info.market_ns == stands


def test_seek_back_and_forward(recording: Recording) -> None:
    """Back begins anew from an image, under the recorded numbers; figures are the recorded ones."""
    one = replayed(recording, "seek", until_ns=START_NS + 140 * S)
    live = by_figure(archived(recording.root, "gex.index"))
    with one.running():
        wait_until(lambda: one.paused_at(START_NS + 140 * S))
        assert tell(one, "seek", "10:31:10").ok
        wait_until(lambda: one.paused_at(START_NS + 70 * S))
        assert one.info.generation == 2
        wait_until(lambda: one.shows(START_NS + 70 * S))
        again = by_figure(one.tape("gex.index"))
        assert max(seconds(list(again.values()))) < START_NS + 71 * S
        assert all(live[key] == row for key, row in again.items())
        assert one.info.positions[INDEX] == f"1-{_numbered_until(START_NS + 70 * S)[-1].seq}"
        assert tell(one, "seek", "+20").ok
        wait_until(lambda: one.paused_at(START_NS + 90 * S))
        assert one.info.generation == 2
        assert not tell(one, "seek", "15:00").ok
        assert tell(one, "resume").ok
        wait_until(lambda: one.info.state == "ended")
    mine = by_figure(one.tape("gex.index"))
    assert all(live[key] == row for key, row in mine.items())
    assert {key for key in live if key[3] > START_NS + 60 * S} <= set(mine)


def test_a_hot_store_without_room_is_waited_for(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 80% of its memory nothing is written, and that is said; below, it goes on."""
    share = [0.9]
    monkeypatch.setattr(Writer, "memory_share", lambda _: share[0])
    monkeypatch.setattr(generation, "MEMORY_EVERY_S", 0.05)
    one = replayed(recording, "room", end_ns=START_NS + 20 * S)
    with one.running():
        wait_until(lambda: one.info.problem)
        assert "memory is short" in str(one.info.problem)
        assert one.info.events == 0
        share[0] = 0.5
        wait_until(lambda: one.info.state == "ended")
    assert seconds(one.tape("gex.index"))[-1] == START_NS + 20 * S


def test_an_id_that_runs_is_refused_and_one_that_ended_begins_anew(recording: Recording) -> None:
    """Two processes never write one namespace; what the first left is gone for the second."""
    one = replayed(recording, "same", until_ns=START_NS + 5 * S)
    with one.running():
        wait_until(lambda: one.paused_at(START_NS + 5 * S))
        with pytest.raises(SessionHeldError, match="gex control stop same"):
            replayed(recording, "same").run()
        assert tell(one, "stop").ok
        wait_until(lambda: one.info.state == "ended")
    again = replayed(recording, "same", end_ns=START_NS + 3 * S).run()
    assert again.info.generation == 1
    assert max(event.ts_recv_ns for event in again.tape(EQUITY)) <= START_NS + 4 * S


def test_what_the_lake_does_not_hold_is_told(recording: Recording) -> None:
    """Another date, another symbol, a span that ends before it starts."""
    other = plan_of("x", date=plan_of().date.replace(month=7))
    with pytest.raises(ReplayError, match="It holds 2025-06-02"):
        Replayed(recording.url, recording.root, other)
    with pytest.raises(ReplayError):
        replayed(recording, "x", symbols=("/NQ",))
    with pytest.raises(SessionError, match="end before it starts"):
        replayed(recording, "x", start_ns=START_NS + 9 * S, end_ns=START_NS + 5 * S)


def test_the_end_of_the_stretch_is_its_last_second(recording: Recording) -> None:
    """The clock never runs past what is recorded."""
    one = replayed(recording, "end", start_ns=END_NS - 20 * S, speed=100.0).run()

    assert one.info.market_ns <= END_NS
    assert one.info.lag_s == 0


def _numbered_until(ts_ns: int) -> Any:
    return [event for event in numbered(index_events()) if event.ts_recv_ns <= ts_ns]
