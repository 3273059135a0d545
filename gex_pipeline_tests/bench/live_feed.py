"""A market's frames, made beforehand, and the process that puts them on their tapes in time."""

import datetime
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.frame import MAX_EVENTS, Frame, decode_frame, encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.tape import FIELD
from gex_pipeline.market.arrays import Bools, Ints
from gex_pipeline.market.events import ChainHeader, Event, Heartbeat, OptionQuote, Quote, Trade
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.market.symbology import calendar_of, kind_of
from gex_pipeline.simulator.fields import as_streamed
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.valuation import COLUMN

PER_S: Final = 10_000
DAY: Final = datetime.date(2026, 11, 20)
START_NS: Final = et_ns(DAY, 10, 0)
"""Market time at which the feed begins."""
MESSAGE: Final = 50
"""Quotes that come at once: a message of the stream each 5 ms, a frame on either tape."""
HEADERS_EVERY_S: Final = 30
SPOTS_PER_S: Final = 4
FUTURES: Final = {"/ESZ26": ("SPX", 14.0), "/NQZ26": ("NDX", 60.0)}
"""Of which index, and how far above it."""
_MESSAGES: Final = PER_S // MESSAGE
_PIECE: Final = _MESSAGES // 5
"""Messages whose quotes are valued at one moment."""
_SHIFT: Final = 250
"""Thousandths of a dollar between a contract and its double."""
_FLOATS: Final = (
    "bid", "ask", "bid_size", "ask_size", "last", "last_size", "mark", "iv", "delta", "gamma",
    "theta", "vega", "rho",
)  # fmt: skip
_COUNTS: Final = ("open_interest", "volume")


class FrameDue(msgspec.Struct, frozen=True, gc=False):
    """A frame and when it is due, in ns after the feed's beginning."""

    due_ns: int
    tape: str
    last_seq: int
    data: bytes
    quotes: int
    symbols: tuple[str, ...]
    """Underlyings of which it holds anything."""


class Sent(msgspec.Struct, frozen=True):
    """When a frame was sent, just before its command; monotonic."""

    sent_ns: int
    tape: str
    last_seq: int
    quotes: int
    symbols: tuple[str, ...]


class Listing:
    """The contracts of a market, exactly as many of each underlying as are asked for.

    Where the simulator lists fewer, some have a double a quarter of a dollar above them that is
    quoted alike.
    """

    def __init__(self, market: Market, contracts: dict[str, int]) -> None:
        self.board = market.board(START_NS)
        self.name: list[str] = []
        self.under: list[str] = []
        rows: list[int] = []
        for symbol, count in contracts.items():
            own = np.flatnonzero(self.board.under == OPTIONABLE.index(symbol)).tolist()
            own.sort(key=lambda row: self.board.occ[row][6:12] + self.board.occ[row][13:])
            doubled = own[: max(count - len(own), 0)]
            rows += own[:count] + doubled
            self.name += [self.board.occ[row] for row in own[:count]]
            self.name += [_shifted(self.board.occ[row]) for row in doubled]
            self.under += [symbol] * count
        self.row: Ints = np.array(rows)
        active = 1 + np.sqrt(self.board.day_volume[self.row])
        self.odds = np.cumsum(active / active.sum())


