"""What comes in is stamped, captured, counted and told once, whatever it is."""

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.feeds.recorder import Recorder
from gex_pipeline.feeds.schwab.answers import read_part
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.feeds.schwab.rest import Missing
from gex_pipeline.feeds.schwab.stream import read_frame
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.events import ChainHeader, Event, Gap, Heartbeat, LedgerCount, OptionQuote
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.streamer import quarantine, quiet
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.markettime import MarketTime
from gex_pipeline.streamer.quarantine import Quarantine
from gex_pipeline.streamer.quiet import Quiet
from gex_pipeline.streamer.tapes import Tapes, open_spools

DAY = datetime.date(2026, 11, 20)
NOON_NS = et_ns(DAY, 12)
SPX = {"key": "$SPX", "3": 7000.0, "35": 1_000}
CALL = {"symbol": "SPXW  261120C06000000", "putCall": "CALL", "bid": 1.0, "ask": 1.2}
CHAIN: dict[str, Any] = {
    "symbol": "$SPX",
    "callExpDateMap": {"2026-11-20:0": {"6000.0": [CALL, {"symbol": "no contract"}]}},
}


class Bench:
    """An intake on tapes of its own, with a market time that is set by hand."""

    def __init__(self, folder: Path, limit_s: float = 30.0) -> None:
        self.folder = folder
        self.time = MarketTime()
        self.at(0)
        self.tapes = Tapes(open_spools(folder, {}, fsync_ms=1000), self.time)
        self.quiet = Quiet(self.tapes, frozenset({"index", "equity"}), limit_s)
        self.recorder = Recorder(folder / "capture", NOON_NS, free_percent=0)
        quarantined = Quarantine(folder / "quarantine")
        self.intake = Intake(self.tapes, quarantined, self.quiet, self.recorder)
        self.intake.connect()

    def at(self, seconds: float) -> None:
        """Set the market time, in seconds after noon."""
        self.time.follow(MarketClock(NOON_NS + round(seconds * SECOND_NS), 0, 0.0))

    def stream(self, text: str) -> None:
        """Take a frame of the socket."""
        self.intake.stream(text, read_frame(text), lambda _: None)

    def tape(self, calendar: str = "index") -> list[Event]:
        """What is on a tape by now."""
        self.tapes.flush()
        spool = self.tapes.by_calendar[calendar].spool  # type: ignore[index] # a text is a calendar here
        return [event for data in spool.read_after(0) for event in decode_frame(data).events]

    def ledger(self, calendar: str = "index") -> Counter[tuple[str, str, str]]:
        """What its ledger says once it is settled."""
        self.tapes.settle()
        found: Counter[tuple[str, str, str]] = Counter()
        for event in self.tape(calendar):
            if isinstance(event, LedgerCount):
                found[event.table, event.outcome, event.reason] += event.events
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One, closed at the end."""
    one = Bench(tmp_path)
    yield one
    one.tapes.close()
    one.recorder.close(NOON_NS + 3600 * SECOND_NS)


def data(*items: Any, service: str = "LEVELONE_EQUITIES") -> str:
    """A data frame."""
    return json.dumps({"data": [{"service": service, "timestamp": 5, "content": items}]})


def kept(bench: Bench) -> list[dict[str, Any]]:
    """What lies in the quarantine."""
    files = sorted((bench.folder / "quarantine").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_what_cannot_be_used_is_counted_and_kept(bench: Bench) -> None:
    """No JSON, another service, an unknown symbol: received = rejected, and the item is there."""
    bench.stream("<html>")
    bench.stream(data(SPX, service="NEWS_HEADLINE"))
    bench.stream(data({"key": "???", "3": 1.0}, {"key": "$SPX", "1": 0.0}))

    assert bench.ledger("equity") == {
        ("", "received", ""): 2,
        ("", "rejected", "json"): 1,
        ("", "rejected", "service"): 1,
        ("trades", "received", ""): 1,
        ("trades", "rejected", "symbol"): 1,
    }
    assert bench.ledger() == {
        ("quotes", "received", ""): 1,
        ("quotes", "rejected", "index_quote"): 1,
    }
    assert [(line["reason"], line["table"]) for line in kept(bench)] == [
        ("json", ""),
        ("service", ""),
        ("symbol", "trades"),
    ]
    assert kept(bench)[0]["item"] == "<html>"
    assert next((bench.folder / "quarantine").iterdir()).stat().st_mode & 0o777 == 0o600


def test_the_quarantine_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many lines a minute, so many bytes of each, so many a day; the ledger counts them all."""
    monkeypatch.setattr(quarantine, "LINES_A_MINUTE", 3)
    for _ in range(10):
        bench.stream("x" * 10_000)
    bench.at(60)
    bench.stream("y")

    assert [line["bytes"] for line in kept(bench)] == [10_000] * 3 + [1]
    assert len(kept(bench)[0]["item"]) == quarantine.LONGEST
    assert bench.ledger("equity")["", "rejected", "json"] == 11

    monkeypatch.setattr(quarantine, "FILE_BYTES", 0)
    bench.at(120)
    bench.stream("z")
    assert len(kept(bench)) == 4


