"""The running engine on a real hot store: what it publishes, records and takes up again."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from gex_pipeline.engine.aside import Aside
from gex_pipeline.engine.pulse import Market as Clock
from gex_pipeline.engine.pulse import Pulse
from gex_pipeline.errors import HotStoreError
from gex_pipeline.exposure import change
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.live import live_chain
from gex_pipeline.exposure.moment import PUBLISHED
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.hot.confidence import LevelSeen, read_levels
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.ring import decode_entry
from gex_pipeline.market import sessions
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.events import Event, LevelChange
from gex_pipeline_tests.engine.builders import TAPE, S, beat, header_of, told
from gex_pipeline_tests.engine.conftest import PATIENCE_S, Market, wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(600, 4)
NDX = synthetic_chain(300, 3, spot=20_000, symbol="NDX", seed=2)


def moved(chain: OptionChain, seed: int) -> OptionChain:
    """Return the chain after its quotes moved."""
    move = np.random.default_rng(seed).integers(0, 3, len(chain)) * 0.05
    return msgspec.structs.replace(chain, bid=chain.bid + move, ask=chain.ask + move)


def second(number: int) -> list[Event]:
    """Return what the feed tells in one second of the session."""
    return told(moved(CHAIN, number), ASOF_NS + number * S)


def recorded(market: Market, ts_ns: int) -> bool:
    """Return whether a second is on the engine's tape."""
    return any(row.ts_recv_ns == ts_ns for row in market.seconds())


def test_the_published_figures_are_those_of_the_same_rows_in_a_file(market: Market) -> None:
    """Every scope under gex:, to 1e-9, with the tape's newest id; kept for days."""
    market.tell(told(CHAIN))
    with market.running():
        now = {TAPE: market.position}
        wait_until(lambda: all(market.snapshot(s).get("tapes") == now for s in PUBLISHED))
        snapshots = {scope: market.snapshot(scope) for scope in PUBLISHED}

    filed = fold(clean_chain(CHAIN, asof_ns=ASOF_NS), PUBLISHED)
    for scope, expected in filed.items():
        gross = expected.gross_gex or 1.0
        for name in ("net_gex", "call_gex", "put_gex", "dex", "vex", "cex", "net_gex_volume"):
            theirs = getattr(expected, name)
            ours = snapshots[scope][name]
            assert ours == (theirs and pytest.approx(theirs, abs=1e-9 * gross)), (scope, name)
        for name in ("zero_gamma", "call_wall", "put_wall", "spot", "max_pain"):
            theirs = getattr(expected, name)
            assert snapshots[scope][name] == (theirs and pytest.approx(theirs, rel=1e-9))
    assert snapshots["all"]["mode"] == "simulated"
    assert snapshots["all"]["coverage"]["factors"]["feed"] == 1
    ttl: Any = market.store.ttl(market.keys.gex("SPX", "all"))
    assert ttl > 86_400


def test_what_is_published_is_what_is_stored(market: Market) -> None:
    """The channel of a scope's key carries the key's bytes."""
    listener: Any = market.store.pubsub()  # type: ignore[no-untyped-call]
    with listener:
        listener.subscribe(market.keys.gex("SPX", "0dte"))
        with market.running():
            market.tell(told(CHAIN))
            messages: list[bytes] = []

            def heard() -> bool:
                message = listener.get_message(timeout=0.1)
                if message and message["type"] == "message":
                    messages.append(message["data"])
                return bool(messages)

            wait_until(heard)
            wait_until(lambda: market.snapshot().get("tapes") == {TAPE: market.position})
    stored: Any = market.store.get(market.keys.gex("SPX", "0dte"))
    assert stored in messages or msgspec.json.decode(messages[0])["scope"] == "0dte"


