"""What a plain Redis subscriber hears of shares and futures: ticks, books, the top of level one."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.feeds.schwab.fields import ITEMS
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.market.events import BookUpdate, Event, Gap
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.hot.builders import running
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until
from gex_pipeline_tests.streamer.test_intake import NOON_NS, Bench, data, kept

KEYS = Keys("sim:", "my:ticks", "my:level2")
SIZES = {"4": 3, "5": 7, "9": 1, "8": 100}
BOOK = {"1": 5_000, "2": [{"0": 600.0, "1": 300}], "3": [{"0": 600.1, "1": 200}]}
MINUTE = {"2": 1.0, "3": 2.0, "4": 0.5, "5": 1.5, "6": 10, "8": 20_000}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An intake on tapes of its own."""
    one = Bench(tmp_path / "bench")
    yield one
    one.tapes.close()
    one.recorder.close(NOON_NS + 3600 * SECOND_NS)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A hot store."""
    with staged(tmp_path) as stage:
        yield stage


@pytest.fixture
def sent(bench: Bench, stage: Stage) -> Iterator[Bench]:
    """The intake, its tapes on their way to the hot store."""
    with ExitStack() as senders:
        for tape in bench.tapes.by_calendar.values():
            senders.enter_context(running(Sender(stage.client, KEYS, tape.spool, source="schwab")))
        yield bench


def future(symbol: str, bid: float) -> dict[str, Any]:
    """The full image of a future."""
    return {"key": symbol, "1": bid, "2": bid + 0.25, "3": bid, **SIZES}


def heard(pubsub: Any, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The next messages of a plain subscriber: channel, and what the JSON says."""
    found: list[tuple[str, dict[str, Any]]] = []

    def enough() -> bool:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)
        if message is not None:
            found.append((message["channel"].decode(), json.loads(message["data"])))
        return len(found) >= count

    wait_until(enough, f"{count} messages")
    return found


def test_a_plain_subscriber_hears_ticks_and_level_2(sent: Bench, stage: Stage) -> None:
    """Ticks of /MNQ and /MES, of /NQ the top of the book; of a share its whole book."""
    with cast("Any", stage.client).pubsub() as pubsub:
        pubsub.subscribe("sim:my:ticks", "sim:my:level2")
        wait_until(lambda: pubsub.subscribed and pubsub.get_message(timeout=0.1), "subscribed")
        for text in (
            data(
                *(future(s, 25_000.0) for s in ("/MNQ", "/MES", "/NQ")), service="LEVELONE_FUTURES"
            ),
            data({"key": "SPY"} | BOOK, service="NYSE_BOOK"),
        ):
            sent.stream(text)
        sent.tapes.flush()
        messages = heard(pubsub, 10)

    ticks = Counter(said["symbol"] for channel, said in messages if channel == "sim:my:ticks")
    books = {said["symbol"]: said for channel, said in messages if channel == "sim:my:level2"}
    assert ticks == {"/MNQ": 2, "/MES": 2, "/NQ": 2}
    top = books.pop("/NQ")
    assert (top["depth"], top["source"], top["venue"]) == (1, "level_one", None)
    assert (top["bids"], top["asks"]) == ([[25_000.0, 3.0]], [[25_000.25, 7.0]])
    assert {said["source"] for said in (books["/MNQ"], books["/MES"])} == {"level_one"}
    spy = books["SPY"]
    assert (spy["source"], spy["venue"], spy["bids"]) == ("schwab", "NYSE_BOOK", [[600.0, 300.0]])
    assert json.loads(cast("bytes", stage.client.get(KEYS.depth("/NQ")))) == top


