"""The captured frames counted again, by a reader that shares no code with the one that streams.

It is written from the protocol alone: streamer frames and chain answers as JSON, fields by their
numbers. What it counts as one update: docs/quality.md.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.feeds.capture import WireFrame
from gex_pipeline.market.sessions import Calendar
from gex_pipeline.market.symbology import calendar_of, to_canonical

Update = tuple[Calendar, str]
"""Calendar of the tape, table of the lake."""

UNKNOWN: Update = ("equity", "")
QUOTE = {"1", "2", "4", "5"}
"""Bid, ask and their sizes, of shares, futures and currencies."""
SALE = {
    "LEVELONE_EQUITIES": {"3", "8", "9"},
    "LEVELONE_FUTURES": {"3", "8", "9"},
    "LEVELONE_FOREX": {"3", "6", "7"},
}
"""Last price, volume, last size."""
TIMES = {
    "LEVELONE_EQUITIES": ("34", "35"),
    "LEVELONE_FUTURES": ("10", "11"),
    "LEVELONE_FOREX": ("8", "9"),
}
"""Of the quote and of the sale."""
WHOLE = {
    "LEVELONE_OPTIONS": "option_quotes",
    "LEVELONE_FUTURES_OPTIONS": "option_quotes",
    "CHART_EQUITY": "candles",
    "CHART_FUTURES": "candles",
    "NYSE_BOOK": "depth",
    "NASDAQ_BOOK": "depth",
    "OPTIONS_BOOK": "depth",
}
"""Services whose items are one update each, and of which table."""


class Recount:
    """Counts frame by frame."""

    def __init__(self) -> None:
        self._calendars: dict[str, Calendar] = {}

    def updates(self, frame: WireFrame) -> Counter[Update]:
        """Return how many updates of which table a frame brought."""
        if frame.kind == "stream":
            return self._streamed(frame.data)
        if frame.kind == "missing":
            return Counter({(self._calendar(frame.symbol), "chain_headers"): 1})
        if frame.kind in ("chain", "repeated"):
            return self._asked_for(frame)
        if frame.kind == "quotes":
            return self._polled(frame.data)
        return Counter()

    def _streamed(self, data: bytes) -> Counter[Update]:
        found: Counter[Update] = Counter()
        blocks = blocks_of(data)
        if blocks is None:
            return Counter({UNKNOWN: 1})
        for block in blocks:
            service, content = block["service"], block["content"]
            if (service not in WHOLE and service not in TIMES) or not isinstance(content, list):
                found[UNKNOWN] += 1
                continue
            for item in content:
                found.update(self._item(service, item))
        return found

    def _item(self, service: str, item: Any) -> Iterator[Update]:
        if not isinstance(item, dict) or not isinstance(item.get("key"), str):
            yield UNKNOWN
            return
        calendar = self._calendar(item["key"])
        if service in WHOLE:
            yield calendar, WHOLE[service]
            return
        quoted_at, sold_at = TIMES[service]
        sold = not item.keys().isdisjoint(SALE[service] | {sold_at})
        quoted = not item.keys().isdisjoint(QUOTE) or (quoted_at in item and not sold)
        if quoted:
            yield calendar, "quotes"
        if sold:
            yield calendar, "trades"
        if not quoted and not sold:
            yield UNKNOWN

    def _asked_for(self, frame: WireFrame) -> Counter[Update]:
        rows = rows_of(frame.data)
        if rows is None:
            return Counter({UNKNOWN: 1})
        calendar = self._calendar(frame.symbol)
        return Counter({(calendar, "option_quotes"): len(rows), (calendar, "chain_headers"): 1})

    def _polled(self, data: bytes) -> Counter[Update]:
        """Count an answer of quotes: a side of each symbol but an index, and a price above 0."""
        try:
            answer = json.loads(data)
            ones = [(key, one) for key, one in answer.items() if key != "errors"]
            said = [(key, one["assetMainType"], one["quote"]) for key, one in ones]
        except (ValueError, AttributeError, KeyError, TypeError):
            return Counter({UNKNOWN: 1})
        found: Counter[Update] = Counter()
        for key, kind, quote in said:
            calendar = self._calendar(key)
            if kind != "INDEX" and (quote.get("bidPrice"), quote.get("askPrice")) != (None, None):
                found[calendar, "quotes"] += 1
            if (quote.get("lastPrice") or 0) > 0:
                found[calendar, "trades"] += 1
        return found

    def _calendar(self, key: str) -> Calendar:
        known = self._calendars.get(key)
        if known is None:
            try:
                known = calendar_of(to_canonical(key))
            except (SymbolError, ContractError):
                known = UNKNOWN[0]
            self._calendars[key] = known
        return known


def blocks_of(data: bytes) -> list[dict[str, Any]] | None:
    """Return the parts of a frame that hold data; None: it is no streamer JSON."""
    frame = _json(data)
    if not isinstance(frame, dict):
        return None
    blocks = frame.get("data", [])
    if not isinstance(blocks, list) or not all(map(_is_block, blocks)):
        return None
    return blocks


def rows_of(data: bytes) -> list[Any] | None:
    """Return every contract that a chain's answer lists; None: it is no chain."""
    answer = _json(data.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(answer, dict):
        return None
    rows: list[Any] = []
    try:
        for side in ("callExpDateMap", "putExpDateMap"):
            for strikes in (answer.get(side) or {}).values():
                for listed in strikes.values():
                    rows.extend(listed)
    except (AttributeError, TypeError):
        return None
    return rows


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _is_block(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and isinstance(block.get("service"), str)
        and "content" in block
        and isinstance(block.get("timestamp", 0), int)
    )