def test_each_second_is_recorded_once_through_restarts(market: Market) -> None:
    """Three engines, one after the other: each second and scope once, none missing."""
    number = 0
    for _ in range(3):
        with market.running():
            for _ in range(3):
                market.tell(second(number))
                number += 1
            newest = ASOF_NS + (number - 2) * S
            wait_until(partial(recorded, market, newest))
            wait_until(lambda: market.store.exists(market.keys.chain("SPX")))

    rows = market.seconds()
    found = [(row.ts_recv_ns, row.scope) for row in rows]
    assert found == [(ASOF_NS + at * S, scope) for at in range(number - 1) for scope in PUBLISHED]
    everything = market.recorded()
    assert [event.seq for event in everything] == list(range(1, len(everything) + 1))
    for at in range(number - 1):
        filed = fold(clean_chain(moved(CHAIN, at), asof_ns=ASOF_NS + at * S))["all"]
        assert rows[at * len(PUBLISHED)].net_gex_oi == filed.net_gex


def test_the_stored_chain_gives_the_published_figures(market: Market) -> None:
    """Whoever folds chain: gets what the engine recorded of that second, to the bit."""
    with market.running("SPX", "NDX"):
        market.tell(told(NDX)[:-1] + told(CHAIN))
        market.tell([beat(ASOF_NS + 2 * S)])
        wait_until(lambda: market.store.exists(market.keys.chain("NDX")))
    for symbol in ("SPX", "NDX"):
        data: Any = market.store.get(market.keys.chain(symbol))
        image = decode_image(data)
        snapshot = fold(live_chain(image))["all"]
        row = next(
            row
            for row in market.seconds()
            if (row.symbol, row.scope, row.ts_recv_ns) == (symbol, "all", image.asof_ns)
        )
        assert row.net_gex_oi == snapshot.net_gex
        assert msgspec.json.decode(row.positions) == {
            tape: list(position) for tape, position in image.positions.items()
        }


def test_the_ring_holds_each_second(market: Market) -> None:
    """Strikes and both weights of each scope, as float32."""
    with market.running():
        for number in range(3):
            market.tell(second(number))
        key = market.keys.gexring("SPX")
        wait_until(lambda: market.store.xlen(key) == 2)
    entries: Any = market.store.xrange(key)
    entry = decode_entry(entries[0][1][b"v"])
    filed = fold(clean_chain(moved(CHAIN, 0), asof_ns=ASOF_NS))["all"]

    assert entry.ts_ns == ASOF_NS
    vector = entry.trace("all")
    assert vector.strikes.tolist() == [row.strike for row in filed.strikes]
    np.testing.assert_allclose(
        vector.open_interest, [row.net_gex or 0.0 for row in filed.strikes], rtol=1e-6
    )


def test_the_ring_goes_on_through_restarts(market: Market) -> None:
    """Two engines, one after the other: an entry a second, with the figures of the recorded row."""
    key, number = market.keys.gexring("SPX"), 0
    for _ in range(2):
        with market.running():
            for _ in range(3):
                market.tell(second(number))
                number += 1
            wait_until(partial(recorded, market, ASOF_NS + (number - 2) * S))
            wait_until(lambda: market.store.exists(market.keys.chain("SPX")))
    entries: Any = market.store.xrange(key)
    seconds = [decode_entry(fields[b"v"]) for _, fields in entries]

    assert [entry.ts_ns for entry in seconds] == [ASOF_NS + at * S for at in range(number - 1)]
    for entry, row in zip(seconds, market.seconds()[:: len(PUBLISHED)], strict=True):
        assert entry.trace("all").totals("open_interest").net_gex == row.net_gex_oi
        assert entry.trace("all").totals("volume").net_gex == row.net_gex_volume
    found = change.changes(seconds[-1].trace("all"), {"current": seconds[-2].trace("all")})[0]
    assert found.open_interest.net_gex_change is not None
    assert found.open_interest.reason is None


def test_a_tape_that_falls_silent_shows_at_once(market: Market) -> None:
    """Six seconds of market time without a heartbeat: confidence 0; with one: as before."""
    with market.running():
        market.tell(told(CHAIN, streamed=True))
        wait_until(lambda: market.snapshot().get("confidence"))
        before = market.snapshot()["confidence"]

        market.now_ns += 6 * S
        wait_until(lambda: market.snapshot()["confidence"] == 0)
        assert market.snapshot()["net_gex"] is not None
        assert market.snapshot()["null_reasons"]["zero_gamma"] == "coverage_unusable"

        market.tell([beat(market.now_ns)])
        wait_until(lambda: market.snapshot()["confidence"] == pytest.approx(before, rel=0.01))


