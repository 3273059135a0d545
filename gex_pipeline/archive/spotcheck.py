"""Spot checks: events drawn at random, read again from the raw capture by another decoder.

As in recount.py nothing of the streaming decoder is used: fields by their numbers, answers by their
names, both from the protocol.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gex_pipeline.archive.recount import TIMES, blocks_of, rows_of
from gex_pipeline.feeds.capture import WireFrame, capture_files, read_capture
from gex_pipeline.market.symbology import INDEXES, to_schwab
from gex_pipeline.quality.ledger import MINUTE_NS

Figures = dict[str, Any]
"""What an event says, by column of its table."""

_NS_PER_MS = 1_000_000
_ABSENT = -999
_BIGGEST = 1e15
_LAST_MS = (2**63 - 1) // _NS_PER_MS
_LEAD_NS = 60 * MINUTE_NS
"""Read before the first event, so that its connection's full images are known."""
_OPTION_FIELDS = {
    "bid": "2",
    "ask": "3",
    "bid_size": "16",
    "ask_size": "17",
    "last": "4",
    "last_size": "18",
    "mark": "37",
    "delta": "28",
    "gamma": "29",
    "theta": "30",
    "vega": "31",
    "rho": "32",
    "open_interest": "9",
    "volume": "8",
    "underlying_price": "35",
}
_QUOTE_FIELDS = {"bid": "1", "ask": "2", "bid_size": "4", "ask_size": "5"}
_TRADE_FIELDS = {"price": "3", "size": "9", "volume": "8"}
_FOREX_TRADE_FIELDS = {"price": "3", "size": "7", "volume": "6"}
_FUTURE_OPTION_FIELDS = {
    **_QUOTE_FIELDS,
    "last": "3",
    "last_size": "9",
    "mark": "19",
    "open_interest": "18",
    "volume": "8",
}
_CHAIN_FIELDS = {
    "bid": "bid",
    "ask": "ask",
    "bid_size": "bidSize",
    "ask_size": "askSize",
    "last": "last",
    "last_size": "lastSize",
    "mark": "mark",
    "delta": "delta",
    "gamma": "gamma",
    "theta": "theta",
    "vega": "vega",
    "rho": "rho",
    "open_interest": "openInterest",
    "volume": "totalVolume",
}
_COUNTS = frozenset({"bid_size", "ask_size", "last_size", "size", "open_interest", "volume"})
"""Below 0 they are none."""


class Sample(msgspec.Struct, frozen=True):
    """One event of the lake."""

    tape: str
    table: str
    seq: int
    symbol: str
    ts_recv_ns: int
    streamed: bool
    figures: Figures


class Spots(msgspec.Struct):
    """How the samples compare."""

    equal: int = 0
    differ: list[tuple[Sample, str]] = []
    """With the first column that does."""
    unseen: list[Sample] = []
    """Of a moment that the capture does not cover."""


def check(samples: Sequence[Sample], folder: Path) -> Spots | None:
    """Compare events with the capture; None: there is none."""
    if not samples or not capture_files(folder):
        return None
    stamps = [sample.ts_recv_ns for sample in samples]
    search = _Search(samples)
    for frame in read_capture(folder, from_ns=min(stamps) - _LEAD_NS, to_ns=max(stamps)):
        search.look(frame)
    return search.spots(samples)


class _Search:
    """Looks through the frames for what the samples were made of."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._waiting: dict[tuple[int, str], list[Sample]] = defaultdict(list)
        for sample in samples:
            self._waiting[sample.ts_recv_ns, sample.symbol].append(sample)
        self._wire = _Wire(symbol for _, symbol in self._waiting)
        self._pictures: dict[tuple[str, int], list[Figures]] = defaultdict(list)
        self._covered: dict[int, tuple[int, int]] = {}
        """First and last stamp of each run's frames."""

    def look(self, frame: WireFrame) -> None:
        """Keep what a frame says of a sample."""
        began_ns, _ = self._covered.get(frame.run, (frame.ts_recv_ns, 0))
        self._covered[frame.run] = began_ns, frame.ts_recv_ns
        for symbol, table, figures in self._wire.pictures(frame):
            for sample in self._waiting.get((frame.ts_recv_ns, symbol), ()):
                if sample.table == table and sample.streamed == (frame.kind == "stream"):
                    self._pictures[sample.tape, sample.seq].append(figures)

    def spots(self, samples: Iterable[Sample]) -> Spots:
        """Return how the samples compare with what was found."""
        spots = Spots(differ=[], unseen=[])
        for sample in samples:
            pictures = self._pictures.get((sample.tape, sample.seq), [])
            spans = self._covered.values()
            if pictures:
                _compare(sample, pictures, spots)
            elif any(start <= sample.ts_recv_ns <= stop for start, stop in spans):
                spots.differ.append((sample, "the source sent no such thing"))
            else:
                spots.unseen.append(sample)
        return spots


