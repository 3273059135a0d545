"""Faults of vendor and machine at random for a stretch of the market: no event is lost unsaid.

At 60 market seconds a second, some twenty minutes of a small market and a few faults of the many;
GEX_MARKET_STRETCH=whole has two hours of it, with every fault that ends a stream or a process.
GEX_STRETCH_SEED names the seed that all chance comes of; `new` draws one. What must hold of the
tapes is written in streamer/reckoning.py.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest

from gex_pipeline.archive.uncommitted import hot_frames
from gex_pipeline.archive.verify import Places, verify
from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import ChainHeader, Event, Gap, LedgerCount, OptionQuote, Quote
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.market_stretch import (
    COMPANIONS,
    DATE,
    SHORT,
    SPEED,
    WHOLE,
    Played,
    Stretch,
    seed_of,
)
from gex_pipeline_tests.streamer.reckoning import assert_ordered, reckon
from gex_pipeline_tests.streamer.sendlog import lines
from gex_pipeline_tests.streamer.stage import staged

FORM = WHOLE if os.environ.get("GEX_MARKET_STRETCH") == "whole" else SHORT
SEED = seed_of(os.environ.get("GEX_STRETCH_SEED"), 1)
BACK_S = 10.0
"""Real seconds from the end of a fault to data, where nobody else wants the machine's cores."""
ALERTS = {"stream_down", "stream_taken", "auth_required", "service_off", "symbol_limit"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stretch]:
    """The stretch, played to its end; its processes have ended, its hot store runs."""
    say(f"seed {SEED}")
    with staged(tmp_path_factory.mktemp("stretch"), 512) as stage:
        stretch = Stretch(stage, FORM, SEED)
        stretch.play()
        yield stretch


@pytest.mark.timeout(3600)
def test_every_event_sent_is_on_its_tape_once_or_inside_a_gap(played: Stretch) -> None:
    """In the hot store, and the same events in the lake."""
    for tape in played.tapes.values():
        assert_ordered(tape)
    say(reckon(played.stage.root, played.tapes))
    paths = LakePaths(played.stage.root)
    for calendar, tape in played.tapes.items():
        stretches = recorded(paths, read_chain(paths, f"schwab.{calendar}"))
        assert [event for each in stretches for event in each.events] == tape


def test_the_ledger_closes_and_what_was_cut_is_in_quarantine(played: Stretch) -> None:
    """Received = written + conflated + rejected; each frame that was cut is kept as it came."""
    stage = played.stage
    hot = hot_frames(stage.client, stage.keys)
    paths = LakePaths(stage.root)
    report = verify(Places(paths, stage.root / "spool", stage.root / "capture", hot), DATE)
    say(f"{report.capture_minutes} minutes counted twice; gaps {report.tapes[0].gaps}")
    assert (report.closes, report.capture, report.inside_gaps) == (True, "closes", ())

    kept = [line for line in _quarantined(played) if line["reason"] == "json"]
    cut = {line["stream"] for line in lines(stage.root) if line.get("fault") == "garble"}
    assert len(kept) <= len(cut)  # the first of a connection is its end
    assert all(line["item"].startswith('{"data"') for line in kept)
    counted = sum(
        event.events
        for event in played.tapes["equity"]
        if isinstance(event, LedgerCount) and (event.outcome, event.reason) == ("rejected", "json")
    )
    assert counted <= len(kept)  # fewer where a kill came before the count
    assert not [line for line in _quarantined(played) if line["reason"] != "json"]


def test_every_fault_is_seen(played: Stretch) -> None:
    """In the log, as an alert, or on the tape; of a short stretch, what its requests could meet."""
    unseen = {each.kind.name for each in played.played} - set(_seen(played))
    say(f"{len(played.played)} faults, {played.sign_ins} sign-ins, not seen: {unseen or 'none'}")
    if FORM is WHOLE:
        assert not unseen
        assert set(played.alerts()) >= ALERTS
    else:
        assert unseen <= {kind.name for kind in COMPANIONS}


def test_data_are_back_soon(played: Stretch) -> None:
    """Within seconds of the end of what kept them away; longer where the machine is crowded."""
    found = [each for tape in played.tapes.values() for each in recoveries(tape, played.ends_ns)]
    after_ns, gap = max(found, key=lambda each: each[0], default=(0, None))
    after_s = after_ns / SECOND_NS
    say(f"longest of {len(found)}: {after_s:.0f} market s, {after_s / SPEED:.1f} s, {gap}")
    assert after_s / SPEED <= BACK_S * played.crowd