def seen(market: Market) -> list[LevelSeen]:
    """Return the changes of level of scope all that readers saw, oldest first."""
    entries: Any = market.store.xrange(market.keys.confidence("SPX"))
    return [one for one in read_levels(entries) if one.scope == "all"]


def told_changes(market: Market) -> list[LevelChange]:
    """Return the changes of level of scope all that were recorded, oldest first."""
    found = [event for event in market.recorded() if isinstance(event, LevelChange)]
    return [event for event in found if event.scope == "all"]


def test_each_change_of_level_is_told_with_its_reason(market: Market) -> None:
    """A window fails and comes again: on our tape, and as readers saw it, previews too."""
    cut = header_of(CHAIN, ASOF_NS + 2 * S + 9, complete=False)
    with market.running():
        market.tell(told(CHAIN))
        now = {TAPE: market.position}
        wait_until(lambda: market.snapshot().get("tapes") == now)
        market.tell([beat(ASOF_NS + 2 * S), cut])
        wait_until(lambda: market.snapshot()["confidence"] == 0)
        market.tell(
            [beat(ASOF_NS + 4 * S), *told(CHAIN, ASOF_NS + 4 * S + 9), beat(ASOF_NS + 6 * S)]
        )
        wait_until(lambda: len(told_changes(market)) == 2)
        wait_until(lambda: len(seen(market)) >= 2 and seen(market)[-1].level == "high")
    shown = seen(market)[-2:]  # before the whole chain was there previews may have had another one
    for one in (shown, told_changes(market)):
        assert [(each.level_before, each.level) for each in one] == [
            ("high", "unusable"),
            ("unusable", "high"),
        ]
    assert shown[0].reasons == ("feed:windows",)
    fell, rose = told_changes(market)
    assert (fell.ts_recv_ns, rose.ts_recv_ns) == (ASOF_NS + 3 * S, ASOF_NS + 5 * S)
    assert (fell.confidence, fell.reasons, fell.reasons_before) == (0, "feed:windows", "")
    rows = {row.ts_recv_ns: row for row in market.seconds() if row.scope == "all"}
    assert rows[fell.ts_recv_ns].confidence == fell.confidence
    assert rows[fell.ts_recv_ns - S].confidence == fell.confidence_before
    assert (rows[fell.ts_recv_ns].windows, rows[fell.ts_recv_ns].windows_complete) == (1, 0)


def test_a_restart_knows_the_level_before(market: Market) -> None:
    """The engine dies; the feed dies while it is away; the next one tells the change, once."""
    with market.running():
        market.tell([*told(CHAIN), *second(1), *second(2)])
        wait_until(partial(recorded, market, ASOF_NS + S))
        wait_until(lambda: market.store.exists(market.keys.chain("SPX")))
        wait_until(lambda: market.snapshot()["ts_event_ns"] == ASOF_NS + 2 * S)
    market.tell([beat(ASOF_NS + at * S, connected=False) for at in range(3, 12)])
    for _ in range(2):
        with market.running():
            wait_until(partial(recorded, market, ASOF_NS + 10 * S))
            wait_until(lambda: market.snapshot()["confidence"] == 0)
    (fell,) = told_changes(market)
    assert (fell.level_before, fell.level, fell.reasons) == ("high", "unusable", "feed:silent")
    assert fell.ts_recv_ns == ASOF_NS + 8 * S
    assert seen(market)[-1].level == "unusable"


def test_quotes_that_stand_still_show_though_nothing_happens(market: Market) -> None:
    """Heartbeats only: at the 60th second the published figures say frozen."""
    with market.running():
        market.tell(told(CHAIN, streamed=True))
        market.tell([beat(ASOF_NS + at * S) for at in range(1, 60)])
        wait_until(partial(recorded, market, ASOF_NS + 58 * S))
        assert market.snapshot()["confidence_level"] == "high"
        market.tell([beat(ASOF_NS + at * S) for at in (60, 61)])
        wait_until(lambda: market.snapshot()["confidence"] == 0)
        assert market.snapshot()["coverage"]["reasons"] == ["feed:frozen"]