def test_an_answer_is_its_rows_and_itself(bench: Bench) -> None:
    """A row that names no contract is rejected by its reason; the rest is written."""
    part = read_part(json.dumps(CHAIN).encode(), DAY, DAY)

    bench.intake.chain("SPX", part)

    assert bench.ledger() == {
        ("chain_headers", "received", ""): 1,
        ("chain_headers", "written", ""): 1,
        ("option_quotes", "received", ""): 2,
        ("option_quotes", "rejected", "symbol"): 1,
        ("option_quotes", "written", ""): 1,
    }


def test_contracts_that_are_no_standard_ones_are_counted_by_reason(bench: Bench) -> None:
    """An adjusted contract and one of another size are in no figure; the ledger has them."""
    listed = CHAIN["callExpDateMap"]["2026-11-20:0"]["6000.0"][:1]
    odd = [
        CALL | {"symbol": "SPXW  261120C06005000", "nonStandard": True},
        CALL | {"symbol": "SPXW  261120C06010000", "multiplier": 10},
    ]
    maps = {"2026-11-20:0": {"6000.0": listed, "6005.0": odd[:1], "6010.0": odd[1:]}}
    answer = json.dumps(CHAIN | {"callExpDateMap": maps}).encode()
    bench.intake.chain("SPX", read_part(answer, DAY, DAY))

    ledger = bench.ledger()
    assert ledger["option_quotes", "received", ""] == 3
    assert ledger["option_quotes", "written", ""] == 1
    assert ledger["option_quotes", "rejected", "adjusted"] == 1
    assert ledger["option_quotes", "rejected", "multiplier"] == 1


def test_what_is_asked_for_again_is_conflated(bench: Bench) -> None:
    """Its halves say it all: nothing of a cut answer is written, all of it is told."""
    part = read_part(json.dumps(CHAIN).encode(), DAY, DAY)

    bench.intake.repeated("SPX", part)

    assert bench.ledger() == {
        ("chain_headers", "received", ""): 1,
        ("chain_headers", "conflated", "asked_again"): 1,
        ("option_quotes", "received", ""): 2,
        ("option_quotes", "conflated", "asked_again"): 2,
    }


def test_a_window_that_cannot_be_had_is_an_update_too(bench: Bench) -> None:
    """Its header is written; what came instead of an answer is kept."""
    bench.intake.missing("SPX", Missing((DAY,), "it cannot be read", b"<html>"))

    (header,) = [event for event in bench.tape() if isinstance(event, ChainHeader)]
    assert (header.contracts, header.complete, header.first_expiry) == (0, False, DAY)
    assert bench.ledger()["chain_headers", "written", ""] == 1
    assert bench.ledger("equity")["", "rejected", "json"] == 1
    assert kept(bench)[0]["item"] == "<html>"