def recoveries(tape: list[Event], ends_ns: list[int]) -> Iterator[tuple[int, Gap]]:
    """Yield how long each gap of the whole tape went on behind the end of its fault."""
    for gap in tape:
        if isinstance(gap, Gap) and not gap.symbol:
            over = [end for end in ends_ns if gap.ts_from_ns <= end <= gap.ts_to_ns]
            yield gap.ts_to_ns - max([gap.ts_from_ns, *over]), gap


def say(what: object) -> None:
    """Print a figure for whoever runs it by hand."""
    print(what)  # noqa: T201 # so is it read


def _quarantined(stretch: Stretch) -> list[dict[str, Any]]:
    files = sorted((stretch.stage.root / "quarantine").glob("*.jsonl"))
    return [msgspec.json.decode(line) for path in files for line in path.read_bytes().splitlines()]


# --- what shows a fault ---------------------------------------------------------------------------


def _seen(stretch: Stretch) -> Iterator[str]:
    """Yield the names of the faults that were seen."""
    for each in stretch.played:
        said, shown = each.kind.said, _SHOWN.get(each.kind.name, _never)
        if (said and re.search(said, stretch.said(each.heard))) or shown(stretch, each):
            yield each.kind.name


def _during(stretch: Stretch, played: Played) -> Iterator[Event]:
    """Yield what was received while a fault ran."""
    for tape in stretch.tapes.values():
        for event in tape:
            if played.from_ns <= event.ts_recv_ns <= played.until_ns:
                yield event


def _restarts(stretch: Stretch, played: Played) -> bool:
    gaps = (event for event in stretch.tapes["cme"] if isinstance(event, Gap))
    return any(gap.cause == "restart" and gap.ts_to_ns >= played.from_ns for gap in gaps)


def _is_bulky(stretch: Stretch, played: Played) -> bool:
    least = played.kind.acts[0][1]["bytes"]
    return any(len(frame.data) >= least for frame in read_capture(stretch.stage.root / "capture"))


def _is_late(stretch: Stretch, played: Played) -> bool:
    late_ns = 0.8 * played.kind.acts[0][1]["by_s"] * SPEED * SECOND_NS
    quotes = (event for event in _during(stretch, played) if isinstance(event, Quote))
    return any(quote.ts_recv_ns - quote.ts_event_ns > late_ns for quote in quotes)


def _is_swapped(stretch: Stretch, played: Played) -> bool:
    last: dict[int, int] = {}
    for line in lines(stretch.stage.root):
        ts_ns, before_ns = line["ts_ns"], last.get(line["stream"], 0)
        if line["stream"] and played.from_ns <= ts_ns < before_ns:
            return True
        last[line["stream"]] = ts_ns
    return False


def _is_blank(stretch: Stretch, played: Played) -> bool:
    options = (event for event in _during(stretch, played) if isinstance(event, OptionQuote))
    return any(option.open_interest in (0, None) for option in options)


def _is_void(stretch: Stretch, played: Played) -> bool:
    options = (event for event in _during(stretch, played) if isinstance(event, OptionQuote))
    return any(option.underlying == "SPX" and option.iv is None for option in options)


def _is_halted(stretch: Stretch, played: Played) -> bool:
    margin_ns = 15 * SECOND_NS  # what is under way at either end
    inside = played._replace(
        from_ns=played.from_ns + margin_ns, until_ns=played.until_ns - margin_ns
    )
    quotes = (event for event in _during(stretch, inside) if isinstance(event, Quote))
    return not any(quote.symbol == "/ES" for quote in quotes)


def _is_short(stretch: Stretch, played: Played) -> bool:
    for event in stretch.tapes["index"]:
        if isinstance(event, ChainHeader) and event.contracts and not event.complete:
            return True
        if isinstance(event, LedgerCount) and event.reason == "asked_again":
            return True
    return False


def _never(_: Stretch, __: Played) -> bool:
    return False


def _always(_: Stretch, __: Played) -> bool:
    return True


_SHOWN: Final[dict[str, Callable[[Stretch, Played], bool]]] = {
    "kill -9 of the streamer": _restarts,
    "kill -9 of the hot store": _always,  # its senders found it again: that was waited for
    "bulk": _is_bulky,
    "lag": _is_late,
    "shuffle": _is_swapped,
    "blank": _is_blank,
    "void": _is_void,
    "halt": _is_halted,
    "shorten": _is_short,
}
