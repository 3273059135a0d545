"""The simulator's send log as the events it must have become, by a reader of its own."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from gex_pipeline.market.events import BookUpdate, Candle, Event, OptionQuote, Quote, Trade

Told = tuple[object, ...]
"""What is compared of an event: kind, symbol, source's time, figures."""


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
        case BookUpdate():
            sides = (event.bid_prices, event.bid_sizes, event.ask_prices, event.ask_sizes)
            return ("book", event.symbol, event.ts_event_ns, event.venue, *sides)
        case Candle():
            prices = (event.open, event.high, event.low, event.close)
            return ("candle", event.symbol, event.ts_event_ns, *prices, event.volume)
    raise TypeError(event)


def expected(folder: Path) -> dict[int, dict[str, list[Told]]]:
    """By stream connection and key: what its items tell, in the order they were sent."""
    states: dict[tuple[int, str], dict[str, Any]] = defaultdict(dict)
    out: dict[int, dict[str, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for line in lines(folder):
        if not line["stream"]:
            continue
        service, key, stream = line["service"], line["key"], line["stream"]
        if service in _WHOLE:
            out[stream][key].extend(_WHOLE[service](service, key, line["fields"]))
            continue
        state = states[stream, key]
        state |= line["fields"]
        read = _option if service == "LEVELONE_OPTIONS" else _level_one
        out[stream][key].extend(read(service, key, state, line["fields"]))
    return out


def lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log."""
    files = sorted((folder / "simulator").glob("sendlog-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def _book(service: str, key: str, fields: dict[str, Any]) -> list[Told]:
    sides = [tuple(level[n] for level in fields[side]) for side in "23" for n in "01"]
    return [("book", key, fields["1"] * 1_000_000, service, *sides)]


def _equity_candle(_: str, key: str, fields: dict[str, Any]) -> list[Told]:
    prices = [fields[number] for number in "2345"]
    return [("candle", key.lstrip("$"), fields["7"] * 1_000_000, *prices, fields["6"])]


def _future_candle(_: str, key: str, fields: dict[str, Any]) -> list[Told]:
    prices = [fields[number] for number in "2345"]
    return [("candle", key, fields["1"] * 1_000_000, *prices, fields["6"])]


_WHOLE = {
    "NYSE_BOOK": _book,
    "NASDAQ_BOOK": _book,
    "OPTIONS_BOOK": _book,
    "CHART_EQUITY": _equity_candle,
    "CHART_FUTURES": _future_candle,
}


def _option(_: str, key: str, state: dict[str, Any], __: dict[str, Any]) -> list[Told]:
    iv, ts_ms = state["10"], max(state["38"] or 0, state["39"] or 0)
    iv = None if iv == -999 else iv / 100
    figures = [None if state[name] == -999 else state[name] for name in ("29", "4", "37")]
    gamma, last, mark = figures
    prices = (state["2"], state["3"], iv, gamma, last, mark)
    return [("option", key, ts_ms * 1_000_000, *prices, state["9"], state["8"])]


def _level_one(
    service: str, key: str, state: dict[str, Any], changed: dict[str, Any]
) -> list[Told]:
    future = service == "LEVELONE_FUTURES"
    quoted, traded = ("10", "11") if future else ("34", "35")
    index = key.startswith("$")
    symbol = key.lstrip("$")
    both: list[Told] = []
    if not index and changed.keys() & {"1", "2", "4", "5"}:
        figures = [state[name] for name in ("1", "2", "4", "5")]
        both.append(("quote", symbol, state[quoted] * 1_000_000, *figures))
    if changed.keys() & {"3", "9", "8", traded}:
        sizes = (None, None) if index else (state["9"], state["8"])
        both.append(("trade", symbol, state[traded] * 1_000_000, state["3"], *sizes))
    if future and changed.keys() & {"1", "2", "4", "5"}:
        top = [(state[name],) for name in ("1", "4", "2", "5")]
        both.append(("book", symbol, state[quoted] * 1_000_000, "level_one", *top))
    return both
