"""No schedule of events, crashes, cuts, trims, flushes and compactions loses or doubles an event.

A hypothesis state machine drives the real spool, sender, archive and end of day against a real
server, one step at a time. What may be lost is worked out beside it, from copies alone: an event
that neither the spool nor the server nor the lake holds any more at some moment. Everything else
must stand in the lake exactly once, and what is not there must be named as lost.
"""

import datetime
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive_tape
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Position, decode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.owner import knows_its_end
from gex_pipeline.hot.segment import scan
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import FIELD, floor_of
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Event, Quote, Trade
from gex_pipeline.market.sessions import next_trading_day, session

TAPE: Final = "schwab.index"
ORIGIN: Final = Origin(source="simulator", mode="simulated", tape=TAPE)
FIRST_DAY: Final = datetime.date(2026, 11, 20)
LONG_AGO_S: Final = 0.0
LATER_S: Final = 1e11
HOUR_NS: Final = 3_600_000_000_000

_numbers = itertools.count(1)
_armed: dict[str, int] = {}
"""Points at which the process is to die, with the hits that are still let pass."""


class Killed(BaseException):
    """The process died at a named point: nothing of ours may catch it."""


def _die_where_armed(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "gex.point" or arguments[0] not in _armed:
        return
    _armed[arguments[0]] -= 1
    if _armed[arguments[0]] < 0:
        _armed.clear()
        raise Killed(arguments[0])


@contextmanager
def _dying_at(point: str) -> Iterator[None]:
    """Die where the point is reached for the first time; "" is nowhere."""
    _armed.update({point: 0} if point else {})
    try:
        with suppress(Killed):
            yield
    finally:
        _armed.clear()


class LostReply:
    """A client whose next transaction is done by the server, or is not, and never answered."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.fault = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def pipeline(self, **options: Any) -> Any:
        """Return the transaction; its execute meets the fault."""
        pipe: Any = self._client.pipeline(**options)
        execute = pipe.execute

        def failing(**arguments: Any) -> Any:
            fault, self.fault = self.fault, ""
            if fault == "request":
                raise redis.ConnectionError("cut before the request was whole")
            replies = execute(**arguments)
            if fault == "reply":
                raise redis.ConnectionError("cut before the reply")
            return replies

        pipe.execute = failing
        return pipe


class Schedules(RuleBasedStateMachine):
    """One tape, its owner (who may be dead), a server, a lake."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.root = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.client = self.stack.enter_context(connect(url))
        self.client.flushall()
        self.keys = Keys(f"machine{next(_numbers)}:")
        self.paths = LakePaths(self.root)
        self.folder = self.root / "spool" / TAPE
        self.source = HotSource(self.client, self.keys, self.root / "spool")
        self.wire = LostReply(self.client)
        self.day = FIRST_DAY
        self.told: dict[int, Event] = {}
        self.lost: set[int] = set()
        self.cursor = 0
        self.made = itertools.count(1)
        self.spool: Spool | None = None
        self.sender: Sender | None = None

    @initialize()
    def begin(self) -> None:
        """A new tape."""
        self.open(server_answers=True)

    # --- what the owner does ------------------------------------------------------------------

    @rule(frames=st.integers(1, 3), size=st.integers(1, 4), market=st.sampled_from("tq"))
    @precondition(lambda self: self.spool)
    def events(self, frames: int, size: int, market: str) -> None:
        """Frames of trades or quotes, each unlike every other."""
        assert self.spool
        for _ in range(frames):
            frame = self.spool.append([self.event(market) for _ in range(size)], self.day)
            for event in frame.events:
                assert event.seq not in self.told or event.seq in self.lost, "a number given twice"
                self.told[event.seq] = event
                self.lost.discard(event.seq)

    @rule()
    def roll(self) -> None:
        """The next trading date begins."""
        self.day = next_trading_day(self.day, "index")

    @rule(fault=st.sampled_from(["", "", "request", "reply"]))
    @precondition(lambda self: self.sender)
    def send(self, fault: str) -> None:
        """The sender sends what it can; the connection may break around a transaction."""
        assert self.sender
        self.wire.fault = fault
        with suppress(redis.ConnectionError):
            self.sender.pump()
        self.wire.fault = ""

    @rule(point=st.sampled_from(["spool.written", "sender.sending", "sender.sent"]))
    @precondition(lambda self: self.spool)
    def die(self, point: str) -> None:
        """The owner dies at a named point, or has nothing to do there and dies a little later."""
        with _dying_at(point):
            self.events(1, 2, "t")
            self.send("")
        self.crash()

    @rule()
    @precondition(lambda self: self.spool)
    def crash(self) -> None:
        """The owner is killed: what it wrote is in the files."""
        assert self.spool
        self.spool._keeper.stop()
        self.spool._journal.leave()
        os.close(self.spool._lock)
        self.spool = self.sender = None
        for path in self.folder.glob("*.seg"):  # a frame that was written and not yet counted
            for frame in _frames(path):
                for event in frame:
                    self.told.setdefault(event.seq, event)

    @rule(server_answers=st.booleans())
    @precondition(lambda self: not self.spool)
    def restart(self, server_answers: bool) -> None:
        """The next owner starts; the server may be away at that moment.

        Then it waits where its spool does not say which numbers are taken.
        """
        if server_answers or knows_its_end(self.folder, TAPE):
            self.open(server_answers=server_answers)

    @rule()
    @precondition(lambda self: self.spool)
    def drop(self) -> None:
        """Segments that the lake holds go."""
        assert self.spool
        self.spool.drop_through(read_chain(self.paths, TAPE).cursor)

    # --- what happens to it -------------------------------------------------------------------

    @rule(
        size=st.integers(1, 400), tail=st.sampled_from([b"", b"\0" * 40, b"\xf7GX1 torn", b"\xff"])
    )
    def power_cut(self, size: int, tail: bytes) -> None:
        """The newest segment loses its end, and ends in what was on the disk."""
        if self.spool:
            self.crash()
        segments = sorted(self.folder.glob("*.seg"))
        if segments:
            kept = max(segments[-1].stat().st_size - size, 0)
            os.truncate(segments[-1], kept)
            with segments[-1].open("ab") as file:
                file.write(tail)
        mark = self.folder / "owner"
        if mark.exists():
            mark.write_text(f"{mark.read_text().rpartition(' ')[0]} another-boot")
        self.reckon()

    @rule(share=st.floats(0, 1, exclude_max=True), pick=st.integers(0, 5))
    def flip(self, share: float, pick: int) -> None:
        """A byte of the spool is another one."""
        if self.spool:
            self.crash()
        segments = [path for path in sorted(self.folder.glob("*.seg")) if path.stat().st_size]
        if segments:
            path = segments[pick % len(segments)]
            data = bytearray(path.read_bytes())
            data[int(share * len(data))] ^= 0x20
            path.write_bytes(data)
        self.reckon()

    @rule()
    def lose_spool(self) -> None:
        """The whole spool folder is gone."""
        if self.spool:
            self.crash()
        for path in self.folder.glob("*"):
            path.unlink()
        self.reckon()

    @rule()
    def flush(self) -> None:
        """The server forgets everything."""
        self.client.flushall()
        self.reckon()

    @rule()
    @precondition(lambda self: self.sender)
    def trim(self) -> None:
        """Memory is short: the tape is trimmed, archived or not."""
        assert self.sender
        entries: Any = self.client.xrevrange(self.keys.tape(TAPE), count=1)
        if entries:
            epoch, seq = entries[0][0].decode().split("-")
            self.sender.trim(Position(int(epoch), int(seq)))
        self.reckon()

    # --- the lake -----------------------------------------------------------------------------

    @rule(
        point=st.sampled_from(
            ["", "", "part.drafted", "part.written", "part.synced", "part.renamed", "step.durable"]
        ),
        size=st.sampled_from([3, 1000]),
    )
    def archive(self, point: str, size: int) -> None:
        """A step of the archive, which may die on the way."""
        with _dying_at(point):
            archive_tape(self.source, self.paths, ORIGIN, part_events=size)

    @rule(point=st.sampled_from(["", "", "day.drafted", "day.renamed", "day.noted", "day.linked"]))
    def compact(self, point: str) -> None:
        """End of day of every date that is over, which may die on the way."""
        with _dying_at(point):
            self.end_days()

    @rule()
    def collect(self) -> None:
        """What day files have replaced goes, without grace."""
        self.sweep()

    @invariant()
    def the_lake_is_right(self) -> None:
        """Each event at most once, as it was told; the cursor never back; gaps only of the lost."""
        chain = read_chain(self.paths, TAPE)
        assert chain.cursor >= self.cursor
        self.cursor = chain.cursor
        for node in chain.nodes:
            for gap in node.gaps:
                declared = set(range(gap.first, gap.last + 1)) & set(self.told)
                assert declared <= self.lost, f"{sorted(declared - self.lost)} told as lost"

    def teardown(self) -> None:
        """Let everything finish, and look for every event."""
        try:
            if self.spool:  # a sender without anything new does not see that its tape is gone
                self.crash()
            self.open(server_answers=True)
            assert self.sender
            self.sender.pump()
            archive_tape(self.source, self.paths, ORIGIN)
            self.check()
            self.roll()
            self.events(1, 1, "t")
            self.sender.pump()
            archive_tape(self.source, self.paths, ORIGIN)
            self.end_days()
            self.sweep()
            self.check()
        finally:
            if self.spool:
                self.spool.close()
            self.stack.close()

    # --- steps ----------------------------------------------------------------------------------

    def event(self, market: str) -> Event:
        """Return an event like no other."""
        number = next(self.made)
        ts_ns = session(self.day, "index").close_ns - HOUR_NS + number
        if market == "t":
            return Trade("SPX", ts_ns, ts_ns, price=float(number))
        return Quote("SPY", ts_ns, ts_ns, bid=float(number), ask=number + 0.5)

    def open(self, *, server_answers: bool) -> None:
        """Start an owner as the streamer does."""
        chain = read_chain(self.paths, TAPE)
        newest = floor_of(self.client, self.keys, TAPE) if server_answers else Position(0, 0)
        self.spool = Spool.open(
            self.folder,
            TAPE,
            fsync_ms=0,
            floor_seq=max(newest.seq, chain.cursor),
            floor_epoch=max(newest.epoch, chain.epoch),
            archived_seq=chain.cursor,
            segment_bytes=600,
            reserve_bytes=0,
        )
        client: Any = self.wire
        self.sender = Sender(
            client, self.keys, self.spool, publish=False, cursor=lambda: self.committed
        )

    @property
    def committed(self) -> int:
        """Cursor of the lake."""
        return read_chain(self.paths, TAPE).cursor

    def reckon(self) -> None:
        """Work out what nobody holds any more."""
        held = set(self.lake())
        for path in self.folder.glob("*.seg"):
            held |= {event.seq for frame in _frames(path) for event in frame}
        entries: Any = self.client.xrange(self.keys.tape(TAPE))
        for _, fields in entries:
            held |= {event.seq for event in decode_frame(fields[FIELD]).events}
        self.lost |= set(self.told) - held

    def lake(self) -> dict[int, Event]:
        """Return the lake's events by seq; each stands there once."""
        found: dict[int, Event] = {}
        for stretch in recorded(self.paths, read_chain(self.paths, TAPE)):
            for event in stretch.events:
                assert event.seq not in found, f"{event.seq} is there twice"
                found[event.seq] = event
        return found

    def check(self) -> None:
        """Every event that somebody held at every moment is in the lake, and nothing else is."""
        found = self.lake()
        assert found == {seq: self.told[seq] for seq in found}
        assert set(self.told) - self.lost <= set(found)
        named = {
            seq
            for node in read_chain(self.paths, TAPE).nodes
            for gap in node.gaps
            for seq in range(gap.first, gap.last + 1)
        }
        assert named | set(found) == set(range(1, self.committed + 1))

    def end_days(self) -> None:
        """Compact what is over: whatever a later date follows."""
        end_of_day(self.source, self.paths, session(self.day, "index").close_ns)

    def sweep(self) -> None:
        """Collect what was replaced: mark it, and remove it as if the grace were over."""
        for now_s in (LONG_AGO_S, LATER_S):
            clean(self.paths, now_s, grace_s=0.0)


def _frames(path: Path) -> Iterator[tuple[Event, ...]]:
    """Yield the events of a segment's whole frames, in whatever state the file is."""
    data = path.read_bytes()
    for start, header in scan(data, 0):
        yield decode_frame(data[start : start + header.size]).events


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of these schedules alone."""
    server = EmbeddedServer()
    server.start(tmp_path_factory.mktemp("root"), 21_490, 64)
    yield server
    server.stop()


@pytest.mark.timeout(300)
def test_no_schedule_loses_or_doubles_an_event(server: EmbeddedServer) -> None:
    """Whatever order hypothesis thinks of."""
    sys.addaudithook(_die_where_armed)
    examples = int(os.environ.get("GEX_SCHEDULES", "60"))
    run_state_machine_as_test(
        cast("Any", lambda: Schedules(server.url)),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
