"""What stands on the engine's own tape: rows, exposure by strike, chains, each exactly once."""

from functools import partial

import msgspec
import numpy as np
import pytest

from gex_pipeline.engine import record
from gex_pipeline.engine.record import Recorder
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.moment import BY_STRIKE, PUBLISHED, figures, second_events
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.market.events import (
    ChainImage,
    Event,
    GexSecond,
    GexStrikes,
    LevelChange,
    tag_of,
)
from gex_pipeline_tests.engine.builders import S, beat, feed, header_of, lane_of, told
from gex_pipeline_tests.engine.conftest import Market, wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

CHAIN = synthetic_chain(600, 4)
NDX = synthetic_chain(300, 3, spot=20_000, symbol="NDX", seed=2)


def test_each_minute_leaves_its_chains_and_each_quarter_its_strikes(market: Market) -> None:
    """Of two symbols, through a restart: who folds the image gets the row of that second."""
    market.tell(told(NDX)[:-1] + told(CHAIN))
    for seconds in ((0, 31), (31, 62)):
        with market.running("SPX", "NDX"):
            for at in range(*seconds):
                market.tell([beat(ASOF_NS + at * S + S // 2)])
            last = ASOF_NS + (seconds[1] - 1) * S
            wait_until(partial(_reached, market, last))

    events = market.recorded()
    images = [event for event in events if isinstance(event, ChainImage)]
    strikes = [event for event in events if isinstance(event, GexStrikes)]
    assert [(one.ts_recv_ns - ASOF_NS) // S for one in images] == [0, 0, 60, 60]
    assert [one.symbol for one in images[:2]] == ["SPX", "NDX"]
    assert [((one.ts_recv_ns - ASOF_NS) // S, one.symbol, one.scope) for one in strikes] == [
        (at, symbol, scope)
        for at in (0, 15, 30, 45, 60)
        for symbol in ("SPX", "NDX")
        for scope in BY_STRIKE
    ]
    rows = {(row.symbol, row.scope, row.ts_recv_ns): row for row in market.seconds()}
    for one in images:
        snapshot = figures(decode_image(one.image), ("all",), final=True)["all"]
        row = rows[one.symbol, "all", one.ts_recv_ns]
        assert (snapshot.net_gex, snapshot.confidence) == (row.net_gex_oi, row.confidence)
        assert (one.positions, one.spot) == (row.positions, row.spot)
        assert one.contracts == {"SPX": len(CHAIN), "NDX": len(NDX)}[one.symbol]


def test_strikes_are_those_of_the_snapshot_as_float32() -> None:
    """Strikes without an exposure are not listed; without volume there is no answer by it."""
    quiet = msgspec.structs.replace(CHAIN, volume=np.zeros(len(CHAIN)))
    lane = lane_of("SPX")
    (second,) = feed(lane, [*told(quiet), beat(ASOF_NS + S)])
    snapshots = figures(second.images[0], PUBLISHED, final=True)
    found = second_events(ASOF_NS, [(second.images[0], snapshots)], Levels())

    assert [tag_of(event) for event in found] == ["gex"] * 5 + ["gex_strikes"] * 2
    whole = found[5]
    assert isinstance(whole, GexStrikes)
    rows = [row for row in snapshots["all"].strikes if row.call_gex is not None]
    assert whole.strikes == tuple(row.strike for row in rows)
    assert whole.call_gex_oi == tuple(float(np.float32(row.call_gex)) for row in rows)
    assert whole.put_gex_volume == ()
    assert second_events(ASOF_NS + S, [(second.images[0], snapshots)], Levels()) == [
        msgspec.structs.replace(row, ts_recv_ns=ASOF_NS + S) for row in found[:5]
    ]


@pytest.mark.parametrize("there", [1, 5, 8])
def test_a_second_that_was_cut_short_is_finished(
    market: Market, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    """A kill between two frames of a second: the next owner writes what is missing of it."""
    monkeypatch.setattr(record, "MAX_EVENTS", 3)
    market.tell([*told(CHAIN), beat(ASOF_NS + S // 2), beat(ASOF_NS + 3 * S // 2)])
    with market.running():
        wait_until(partial(_reached, market, ASOF_NS + S))
    whole = market.recorded()
    market.store.delete(market.keys.tape("gex.index"), market.keys.chain("SPX"))
    folder = market.root / "spool" / "gex.index"
    for path in folder.iterdir():
        path.unlink()

    recorder = Recorder(market.store, market.keys, market.root, "index")
    recorder.write(ASOF_NS, whole[:there])
    recorder.close()
    with market.running():
        wait_until(partial(_reached, market, ASOF_NS + S))

    assert [_figures(event) for event in market.recorded()] == [_figures(event) for event in whole]


@pytest.mark.parametrize("there", [6, 9, 11, 13])
def test_a_second_that_changed_its_level_is_finished(
    market: Market, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    """Cut short among its rows or among its changes: made again, they are the same, once each."""
    monkeypatch.setattr(record, "MAX_EVENTS", 3)
    start = ASOF_NS + S
    cut = header_of(CHAIN, start + S // 2 + 1, complete=False)
    market.tell([*told(CHAIN, start), beat(start + S // 2), cut, beat(start + 3 * S // 2)])
    market.tell([beat(start + 5 * S // 2)])
    with market.running():
        wait_until(partial(_reached, market, start + 2 * S))
    whole = market.recorded()
    kinds = [tag_of(event) for event in whole]
    assert kinds == ["gex"] * 10 + ["level_change"] * 4 + ["gex"] * 5
    market.store.delete(market.keys.tape("gex.index"), market.keys.chain("SPX"))
    for path in (market.root / "spool" / "gex.index").iterdir():
        path.unlink()

    recorder = Recorder(market.store, market.keys, market.root, "index")
    recorder.write(start, whole[:5])
    recorder.write(start + S, whole[5:there])
    recorder.close()
    with market.running():
        wait_until(partial(_reached, market, start + 2 * S))

    assert [_figures(event) for event in market.recorded()] == [_figures(event) for event in whole]


def test_a_second_too_large_for_a_frame_takes_several(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images by size, rows by number; all of them come, in order."""
    monkeypatch.setattr(record, "IMAGE_BYTES", 1000)
    image = ChainImage("SPX", ASOF_NS, ASOF_NS, positions="{}", contracts=1, image=b"x" * 600)
    row: Event = beat(ASOF_NS)
    recorder = Recorder(market.store, market.keys, market.root, "index")
    recorder.write(ASOF_NS, [*[row] * 300, image, image, image])
    frames = [decode_frame(data) for data in recorder._spool.read_after(0)]
    recorder.close()

    assert [len(frame.events) for frame in frames] == [256, 45, 1, 1]


def test_rows_of_an_underlying_that_stopped_early_are_found(market: Market) -> None:
    """One quotes on for a quarter of an hour: the other's last rows are before a thousand of its.

    In the lake, where a thousand more events lie behind them, and in spool or hot store.
    """

    def row(symbol: str, at: int) -> GexSecond:
        ts_ns = ASOF_NS + at * S
        return GexSecond(
            symbol,
            ts_ns,
            ts_ns,
            scope="all",
            convention="c",
            positions="{}",
            contracts=1,
            null_reasons="{}",
        )

    recorder = Recorder(market.store, market.keys, market.root, "index")
    for at in range(1500):
        both = [row("SPX", at), row("NDX", at)] if at < 3 else [row("SPX", at)]
        recorder.write(ASOF_NS + at * S, both)
    found = [r.ts_recv_ns for r in recorder.newest_rows({"SPX", "NDX"}) if r.symbol == "NDX"]
    alone = recorder.newest_rows({"SPX"})
    recorder.close()

    assert found[-2:] == [ASOF_NS + S, ASOF_NS + 2 * S]
    assert alone[-1].ts_recv_ns == ASOF_NS + 1499 * S
    assert len(alone) < 1500


def _reached(market: Market, ts_ns: int) -> bool:
    rows = market.seconds()
    return bool(rows) and rows[-1].ts_recv_ns == ts_ns


def _figures(event: Event) -> tuple[object, ...]:
    assert isinstance(event, GexSecond | GexStrikes | ChainImage | LevelChange)
    return msgspec.structs.astuple(event)