def _compare(sample: Sample, pictures: list[Figures], spots: Spots) -> None:
    faults = [_fault(sample.figures, picture) for picture in pictures]
    if None in faults:
        spots.equal += 1
    else:
        spots.differ.append((sample, str(faults[0])))


def _fault(figures: Figures, picture: Figures) -> str | None:
    """Return the first column that differs; None: all that the picture has are equal."""
    for name, value in picture.items():
        if figures.get(name) != value:
            return f"{name} is {figures.get(name)} and was sent as {value}"
    return None


class _Wire:
    """What the frames say of some symbols, each time they speak of one."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbol_of = {to_schwab(symbol): symbol for symbol in symbols}
        self._states: dict[tuple[str, str], Figures] = defaultdict(dict)
        self._at: tuple[int, int] | None = None
        self._whole = False
        """The connection is known from its start: a field that is not there was never sent."""

    def pictures(self, frame: WireFrame) -> Iterator[tuple[str, str, Figures]]:
        """Yield symbol, table and figures of each item of interest."""
        if frame.kind == "stream":
            at = (frame.run, frame.connection)
            if at != self._at:
                self._whole = self._at is not None or frame.number == 1
                self._at = at
                self._states.clear()
            yield from self._streamed(frame)
        elif frame.kind == "chain":
            yield from self._asked_for(frame.data)

    def _streamed(self, frame: WireFrame) -> Iterator[tuple[str, str, Figures]]:
        for block in blocks_of(frame.data) or ():
            service, content = block["service"], block["content"]
            sent_ns = _ns(block.get("timestamp")) or frame.ts_recv_ns
            for item in content if isinstance(content, list) else ():
                key = str(item.get("key")) if isinstance(item, dict) else ""
                symbol = self._symbol_of.get(key)
                if symbol is None:
                    continue
                state = self._states[service, key]
                state.update(item)
                yield from self._told(service, symbol, state, sent_ns)

    def _told(
        self, service: str, symbol: str, state: Figures, sent_ns: int
    ) -> Iterator[tuple[str, str, Figures]]:
        if service == "LEVELONE_OPTIONS":
            figures = self._named(state, _OPTION_FIELDS)
            iv = _number(state.get("10"))
            figures |= {"iv": None if iv is None else iv / 100} if "10" in state else {}
            ts_ns = max(_ns(state.get("38")), _ns(state.get("39"))) or sent_ns
            yield symbol, "option_quotes", figures | self._timed(ts_ns)
        elif service == "LEVELONE_FUTURES_OPTIONS":
            figures = self._named(state, _FUTURE_OPTION_FIELDS)
            ts_ns = max(_ns(state.get("10")), _ns(state.get("11"))) or sent_ns
            yield symbol, "option_quotes", figures | self._timed(ts_ns)
        elif service in TIMES:
            quoted, sold = TIMES[service]
            quote = self._named(state, _QUOTE_FIELDS)
            yield symbol, "quotes", quote | self._timed(_ns(state.get(quoted)) or sent_ns)
            forex = service == "LEVELONE_FOREX"
            trade = self._named(state, _FOREX_TRADE_FIELDS if forex else _TRADE_FIELDS)
            if symbol in INDEXES:
                trade |= {"size": None, "volume": None}
            yield symbol, "trades", trade | self._timed(_ns(state.get(sold)) or sent_ns)

    def _named(self, state: Figures, fields: dict[str, str]) -> Figures:
        return {
            name: _figure(name, state.get(number))
            for name, number in fields.items()
            if self._whole or number in state
        }

    def _timed(self, ts_ns: int) -> Figures:
        return {"ts_event_ns": ts_ns} if self._whole else {}

    def _asked_for(self, data: bytes) -> Iterator[tuple[str, str, Figures]]:
        for row in rows_of(data) or ():
            symbol = self._symbol_of.get(str(row.get("symbol"))) if isinstance(row, dict) else None
            if symbol is None:
                continue
            figures = {name: _figure(name, row.get(field)) for name, field in _CHAIN_FIELDS.items()}
            iv = _number(row.get("volatility"))
            quoted_ns = _ns(row.get("quoteTimeInLong"))
            yield (
                symbol,
                "option_quotes",
                figures
                | {"iv": None if iv is None else iv / 100}
                | ({"ts_event_ns": quoted_ns} if quoted_ns else {}),
            )


def _figure(name: str, value: Any) -> float | None:
    number = _number(value)
    return None if number is not None and name in _COUNTS and number < 0 else number


def _number(value: Any) -> float | None:
    """Return a number, None for what is none at Schwab: null, "NaN", -999, beyond all bounds."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if value is None or isinstance(value, bool) or value == _ABSENT:
        return None
    return value if math.isfinite(value) and abs(value) < _BIGGEST else None


def _ns(milliseconds: Any) -> int:
    number = _number(milliseconds)
    return int(number) * _NS_PER_MS if number is not None and 0 < number <= _LAST_MS else 0
