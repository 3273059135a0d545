"""A recorded stretch: a feed by hand on two tapes, the live engine over it, all in the lake."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.engine.aside import Aside
from gex_pipeline.engine.direct import DirectRecorder
from gex_pipeline.engine.run import Engine
from gex_pipeline.engine.run import Plan as EnginePlan
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, decode_frame, encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.session import SessionInfo, read_session, session_keys
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import ChainImage, Event, GexSecond, Quote, Trade
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.replay.plan import Plan
from gex_pipeline.replay.session import Session
from gex_pipeline.replay.source import LakeSource
from gex_pipeline_tests.engine.builders import beat, numbered, quote_of, told
from gex_pipeline_tests.engine.conftest import wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

INDEX, EQUITY, FUTURES = "schwab.index", "schwab.equity", "schwab.cme"
SYMBOLS = ("SPX", "SPY")
LIVE = Keys("sim:")
LENGTH_S = 150
S = SECOND_NS
START_NS = ASOF_NS
END_NS = ASOF_NS + LENGTH_S * S
CHAIN = synthetic_chain(160, 3)
_PER_S = 12


def index_events() -> list[Event]:
    """Return what the index tape tells: the chain, then quotes, a value and a beat a second."""
    rng = np.random.default_rng(3)
    events: list[Event] = [*told(CHAIN, START_NS, streamed=True)]
    for second in range(1, LENGTH_S + 1):
        at_ns = START_NS + second * S
        step = 0.05 * rng.integers(0, 3, len(CHAIN))
        move = msgspec.structs.replace(CHAIN, bid=CHAIN.bid + step, ask=CHAIN.ask + step)
        rows = rng.integers(0, len(CHAIN), _PER_S).tolist()
        events += [
            quote_of(move, row, at_ns - 700_000_000 + place, streamed=True)
            for place, row in enumerate(rows)
        ]
        spot = CHAIN.spot + float(rng.integers(-4, 5)) / 4
        events += [Trade("SPX", at_ns - 500_000_000, at_ns - 500_000_000, price=spot)]
        events += [beat(at_ns - 1)]
    return events


def equity_events() -> list[Event]:
    """Return what the equity tape tells: a trade, a quote and a beat a second."""
    events: list[Event] = []
    for second in range(LENGTH_S + 1):
        at_ns = START_NS + second * S
        price = 600.0 + second / 100
        stamp = at_ns - 300_000_000
        events += [
            Trade("SPY", stamp, stamp, price=price, size=2.0),
            Quote("SPY", stamp, stamp + 5, bid=price - 0.01, ask=price + 0.01),
            beat(at_ns - 1),
        ]
    return events


def future_events() -> list[Event]:
    """Return what the futures' tape tells: a quote of /ES and a beat a second, and a halt."""
    events: list[Event] = []
    for second in range(LENGTH_S + 1):
        at_ns = START_NS + second * S
        stamp = at_ns - 400_000_000
        mid = CHAIN.spot + 21 + second % 7 / 4
        if not 80 <= second < 100:
            events.append(Quote("/ES", stamp, stamp, bid=mid, ask=mid, contract="/ESM25"))
        events.append(beat(at_ns - 1))
    return events


def frames(tape: str, events: list[Event]) -> list[Frame]:
    """Return a tape's frames."""
    every = numbered(events)
    parts = [every[at : at + MAX_EVENTS] for at in range(0, len(every), MAX_EVENTS)]
    return [Frame(tape, 1, part[0].seq, part[-1].seq, DAY, part) for part in parts]


def record(store: redis.Redis, root: Path) -> None:
    """Put the feed on the live tapes, have the live engine record it, and archive all of it."""
    tapes = {INDEX: index_events(), EQUITY: equity_events(), FUTURES: future_events()}
    for tape, events in tapes.items():
        for frame in frames(tape, events):
            store.xadd(LIVE.tape(tape), {b"f": encode_frame(frame)}, id=str(frame.position))
    plan = EnginePlan(symbols=SYMBOLS, source="simulator", mode="simulated", root=root, duty=1.0)
    engine = Engine(plan, store, LIVE, lambda: END_NS)
    with Aside(engine.run, threading.Event(), "live engine"):
        read = {tape: len(events) for tape, events in tapes.items()}

        def through() -> bool:
            at = {name: done.position for name, done in engine.progress().items()}
            return all(at[tape] == (1, last) for tape, last in read.items()) and engine.idle

        wait_until(through)
    source = HotSource(store, LIVE, root / "spool")
    origin = Origin(source="simulator", mode="simulated", tape="")
    archive(source, LakePaths(root), source.tapes(), origin=origin, now_s=0.0)
    for key in store.scan_iter("sim:*"):
        store.delete(key)