def test_the_ledger_closes_over_books_candles_and_what_is_made_of_them(bench: Bench) -> None:
    """The top of level one and a jump of the source's numbers are on the tape and no updates."""
    bench.stream(data(future("/NQ", 25_000.0), service="LEVELONE_FUTURES"))
    bench.stream(data({"key": "/NQ", "1": 25_000.25}, service="LEVELONE_FUTURES"))
    minutes = [MINUTE | {"key": "SPY", "1": n, "7": n * 60_000} for n in (1, 2, 5)]
    bench.stream(data(*minutes, service="CHART_EQUITY"))
    bench.stream(data({"key": "SPY"} | BOOK, {"key": "SPY", "2": [7]}, service="NASDAQ_BOOK"))

    assert bench.ledger("cme") == {
        ("quotes", "received", ""): 2,
        ("quotes", "written", ""): 2,
        ("trades", "received", ""): 1,
        ("trades", "written", ""): 1,
    }
    assert bench.ledger("equity") == {
        ("candles", "received", ""): 3,
        ("candles", "written", ""): 3,
        ("depth", "received", ""): 2,
        ("depth", "written", ""): 1,
        ("depth", "rejected", "item"): 1,
    }
    assert [event.seq for event in bench.tape("cme") if isinstance(event, BookUpdate)] == [3, 5]
    (gap,) = [event for event in bench.tape("equity") if isinstance(event, Gap)]
    assert (gap.symbol, gap.cause) == ("SPY", "source_sequence")


def test_the_capture_gives_the_same_books_and_gaps_again(bench: Bench) -> None:
    """What is made of a quote is made again; of each connection anew."""
    for second, day in enumerate((20_000, 20_001)):
        bench.at(second)
        bench.intake.connect()
        bench.stream(data(future("/NQ", 25_000.0 + second), service="LEVELONE_FUTURES"))
        for minute in (1, 3):
            item = MINUTE | {"key": "SPY", "1": minute, "7": minute * 60_000, "8": day}
            bench.stream(data(item, service="CHART_EQUITY"))
    bench.recorder.close(NOON_NS + 4 * SECOND_NS)

    again: dict[str, list[Event]] = {"cme": [], "equity": []}
    for calendar, event in replay_capture(read_capture(bench.folder / "capture")):
        again[calendar].append(event)

    for name, events in again.items():
        said = [(type(event), event.symbol, event.ts_event_ns) for event in bench.tape(name)]
        assert [(type(event), event.symbol, event.ts_event_ns) for event in events] == said
    assert sum(isinstance(event, BookUpdate) for event in again["cme"]) == 2
    assert sum(isinstance(event, Gap) for event in again["equity"]) == 2


# --- what nobody can use --------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    7,
    {"1": 1.0},
    {"key": 5},
    {"key": "???"},
    *({"key": "", "1": value, "2": value, "3": value} for value in (None, "NaN", -999, 10**40)),
    *({"key": "", "2": [value], "3": []} for value in (None, {}, {"0": "NaN", "1": 1}, [1])),
    {"key": "", "3": {"0": 1}, "5": [[]], "7": True},
)
"""Items of any service; an empty key stands for one that the service has."""
KEY_OF: dict[str, str] = {
    "LEVELONE_EQUITIES": "SPY",
    "LEVELONE_OPTIONS": "SPXW  261120C06000000",
    "LEVELONE_FUTURES": "/NQ",
    "LEVELONE_FUTURES_OPTIONS": "./OGG26C4240",
    "LEVELONE_FOREX": "EUR/USD",
    "CHART_EQUITY": "SPY",
    "CHART_FUTURES": "/NQ",
    "NYSE_BOOK": "SPY",
    "NASDAQ_BOOK": "SPY",
    "OPTIONS_BOOK": "SPXW  261120C06000000",
}


@pytest.mark.parametrize("service", list(ITEMS))
def test_odd_items_of_any_service_are_kept_with_a_reason(bench: Bench, service: str) -> None:
    """None raises, the ledger closes, each line of the quarantine has table, reason and item."""
    odd = [item | {"key": KEY_OF[service]} if is_ours(item) else item for item in ODD]

    bench.stream(data(*odd, service=service))

    lines: Counter[str] = Counter()
    for calendar in bench.tapes.by_calendar:
        for (table, outcome, reason), count in bench.ledger(calendar).items():
            lines[table] += count if outcome == "received" else -count
            assert bool(reason) == (outcome == "rejected")
    assert not any(lines.values())
    rejected = kept(bench)
    assert {line["reason"] for line in rejected} >= {"item", "symbol"}
    assert all(line["item"] for line in rejected)


def is_ours(item: Any) -> bool:
    """Whether an item is to get a key of its service."""
    return isinstance(item, dict) and item.get("key") == ""