def test_a_market_whose_clock_stands_is_not_frozen(market: Market) -> None:
    """Nothing comes while market time stands still, however long that takes."""
    engine = market.engine()
    with Aside(engine.run, threading.Event(), "engine"):
        market.tell(told(CHAIN, streamed=True))
        wait_until(lambda: market.snapshot().get("confidence"))
        turns = engine.turned_s
        wait_until(lambda: engine.turned_s > turns + 0.3)
    assert market.snapshot()["confidence_level"] == "high"
    assert "unusable" not in [one.level for one in seen(market)]


def test_an_engine_that_is_behind_takes_no_feed_for_dead(market: Market) -> None:
    """It reads a tape of two minutes that ends now: no level changes on the way."""
    market.tell(told(CHAIN, streamed=True))
    for at in range(1, 121):
        market.tell([*told(moved(CHAIN, at), ASOF_NS + at * S)[1:40], beat(ASOF_NS + at * S)])
    engine = market.engine(publish_per_s=50.0)
    with Aside(engine.run, threading.Event(), "engine"):
        wait_until(lambda: market.snapshot().get("ts_event_ns") == market.now_ns)
        wait_until(lambda: engine.idle)
    assert "unusable" not in [one.level for one in seen(market)]
    assert told_changes(market) == []
    assert 0 < float(engine.status()["resumed_s"]) < PATIENCE_S


def test_another_streamer_takes_over_the_tape(market: Market) -> None:
    """Its epoch is higher, its numbers go on: the engine reads on, and no second is missing."""
    with market.running():
        market.tell(second(0) + second(1))
        wait_until(partial(recorded, market, ASOF_NS))
        market.epoch = 3
        market.tell(second(2) + second(3))
        wait_until(partial(recorded, market, ASOF_NS + 2 * S))
        wait_until(lambda: market.snapshot()["tapes"] == {TAPE: market.position})
    rows = [row for row in market.seconds() if row.scope == "all"]
    assert [row.ts_recv_ns for row in rows] == [ASOF_NS + at * S for at in range(3)]
    epochs = [msgspec.json.decode(row.positions)[TAPE][0] for row in rows]
    assert epochs == [1, 1, 3]
    assert {row.gap_s for row in rows} == {0}


