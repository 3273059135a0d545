"""The send log against a tape with gaps: each event once, or behind what its connection lost.

A tape is cut into the runs between its gaps. Each run must be the beginning of what one connection
of the simulator sent, key by key and in order; what that connection sent behind it, and all of a
connection without a run, must lie inside a gap.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gex_pipeline.market.events import (
    BookUpdate,
    Candle,
    Event,
    Gap,
    OptionQuote,
    Quote,
    Trade,
)
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline_tests.streamer.sendlog import Told, expected, lines, told

Run = dict[str, list[Told]]
"""What a connection told, by Schwab's key."""
_TRANSIT_NS = 5_000_000_000
"""A frame that never came was sent at most so long before the gap that began with the last one."""


class Reckoning(NamedTuple):
    """What became of the events of the send log."""

    on_tape: int
    in_gaps: int


def reckon(folder: Path, tapes: Mapping[Calendar, Iterable[Event]]) -> Reckoning:
    """Assert that every event of the log is on the tapes exactly once or inside a gap."""
    sent, stamps = expected(folder), _stamps(folder)
    runs, gaps = _runs(tapes), _gaps(tapes)
    on_tape = in_gaps = place = 0
    for stream, keys in sorted(sent.items()):
        run = runs[place] if place < len(runs) and _begins(keys, runs[place]) else None
        came = sum(map(len, run.values())) if run is not None else 0
        lost = sum(map(len, keys.values())) - came
        if run is not None:
            place += 1
        if lost:
            first = {key: len(run[key]) if run and key in run else 0 for key in keys}
            _assert_covered(stamps[stream], first, keys, gaps)
        on_tape, in_gaps = on_tape + came, in_gaps + lost
    assert place == len(runs), "a run of the tape is no connection's beginning"
    return Reckoning(on_tape, in_gaps)


def _runs(tapes: Mapping[Calendar, Iterable[Event]]) -> list[Run]:
    """The tapes between the gaps that all of them have; a run that nothing came in is none."""
    runs: list[Run] = []
    for events in tapes.values():
        number = 0
        for event in events:
            if isinstance(event, Gap):
                number += 1
            while len(runs) <= number:
                runs.append(defaultdict(list))
            row = isinstance(event, OptionQuote) and not event.streamed
            if isinstance(event, Quote | Trade | OptionQuote | BookUpdate | Candle) and not row:
                runs[number][to_schwab(event.symbol)].append(told(event))
    return [run for run in runs if run]


def _gaps(tapes: Mapping[Calendar, Iterable[Event]]) -> list[tuple[int, int]]:
    """The gaps; all tapes have the same ones."""
    found = [
        [(event.ts_from_ns, event.ts_to_ns) for event in events if isinstance(event, Gap)]
        for events in tapes.values()
    ]
    assert all(each == found[0] for each in found)
    return found[0]


def _begins(sent: Mapping[str, list[Told]], run: Run) -> bool:
    """Whether a run is the beginning of what a connection sent."""
    return all(said == sent.get(key, [])[: len(said)] for key, said in run.items())


def _assert_covered(
    stamps: Mapping[str, list[int]],
    first: Mapping[str, int],
    keys: Mapping[str, list[Told]],
    gaps: list[tuple[int, int]],
) -> None:
    for key, begin in first.items():
        if begin == len(keys[key]):
            continue
        last_ns = stamps[key][-1]
        inside = [low - _TRANSIT_NS <= last_ns <= high for low, high in gaps]
        assert any(inside), f"{key} was sent outside every gap and is not on the tape"


def _stamps(folder: Path) -> dict[int, dict[str, list[int]]]:
    """When each key's items were sent, by connection."""
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for line in lines(folder):
        found[line["stream"]][line["key"]].append(line["ts_ns"])
    return found