class Replayed:
    """A replay in threads of the test, and what its namespace holds."""

    def __init__(self, url: str, root: Path, plan: Plan) -> None:
        self.plan, self.root = plan, root
        self.keys = session_keys(plan.session)
        self.store: redis.Redis = connect(url)
        self.stop = threading.Event()
        wanted = EnginePlan(
            symbols=plan.symbols, source=plan.source, mode=plan.mode, root=root, duty=1.0
        )
        recorder = partial(DirectRecorder, self.store, self.keys)

        def compute(market_ns: Any) -> Engine:
            return Engine(wanted, self.store, self.keys, market_ns, recorder)

        self.said: list[SessionInfo] = []
        self.session = Session(
            plan, self.store, self.keys, LakeSource(LakePaths(root)), compute, self.said.append
        )

    @property
    def info(self) -> SessionInfo:
        """What the replay says of itself."""
        info = read_session(self.store, self.keys)
        assert info is not None
        return info

    @contextmanager
    def running(self) -> Iterator["Replayed"]:
        """Run it for a `with`; it has ended behind it."""
        with Aside(lambda _: self.session.run(self.stop), threading.Event(), "replay"):
            try:
                wait_until(lambda: self.store.exists(self.keys.session()))
                yield self
            finally:
                self.stop.set()

    def run(self) -> "Replayed":
        """Run it to its end."""
        self.session.run(self.stop)
        return self

    def tape(self, tape: str) -> list[Event]:
        """Return the events of a tape of the namespace."""
        entries: Any = self.store.xrange(self.keys.tape(tape))
        return [event for _, entry in entries for event in decode_frame(entry[b"f"]).events]

    def snapshot(self, scope: str = "all") -> dict[str, Any]:
        """Return the published figures of SPX, {} before there are any."""
        data: Any = self.store.get(self.keys.gex("SPX", scope))
        return dict(msgspec.json.decode(data)) if data else {}

    def shows(self, ts_ns: int) -> bool:
        """Whether the published figures are of the second that ends then."""
        return bool(0 <= ts_ns - self.snapshot().get("ts_event_ns", 0) < S)

    def paused_at(self, ts_ns: int) -> bool:
        """Whether it stands at a moment."""
        info = read_session(self.store, self.keys)
        return info is not None and info.state == "paused" and info.market_ns == ts_ns


def plan_of(session: str = "t", **changed: Any) -> Plan:
    """Return a replay of the whole stretch as fast as it goes."""
    plan = Plan(
        session=session,
        date=DAY,
        symbols=SYMBOLS,
        source="simulator",
        mode="simulated",
        speed=None,
    )
    return msgspec.structs.replace(plan, **changed)


def told_of(event: Event) -> tuple[str, str, str, int]:
    """Return what identifies a recorded figure."""
    return (type(event).__name__, event.symbol, getattr(event, "scope", ""), event.ts_recv_ns)


def by_figure(events: list[Event]) -> dict[tuple[str, str, str, int], Event]:
    """Return recorded figures by what identifies them, without their numbers on the tape."""
    kept: list[Event] = [event for event in events if not isinstance(event, ChainImage)]
    found = {told_of(event): msgspec.structs.replace(event, seq=0) for event in kept}
    assert len(found) == len(kept)
    return found


def archived(root: Path, tape: str) -> list[Event]:
    """Return a tape's events out of the lake."""
    paths = LakePaths(root)
    return [e for stretch in recorded(paths, read_chain(paths, tape)) for e in stretch.events]


def seconds(events: list[Event]) -> list[int]:
    """Return the seconds that some figures of SPX, scope all, are of."""
    rows = [event for event in events if isinstance(event, GexSecond)]
    return [row.ts_recv_ns for row in rows if (row.symbol, row.scope) == ("SPX", "all")]