def test_after_the_close_the_figures_of_the_close_stay(market: Market) -> None:
    """What is quoted later changes nothing, also through a restart; the next open does."""
    close = sessions.quote_close_ns(DAY, late=True)
    with market.running():
        market.tell(told(CHAIN, close - S // 2))
        market.tell([beat(close + S // 2)])
        wait_until(lambda: market.snapshot().get("final"))
        before = market.snapshot()
        market.tell(told(moved(CHAIN, 5), close + 3600 * S))
    with market.running():
        market.tell(told(moved(CHAIN, 6), close + 3601 * S))
        wait_until(lambda: market.store.exists(market.keys.chain("SPX")))
    assert market.snapshot() == before
    assert before["ts_event_ns"] == close

    opened = sessions.regular_open_ns(sessions.next_trading_day(DAY)) + S
    with market.running():
        market.tell(told(moved(CHAIN, 7), opened))
        wait_until(lambda: market.snapshot()["ts_event_ns"] == opened)


def test_a_market_that_is_closed_from_the_start_has_figures_of_its_close(market: Market) -> None:
    """An engine that first sees the chain at night folds it as of the close."""
    close = sessions.quote_close_ns(DAY, late=True)
    with market.running():
        market.tell(told(CHAIN, close + 3600 * S))
        wait_until(lambda: market.snapshot().get("tapes") == {TAPE: market.position})
    assert market.snapshot()["ts_event_ns"] == close
    assert market.snapshot()["confidence"] > 0.3
    assert market.seconds() == []


def test_before_the_open_nothing_is_published_whatever_the_clock_says(market: Market) -> None:
    """Volumes and volatilities of a tape in the vendor's reset are no figures of any moment."""
    opened = sessions.regular_open_ns(DAY)
    market.tell(told(CHAIN, opened - 120 * S))
    market.now_ns = opened + 3600 * S  # of an engine that has not heard of the simulator's clock
    engine = market.engine()
    with Aside(engine.run, threading.Event(), "engine"):
        wait_until(lambda: str(engine.progress()[TAPE].position) == market.position)
        turned_s = engine.turned_s
        wait_until(lambda: engine.turned_s > turned_s)
        assert market.snapshot() == {}
        market.tell(told(CHAIN, opened + 1))
        market.tell([beat(opened + S + 1)])
        wait_until(lambda: market.snapshot().get("ts_event_ns") == opened + S)


def test_a_hot_store_that_dies_is_waited_for(market: Market) -> None:
    """Kill -9 of the server: the engine reads, records and publishes on when it is back."""
    server = market.server
    with market.running():
        market.tell(second(0))
        wait_until(lambda: market.snapshot().get("tapes") == {TAPE: market.position})
        process = server._process
        assert process is not None
        process.kill()
        process.wait()
        server.start(server._folder.parent, first_port=server.port, maxmemory_mb=256)
        wait_until(lambda: _answers(market))
        market.store.delete(market.keys.tape(TAPE))
        market._seq = 0
        market.tell(second(0) + second(1) + second(2))
        wait_until(lambda: len(market.seconds()) == 2 * len(PUBLISHED))
        wait_until(lambda: market.snapshot()["ts_recv_ns"] == ASOF_NS + 2 * S)


def test_pulse_holds_the_lease_and_tells_how_it_goes(market: Market) -> None:
    """One engine a namespace; its status has counters, pace and positions."""
    clock = Clock(market.store, market.keys)
    pulse, stop = Pulse(market.store, market.keys, clock), threading.Event()
    assert pulse.begin(stop)
    engine = market.engine()
    beating = threading.Thread(target=pulse.run, args=(engine, stop))
    beating.start()
    try:
        wait_until(lambda: read_status(market.store, market.keys, "engine"))
        told_of = read_status(market.store, market.keys, "engine")
        assert {"publish_per_s", "slowed", "core_share", "recorded_ns:schwab.index"} <= set(told_of)
        other = Pulse(market.store, market.keys, clock)
        other._patience_s = 0.5
        with pytest.raises(HotStoreError, match="another engine"):
            other.begin(stop)
    finally:
        stop.set()
        beating.join()
        engine.close()
    assert Pulse(market.store, market.keys, clock).begin(threading.Event())


def test_the_command_survives_kill_9_and_ends_on_sigterm(market: Market) -> None:
    """Killed between seconds and started again it records each once; SIGTERM ends it with 0."""
    market.keys = market.keys.__class__("sim:")
    market.root = market.root / "sim"
    environment = os.environ | {
        "GEX_DATA_DIR": str(market.root.parent),
        "GEX_REDIS_URL": market.server.url,
        "GEX_SOURCE": "simulator",
        "GEX_SYMBOLS": "SPX",
    }
    command = [sys.executable, "-m", "gex_pipeline.cli", "engine"]
    for number, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
        for at in range(3):
            market.tell(second(3 * number + at))
        with subprocess.Popen(command, env=environment, cwd=market.root.parent) as process:  # noqa: S603 # our own
            due = 3 * number + 2
            wait_until(partial(recorded, market, ASOF_NS + (due - 1) * S))
            wait_until(lambda: market.store.exists(market.keys.chain("SPX")))
            process.send_signal(end)
        assert process.returncode == (-signal.SIGKILL if end == signal.SIGKILL else 0)

    assert [row.ts_recv_ns for row in market.seconds() if row.scope == "all"] == [
        ASOF_NS + at * S for at in range(5)
    ]


def _answers(market: Market) -> bool:
    try:
        return bool(market.store.ping())
    except UNREACHABLE:  # it still reads its file
        return False
