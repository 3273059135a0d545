"""Futures beside the indexes: recorded and published by the running engine, through restarts."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.futures import FutureBasis, of_row
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.pairing import IndexSecond, Pairing
from gex_pipeline.hot.chains import folded_through
from gex_pipeline.hot.frame import Frame, decode_frame, encode_frame
from gex_pipeline.market.events import Basis, Event, Quote, Trade
from gex_pipeline_tests.engine.builders import S, beat, feed, lane_of, numbered, told
from gex_pipeline_tests.engine.conftest import Market, wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(300, 3)
CME = "schwab.cme"


def index_events(first: int, last: int) -> list[Event]:
    """Return what is said of the index in these seconds: a value and a heartbeat each."""
    made: list[Event] = []
    for at in range(first, last):
        ts_ns = ASOF_NS + at * S
        price = 6000.0 + float(np.sin(at))
        made += told(CHAIN) if at == 0 else [Trade("SPX", ts_ns, ts_ns, price=price), beat(ts_ns)]
    return made


def future_events(first: int, last: int) -> list[Event]:
    """Return what is said of its futures: quotes, a halt of the big one, and heartbeats."""
    made: list[Event] = []
    for at in range(first, last):
        ts_ns = ASOF_NS + at * S
        mid = 6021.5 + float(np.cos(at))
        if not 20 <= at < 30:
            made.append(Quote("/ES", ts_ns, ts_ns, bid=mid, ask=mid, contract="/ESM25"))
        if at % 3 == 0:
            made.append(Quote("/MES", ts_ns, ts_ns, bid=mid, ask=mid, contract="/MESM25"))
        made.append(beat(ts_ns))
    return made


class Futures:
    """The futures' tape of a market, told by hand."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.seq = 0

    def tell(self, events: Sequence[Event]) -> None:
        """Put events on the tape, as one frame."""
        part = numbered(list(events), self.seq + 1)
        frame = Frame(CME, 1, self.seq + 1, self.seq + len(part), DAY, part)
        self.seq = frame.last_seq
        self.market.store.xadd(
            self.market.keys.tape(CME), {b"f": encode_frame(frame)}, id=str(frame.position)
        )

    def rows(self) -> list[Basis]:
        """Return what the engine recorded, without places on its tape."""
        entries: Any = self.market.store.xrange(self.market.keys.tape("gex.cme"))
        events = [event for _, entry in entries for event in decode_frame(entry[b"f"]).events]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return [msgspec.structs.replace(e, seq=0) for e in events if isinstance(e, Basis)]

    def newest_ns(self) -> int:
        """Return the newest second that has rows."""
        return max((row.ts_recv_ns for row in self.rows()), default=0)


@pytest.fixture
def futures(market: Market) -> Futures:
    """The futures' tape beside the market's own."""
    return Futures(market)


def expected(seconds: int) -> list[Basis]:
    """Return the rows of an engine that reads both tapes once."""
    pairing = Pairing(CME)
    rows: list[Basis] = []
    list(pairing.take(1, numbered(future_events(0, seconds))))
    for second in feed(lane_of("SPX"), index_events(0, seconds)):
        image = second.images[0]
        index = index_at(image, figures(image, ("all",), final=True)["all"], second.ts_ns)
        for each in pairing.put(IndexSecond(second.ts_ns, (index,), image.positions)):
            rows += each.rows
    return rows


def test_each_second_is_recorded_and_published(market: Market, futures: Futures) -> None:
    """Of both roots, equal to the pure join; the newest under basis:, by root, kept for days."""
    with market.running():
        market.tell(index_events(0, 40))
        futures.tell(future_events(0, 40))
        wait_until(lambda: futures.newest_ns() == ASOF_NS + 38 * S)
        key = market.keys.basis("SPX")
        wait_until(lambda: b'"ts_ns":%d' % (ASOF_NS + 38 * S) in (market.store.get(key) or b""))

    rows = futures.rows()
    assert rows == expected(40)
    assert [row.symbol for row in rows[:2]] == ["/ES", "/MES"]
    assert {(row.method, row.reason) for row in rows} == {("live", None), (None, "never_measured")}
    assert {row.quoted for row in rows if 26 * S <= row.ts_recv_ns - ASOF_NS < 29 * S} == {"/MES"}
    data: Any = market.store.get(key)
    board = msgspec.json.decode(data, type=dict[str, FutureBasis])
    assert board == {row.symbol: of_row(row) for row in rows[-2:]}
    ttl: Any = market.store.ttl(key)
    assert ttl > 86_400


def test_rows_go_on_through_restarts(market: Market, futures: Futures) -> None:
    """Four engines, one after the other: every second's rows once, as one engine makes them."""
    for first in range(0, 80, 20):
        with market.running():
            market.tell(index_events(first, first + 20))
            futures.tell(future_events(first, first + 20))
            newest_ns = ASOF_NS + (first + 18) * S
            wait_until(lambda newest_ns=newest_ns: futures.newest_ns() == newest_ns)  # type: ignore[misc] # bound now
            wait_until(lambda: market.store.exists(market.keys.chain("SPX")))

    assert futures.rows() == expected(80)


def test_a_tape_that_is_late_through_a_restart_leaves_nothing_out(
    market: Market, futures: Futures
) -> None:
    """The index's seconds go on without it; their rows come when it does, after a restart too."""
    futures.tell(future_events(0, 12))
    for first in (0, 30):
        with market.running():
            market.tell(index_events(first, first + 30))
            done_ns = ASOF_NS + (first + 28) * S
            wait_until(lambda done_ns=done_ns: _recorded_ns(market) == done_ns)  # type: ignore[misc] # bound now
            assert futures.newest_ns() in (0, ASOF_NS + 10 * S)
    with market.running():
        futures.tell(future_events(12, 60))
        wait_until(lambda: futures.newest_ns() == ASOF_NS + 58 * S)

    assert futures.rows() == expected(60)


def test_the_futures_tape_may_be_trimmed_behind_the_engine(
    market: Market, futures: Futures
) -> None:
    """Up to a minute before the newest rows: from there a restart reads it."""
    with market.running():
        market.tell(index_events(0, 90))
        futures.tell(future_events(0, 90))
        wait_until(lambda: futures.newest_ns() == ASOF_NS + 88 * S)
        wait_until(lambda: folded_through(market.store, market.keys, CME))
        wait_until(lambda: _resumes_s(market, futures) > 20)

    assert 20 < _resumes_s(market, futures) <= 29


def test_without_an_index_there_are_no_futures(market: Market, futures: Futures) -> None:
    """An engine of shares reads no futures and records none."""
    futures.tell(future_events(0, 20))
    engine = market.engine("SPY")
    engine.close()
    assert set(engine.progress()) == {"schwab.equity"}
    assert not any("basis" in name for name in engine.status())


def _recorded_ns(market: Market) -> int:
    return max((row.ts_recv_ns for row in market.seconds()), default=0)


def _resumes_s(market: Market, futures: Futures) -> float:
    """Return which second the event at the position is of."""
    position = folded_through(market.store, market.keys, CME)
    assert position is not None
    events = numbered(future_events(0, 90))
    return (events[position.seq - 1].ts_recv_ns - ASOF_NS) / S
