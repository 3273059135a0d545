"""The simulator's send log as the events it must have become, by a reader of its own."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from gex_pipeline.market.events import BookUpdate, Candle, Event, OptionQuote, Quote, Trade
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of, to_canonical

Told = tuple[object, ...]
"""What is compared of an event: kind, symbol, source's time, figures."""
CHAIN: Final = "CHAIN"
_MS: Final = 1_000_000
_ABSENT: Final = -999
_FRAME: Final = "frame"
"""Under it a state has its frame's time, ms: of what came before the image that says another."""

_Fields = dict[str, Any]


class Sent(NamedTuple):
    """One event that an item of the log must have become."""

    ts_ns: int
    """Market time at which its frame was made."""
    calendar: Calendar
    key: str
    told: Told
    fault: str
    """What was done to its frame, so that nobody can have read it; "": nothing. Of what follows it
    on its connection nobody knows any more what it changes.
    """


def is_streamed(event: Event) -> bool:
    """Whether an event is one that a stream's item became: no row of a chain, no word of ours."""
    match event:
        case Quote() | Trade() | OptionQuote():
            return bool(getattr(event, "streamed", True))
    return isinstance(event, BookUpdate | Candle)


def told(event: Event) -> Told:
    """What an event of the tape tells."""
    match event:
        case Quote():
            sizes = (event.bid_size, event.ask_size)
            return ("quote", event.symbol, event.ts_event_ns, event.bid, event.ask, *sizes)
        case Trade():
            return ("trade", event.symbol, event.ts_event_ns, event.price, event.size, event.volume)
        case OptionQuote():
            held = (event.open_interest, event.volume)
            figures = (event.bid, event.ask, event.iv, event.gamma, event.last, event.mark)
            return ("option", event.symbol, event.ts_event_ns, *figures, *held)
        case Candle():
            prices = (event.open, event.high, event.low, event.close)
            return ("candle", event.symbol, event.ts_event_ns, *prices, event.volume)
        case BookUpdate():
            sides = (event.bid_prices, event.bid_sizes, event.ask_prices, event.ask_sizes)
            return ("book", event.symbol, event.ts_event_ns, event.venue, *sides)
    raise TypeError(event)


def sent(folder: Path) -> dict[int, list[Sent]]:
    """By stream connection: what its items tell, in the order in which they left."""
    states: dict[tuple[int, str, str], _Fields] = defaultdict(dict)
    out: dict[int, list[Sent]] = defaultdict(list)
    for line in lines(folder):
        service, key, stream = line["service"], line["key"], line["stream"]
        if service == CHAIN or not stream:
            continue
        state = states[stream, service, key]
        state |= {_FRAME: line["ts_ns"] // _MS, **line["fields"]}
        read = _READERS.get(service, _level_one)
        calendar = calendar_of(to_canonical(key))
        for said in read(service, key, state, line["fields"]):
            out[stream].append(Sent(line["ts_ns"], calendar, key, said, line.get("fault", "")))
    return out


def expected(folder: Path) -> dict[int, dict[str, list[Told]]]:
    """By stream connection and key: what its items tell, in the order they were sent."""
    out: dict[int, dict[str, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for stream, items in sent(folder).items():
        for item in items:
            if not item.fault:
                out[stream][item.key].append(item.told)
    return out


def lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log."""
    files = sorted((folder / "simulator").glob("sendlog-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


# --- one service each: its name, the key, the whole state, what has changed -----------------------


def _option(_: str, key: str, state: _Fields, __: _Fields) -> Iterator[Told]:
    known = {name: None if value == _ABSENT else value for name, value in state.items()}.get
    iv, ts_ms = known("10"), max(known("38") or 0, known("39") or 0) or state[_FRAME]
    prices = (known("2"), known("3"), None if iv is None else iv / 100)
    figures = (known("29"), known("4"), known("37"), known("9"), known("8"))
    yield ("option", key, ts_ms * _MS, *prices, *figures)


def _future_option(_: str, key: str, state: _Fields, __: _Fields) -> Iterator[Told]:
    ts_ms = max(state["10"] or 0, state["11"] or 0)
    prices = (state["1"], state["2"], None, None, state["3"], state["19"])
    yield ("option", key, ts_ms * _MS, *prices, state["18"], state["8"])


_NUMBERS: Final = {
    "LEVELONE_EQUITIES": ("8", "9", "34", "35"),
    "LEVELONE_FUTURES": ("8", "9", "10", "11"),
    "LEVELONE_FOREX": ("6", "7", "8", "9"),
}
"""Volume, size of the last trade, time of the quote, time of the trade."""


def _level_one(service: str, key: str, state: _Fields, changed: _Fields) -> Iterator[Told]:
    volume, size, quoted, traded = _NUMBERS[service]
    index = key.startswith("$")
    symbol = key.lstrip("$")
    is_quoted = not index and bool(changed.keys() & {"1", "2", "4", "5"})
    quoted_ns = (state.get(quoted) or state[_FRAME]) * _MS
    if is_quoted:
        figures = [state.get(name) for name in ("1", "2", "4", "5")]
        yield ("quote", symbol, quoted_ns, *figures)
    if changed.keys() & {"3", size, volume, traded} and state.get("3") is not None:
        sizes = (None, None) if index else (state.get(size), state.get(volume))
        traded_ns = (state.get(traded) or state[_FRAME]) * _MS
        yield ("trade", symbol, traded_ns, state["3"], *sizes)
    if is_quoted and service == "LEVELONE_FUTURES":
        sides = [
            (state[price], state[size]) if {price, size} <= state.keys() else ()
            for price, size in (("1", "4"), ("2", "5"))
        ]
        top = [side[place : place + 1] for side in sides for place in (0, 1)]
        if any(sides):
            yield ("book", symbol, quoted_ns, "level_one", *top)


def _candle(service: str, key: str, state: _Fields, _: _Fields) -> Iterator[Told]:
    ts_ms = state["7" if service == "CHART_EQUITY" else "1"]
    prices = [state[name] for name in "2345"]
    yield ("candle", key.lstrip("$"), ts_ms * _MS, *prices, state["6"])


def _book(service: str, key: str, state: _Fields, _: _Fields) -> Iterator[Told]:
    sides = [tuple(level[n] for level in state[side]) for side in "23" for n in "01"]
    yield ("book", key, state["1"] * _MS, service, *sides)


_READERS: Final[dict[str, Callable[[str, str, _Fields, _Fields], Iterator[Told]]]] = {
    "LEVELONE_OPTIONS": _option,
    "LEVELONE_FUTURES_OPTIONS": _future_option,
    "CHART_EQUITY": _candle,
    "CHART_FUTURES": _candle,
    "NYSE_BOOK": _book,
    "NASDAQ_BOOK": _book,
    "OPTIONS_BOOK": _book,
}