def make_frames(seconds: int, contracts: dict[str, int], seed: int = 7) -> list[FrameDue]:
    """Return the whole chains, then so many seconds of updates, spots, headers and heartbeats."""
    market = Market(seed)
    listing = Listing(market, contracts)
    rng = np.random.default_rng(seed)
    names = tuple(contracts)
    writer = _Writer(names)
    every = np.arange(listing.row.size)
    at_once = np.full(every.size, START_NS)
    writer.put(START_NS, [*_spots(market, names, START_NS), *_headers(contracts, START_NS)])
    writer.put(START_NS, list(_quotes(market, listing, every, at_once, streamed=False)))
    for message in range(seconds * _MESSAGES):
        due_ns = START_NS + SECOND_NS + message * (SECOND_NS // _MESSAGES)
        if message % _PIECE == 0:
            recv_ns = due_ns + np.repeat(np.arange(_PIECE), MESSAGE) * (SECOND_NS // _MESSAGES)
            chosen = np.searchsorted(listing.odds, rng.random(recv_ns.size)).clip(max=every[-1])
            quotes = _quotes(market, listing, chosen, recv_ns, streamed=True)
        if message % (_MESSAGES * HEADERS_EVERY_S) == 0:
            writer.put(due_ns, _headers(contracts, due_ns))
        if message % _MESSAGES == 0:
            writer.beat(due_ns, message * MESSAGE)
        if message % (_MESSAGES // SPOTS_PER_S) == 0:
            writer.put(due_ns, _spots(market, names, due_ns))
        writer.put(due_ns, [next(quotes) for _ in range(MESSAGE)])
    return writer.frames


def feed(link: Connection, url: str, prefix: str, seconds: int, contracts: dict[str, int]) -> None:
    """Make the frames, say so, and send each in its time from the moment that is answered.

    Says at the end what was sent when, and the CPU seconds that decoding the frames takes which
    were sent in the last so many seconds that it is asked for.
    """
    frames = make_frames(seconds, contracts)
    with connect(url) as store:
        store.ping()
        link.send(len(frames))
        sent = _send(store, Keys(prefix), frames, link.recv())
    link.send(sent)
    from_ns, until_ns = link.recv()
    data = [
        frame.data
        for frame, one in zip(frames, sent, strict=True)
        if from_ns <= one.sent_ns < until_ns
    ]
    started_s = time.thread_time()
    for one in data:
        decode_frame(one)
    link.send(time.thread_time() - started_s)


def _send(store: Any, keys: Keys, frames: list[FrameDue], begin_ns: int) -> list[Sent]:
    """Send the frames; a pipeline takes all that are due."""
    sent: list[Sent] = []
    at = 0
    while at < len(frames):
        now_ns = time.monotonic_ns()
        wait_ns = begin_ns + frames[at].due_ns - now_ns
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
            continue
        commands = store.pipeline(transaction=False)
        while at < len(frames) and begin_ns + frames[at].due_ns <= now_ns:
            one = frames[at]
            commands.xadd(keys.tape(one.tape), {FIELD: one.data}, id=f"1-{one.last_seq}")
            sent.append(Sent(now_ns, one.tape, one.last_seq, one.quotes, one.symbols))
            at += 1
        commands.execute()
    return sent


class _Writer:
    """Numbers events by tape and makes their frames."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.frames: list[FrameDue] = []
        self._tape_of = {symbol: f"schwab.{calendar_of(symbol)}" for symbol in (*symbols, *FUTURES)}
        self._seq = dict.fromkeys(self._tape_of.values(), 0)

    def beat(self, due_ns: int, received: int) -> None:
        for tape in self._seq:
            self._add(tape, due_ns, [Heartbeat("", due_ns, due_ns, received=received)])

    def put(self, due_ns: int, events: Sequence[Event]) -> None:
        for tape in self._seq:
            own = [event for event in events if self._tape_of[_subject(event)] == tape]
            for start in range(0, len(own), MAX_EVENTS):
                self._add(tape, due_ns, own[start : start + MAX_EVENTS])

    def _add(self, tape: str, due_ns: int, events: Sequence[Event]) -> None:
        first = self._seq[tape] + 1
        numbered = tuple(
            msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(events, first)
        )
        last = self._seq[tape] = self._seq[tape] + len(events)
        quotes = sum(isinstance(event, OptionQuote) for event in events)
        symbols = tuple(sorted({_subject(event) for event in events} - {""}))
        data = encode_frame(Frame(tape, 1, first, last, DAY, numbered))
        self.frames.append(FrameDue(due_ns - START_NS, tape, last, data, quotes, symbols))


def _subject(event: Event) -> str:
    return event.underlying if isinstance(event, OptionQuote) else event.symbol


def _shifted(occ: str) -> str:
    return f"{occ[:13]}{int(occ[13:]) + _SHIFT:08d}"


def _headers(contracts: dict[str, int], ts_ns: int) -> list[Event]:
    last = DAY.replace(year=DAY.year + 6)
    return [
        ChainHeader(
            symbol, ts_ns, ts_ns, first_expiry=DAY, last_expiry=last, contracts=count, complete=True
        )
        for symbol, count in contracts.items()
    ]


def _spots(market: Market, symbols: Sequence[str], ts_ns: int) -> list[Event]:
    prices = dict(zip(OPTIONABLE, market.moment(ts_ns).spot.round(2).tolist(), strict=True))
    events: list[Event] = [Trade(name, ts_ns, ts_ns, price=prices[name]) for name in symbols]
    for name in symbols:
        if kind_of(name) == "share":
            bid, ask = round(prices[name] - 0.01, 2), round(prices[name] + 0.01, 2)
            events.append(Quote(name, ts_ns, ts_ns, bid=bid, ask=ask))
    for name, (index, above) in FUTURES.items():
        level = round((prices[index] + above) * 4) / 4
        events.append(Quote(name, ts_ns, ts_ns, bid=level - 0.25, ask=level + 0.25))
    return events


def _quotes(
    market: Market, listing: Listing, chosen: Ints, recv_ns: Ints, *, streamed: bool
) -> Iterator[OptionQuote]:
    """Yield quotes of the contracts chosen, all valued when the first is received."""
    sheet = as_streamed(market.options(listing.board, listing.row[chosen], int(recv_ns[0])))
    columns: dict[str, list[Any]] = {
        name: _known(sheet[:, COLUMN[name]], np.isnan(sheet[:, COLUMN[name]])) for name in _FLOATS
    }
    for name in _COUNTS:
        columns[name] = sheet[:, COLUMN[name]].astype(np.int64).tolist()
    columns |= {
        "symbol": [listing.name[row] for row in chosen.tolist()],
        "underlying": [listing.under[row] for row in chosen.tolist()],
        "ts_event_ns": (sheet[:, COLUMN["quote_ms"]].astype(np.int64) * 1_000_000).tolist(),
        "ts_recv_ns": recv_ns.tolist(),
        "underlying_price": sheet[:, COLUMN["spot"]].tolist(),
    }
    for values in zip(*columns.values(), strict=True):
        fields = dict(zip(columns, values, strict=True))
        yield OptionQuote(**fields, settlement="P", streamed=streamed)


def _known(values: Any, missing: Bools) -> list[float | None]:
    found = values.astype(object)
    found[missing] = None
    return found.tolist()  # type: ignore[no-any-return] # numpy gives lists of anything