def test_the_capture_gives_all_of_it_again(bench: Bench) -> None:
    """Stream, chain, what is missing: the same events under the same stamps, in the same order."""
    part = read_part(json.dumps(CHAIN).encode(), DAY, DAY)
    call = {"key": CALL["symbol"], "2": 1.0}
    bench.stream(data(SPX))
    bench.at(1)
    bench.stream(data(call, service="LEVELONE_OPTIONS"))
    bench.intake.repeated("SPX", part)
    bench.at(2)
    bench.intake.chain("SPX", part)
    bench.intake.missing("SPX", Missing((DAY,), "status 500"))
    bench.intake.connect()
    bench.at(3)
    bench.stream(data(call | {"2": None, "3": 2.0}, service="LEVELONE_OPTIONS"))
    said = [(e.ts_recv_ns, type(e), getattr(e, "ask", 0)) for e in bench.tape()]
    bench.recorder.close(NOON_NS + 4 * SECOND_NS)

    again = [event for _, event in replay_capture(read_capture(bench.folder / "capture"))]

    assert [(e.ts_recv_ns, type(e), getattr(e, "ask", 0)) for e in again] == said
    assert said[-1] == (NOON_NS + 3 * SECOND_NS, OptionQuote, 2.0)


# --- silence --------------------------------------------------------------------------------------


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic time, as its only item."""
    now = [0.0]
    monkeypatch.setattr(quiet, "monotonic", lambda: now[0])
    return now


def test_a_connected_feed_that_says_nothing_is_a_gap(bench: Bench, seconds: list[float]) -> None:
    """In session, one calendar alone: its heartbeats say so, the next data end it as a gap."""
    bench.stream(data(SPX))
    for second in (10, 40):
        bench.at(second)
        seconds[0] = second
        bench.stream(data({"key": "SPY", "3": 600.0}))
        flows = bench.quiet.look(connected=True)
        assert flows == {"equity": True, "index": second == 10, "cme": True}
        bench.tapes.beat(flows)
    bench.at(50)
    bench.stream(data(SPX | {"3": 7001.0}))

    (gap,) = [event for event in bench.tape() if isinstance(event, Gap)]
    assert (gap.cause, gap.ts_from_ns) == ("silence", NOON_NS)
    assert gap.ts_to_ns == NOON_NS + 50 * SECOND_NS
    assert [e.connected for e in bench.tape() if isinstance(e, Heartbeat)] == [True, False]
    assert not [event for event in bench.tape("equity") if isinstance(event, Gap)]
    assert bench.quiet.look(connected=True)["index"]


def test_a_market_that_stands_still_or_is_closed_is_not_silent(
    bench: Bench, seconds: list[float]
) -> None:
    """Neither real time alone nor market time alone is silence; after the close none is."""
    bench.stream(data(SPX))
    seconds[0] = 100.0
    assert bench.quiet.look(connected=True)["index"]
    bench.at(1000)
    bench.stream(data(SPX))
    bench.at(2000)
    assert bench.quiet.look(connected=True)["index"]

    seconds[0] = 200.0
    assert not bench.quiet.look(connected=True)["index"]
    bench.at(6 * 3600)
    assert bench.quiet.look(connected=True)["index"]
    (gap,) = [event for event in bench.tape() if isinstance(event, Gap)]
    assert gap.ts_from_ns == NOON_NS + 1000 * SECOND_NS


def test_a_silence_that_nothing_ends_is_told_at_the_end(bench: Bench, seconds: list[float]) -> None:
    """The process stops in the middle of one."""
    bench.quiet.look(connected=True)
    bench.at(40)
    seconds[0] = 40.0
    bench.quiet.look(connected=True)

    bench.quiet.close()

    gaps = [event for event in bench.tape() if isinstance(event, Gap)]
    assert [(gap.cause, gap.ts_from_ns) for gap in gaps] == [("silence", NOON_NS)]
    assert bench.quiet.look(connected=False) == {"index": False, "equity": False}
